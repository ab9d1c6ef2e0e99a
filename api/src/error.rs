//! Errors of the HTTP service: one mapping from error classes to RFC 9457 problem details.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use zonglan_catalog::error::{Error as Shared, ErrorClass, FieldError};

tokio::task_local! {
    /// The id of the request being served, for problem details and logs.
    pub static REQUEST_ID: String;
}

/// The id of the current request; empty outside of one.
pub fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// What every handler fails with.
#[derive(Debug)]
pub struct Error(pub Box<Shared>);

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The body of every error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: &'static str,
    pub status: u16,
    /// What is wrong, in the user's language. Internal errors say nothing but the id.
    pub detail: String,
    /// Stable and machine-readable, such as `query.unknown_name`.
    pub code: &'static str,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The id of the request, as in the logs.
    pub instance: String,
    /// Wrong fields of the input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemField>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemField {
    pub field: String,
    pub message: String,
}

impl Error {
    pub fn new(class: ErrorClass, code: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Shared::new(class, code, message)))
    }

    pub fn user(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::User, code, message)
    }

    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Forbidden, code, message)
    }

    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::NotFound, code, message)
    }

    pub fn unauthenticated() -> Self {
        Self::new(ErrorClass::Unauthenticated, "session.required", "请先登录 (sign in first)")
            .hint("POST /api/v1/session，或用 Authorization: Bearer")
    }

    /// The text goes to the log, never to the client.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(Box::new(Shared::internal(source)))
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub fn fields(mut self, fields: Vec<FieldError>) -> Self {
        self.0.fields = fields;
        self
    }

    pub fn class(&self) -> ErrorClass {
        self.0.class
    }

    pub fn status(&self) -> StatusCode {
        status_of(self.0.class)
    }

    /// The body; an internal error is logged here, once, and leaves only its id.
    pub fn problem(&self) -> Problem {
        let status = self.status();
        let instance = request_id();
        let internal = self.0.class == ErrorClass::Internal;
        if internal {
            let cause = causes(&self.0);
            tracing::error!(request.id = %instance, error.code = self.0.code, error.cause = %cause, "request failed");
        }
        Problem {
            kind: format!("/api/docs#{}", self.0.code),
            title: status.canonical_reason().unwrap_or("error"),
            status: status.as_u16(),
            detail: if internal {
                format!("服务器内部错误，编号 {instance} (internal error)")
            } else {
                self.0.message.clone()
            },
            code: if internal { "internal" } else { self.0.code },
            hint: if internal { Some("请把编号告诉管理员".into()) } else { self.0.hint.clone() },
            instance,
            errors: self
                .0
                .fields
                .iter()
                .map(|f| ProblemField { field: f.field.clone(), message: f.message.clone() })
                .collect(),
        }
    }
}

/// The one place that knows which status an error class has.
pub fn status_of(class: ErrorClass) -> StatusCode {
    match class {
        ErrorClass::User => StatusCode::BAD_REQUEST,
        ErrorClass::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorClass::Forbidden => StatusCode::FORBIDDEN,
        ErrorClass::NotFound => StatusCode::NOT_FOUND,
        ErrorClass::Conflict => StatusCode::CONFLICT,
        ErrorClass::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorClass::Busy => StatusCode::TOO_MANY_REQUESTS,
        ErrorClass::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorClass::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = cause.source();
    }
    text
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let problem = self.problem();
        let status = self.status();
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response =
            (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))], body)
                .into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Errors of our crates keep the class that they give themselves.
impl<E: Into<Shared>> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn internal_errors_tell_only_an_id() {
        let problem =
            REQUEST_ID.scope("r-1".into(), async { Error::internal("password=x in /etc/secret").problem() }).await;
        let text = serde_json::to_string(&problem).expect("serialises");
        assert!(text.contains("r-1") && !text.contains("secret"), "{text}");
        assert_eq!(problem.status, 500);
    }

    #[test]
    fn classes_have_their_status() {
        let problem = Error::user("query.value", "bad").hint("do this").problem();
        assert_eq!((problem.status, problem.code, problem.hint.as_deref()), (400, "query.value", Some("do this")));
        assert_eq!(Error::unauthenticated().status(), StatusCode::UNAUTHORIZED);
    }
}
