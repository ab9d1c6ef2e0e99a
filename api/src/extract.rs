//! Extractors: who asks, from where, in which language, and bodies that are checked before any
//! handler sees them.

use crate::app::App;
use crate::error::{Error, Result};
use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use serde::de::DeserializeOwned;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use zonglan_catalog::error::{ErrorClass, FieldError};
use zonglan_catalog::{Dataset, Principal};
use zonglan_dashboards::pages::Lang;

/// The cookie that holds the session.
pub const SESSION_COOKIE: &str = "zonglan_session";
/// The header in which pages give back the session's CSRF token.
pub const CSRF_HEADER: &str = "x-csrf-token";
/// The stated purpose of a request that reads personal data, percent-encoded UTF-8.
pub const PURPOSE_HEADER: &str = "x-purpose";

/// Somebody signed in, by session cookie or bearer token. A cookie alone cannot change anything:
/// unsafe methods need the CSRF token of the session too.
#[derive(Debug, Clone)]
pub struct Auth {
    pub principal: Principal,
    pub by: Credential,
}

/// How somebody is signed in.
#[derive(Debug, Clone)]
pub enum Credential {
    Session { token: String, key: [u8; 32], csrf: String, must_change: bool, expires_at: i64 },
    Bearer { scopes: Vec<String> },
}

impl Auth {
    pub fn csrf(&self) -> &str {
        match &self.by {
            Credential::Session { csrf, .. } => csrf,
            Credential::Bearer { .. } => "",
        }
    }

    /// Fails unless the role has the action (`users`, `audit`, `metrics`, ...).
    pub fn must(&self, app: &App, action: &str) -> Result<()> {
        if app.catalogue().policy().may(&self.principal, action) {
            return Ok(());
        }
        Err(Error::forbidden("policy.action", format!("您的角色不能执行「{action}」(not permitted)"))
            .hint("请向管理员申请权限"))
    }

    /// Resolves who sends these headers, without the CSRF check.
    pub fn of(app: &App, headers: &HeaderMap) -> Result<Self> {
        let identity = &app.store.identity;
        let mut auth = if let Some(token) = bearer(headers) {
            if same(token.as_bytes(), app.operator.as_bytes()) {
                return Ok(Self {
                    principal: crate::app::operator(&app.catalogue()),
                    by: Credential::Bearer { scopes: Vec::new() },
                });
            }
            let bearer = identity.bearer(token)?;
            Self { principal: bearer.principal, by: Credential::Bearer { scopes: bearer.scopes } }
        } else {
            let token = cookie(headers, SESSION_COOKIE).ok_or_else(Error::unauthenticated)?;
            let session = identity.session(token)?;
            let by = Credential::Session {
                token: token.to_string(),
                key: session.key,
                csrf: session.csrf,
                must_change: session.must_change,
                expires_at: session.expires_at,
            };
            Self { principal: session.principal, by }
        };
        if let Some(purpose) = headers.get(PURPOSE_HEADER).and_then(|v| v.to_str().ok()) {
            let purpose = percent_decode(purpose);
            if !purpose.trim().is_empty() {
                auth.principal.purpose = Some(purpose.chars().take(200).collect());
            }
        }
        Ok(auth)
    }

    fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        match &self.by {
            Credential::Session { csrf, must_change, .. } => {
                let given = headers.get(CSRF_HEADER).map(|v| v.as_bytes()).unwrap_or_default();
                if !safe && !same(given, csrf.as_bytes()) {
                    return Err(Error::forbidden(
                        "session.csrf",
                        "缺少或错误的 x-csrf-token (missing or wrong CSRF token)",
                    )
                    .hint("重新载入页面后再试"));
                }
                if *must_change && !uri.path().starts_with("/api/v1/session") {
                    return Err(Error::forbidden(
                        "session.password",
                        "一次性密码须先修改 (change the one-time password first)",
                    )
                    .hint("PATCH /api/v1/session {\"old\",\"new\"}"));
                }
            }
            Credential::Bearer { scopes } => {
                // Scopes narrow what a token may do; without any it may do what its user may.
                if !scopes.is_empty() && !scopes.iter().any(|scope| permits(scope, safe, uri.path())) {
                    return Err(Error::forbidden(
                        "token.scope",
                        format!("令牌的范围不允许此请求 (scopes: {})", scopes.join(", ")),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Whether a token's scope covers a request: `read`, `write` (both), `query`, `search`, `import`,
/// `records`, `export` or `*`.
fn permits(scope: &str, safe: bool, path: &str) -> bool {
    let under = |prefix: &str| {
        path.strip_prefix("/api/v1/").is_some_and(|rest| rest == prefix || rest.starts_with(&format!("{prefix}/")))
    };
    let asks = || under("query") || under("search") || under("geo") || under("models");
    match scope {
        "*" | "write" => true,
        "read" => safe || asks(),
        "query" => under("query") || (safe && (under("datasets") || under("boards"))),
        "export" => under("exports"),
        other => under(other),
    }
}

/// Compares secrets without telling by time where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    !b.is_empty() && a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (x, y)| differ | (x ^ y)) == 0
}

pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
    cookies.filter_map(|c| c.trim().split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl FromRequestParts<App> for Auth {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let auth = Self::of(app, &parts.headers)?;
        auth.check(&parts.method, &parts.uri, &parts.headers)?;
        Ok(auth)
    }
}

/// The address of the client; behind a proxy, the one that the proxy saw.
#[derive(Debug, Clone, Copy)]
pub struct Client(pub IpAddr);

impl Client {
    pub fn of(app: &App, parts: &Parts) -> Self {
        let direct =
            parts.extensions.get::<ConnectInfo<SocketAddr>>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |c| c.0.ip());
        if !app.config.server.behind_proxy {
            return Self(direct);
        }
        let forwarded = parts.headers.get("x-forwarded-for").and_then(|v| v.to_str().ok());
        Self(forwarded.and_then(|v| v.rsplit(',').next()?.trim().parse().ok()).unwrap_or(direct))
    }
}

impl FromRequestParts<App> for Client {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        Ok(Self::of(app, parts))
    }
}

/// The language of labels: `?lang=`, or the first one of Accept-Language; Chinese otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Language(pub Lang);

impl Language {
    pub fn english(self) -> bool {
        self.0 == Lang::En
    }

    pub fn of(uri: &Uri) -> Self {
        let asked = uri.query().and_then(|q| q.split('&').find_map(|pair| pair.strip_prefix("lang=")));
        Self(Lang::parse(asked))
    }
}

impl FromRequestParts<App> for Language {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.uri))
    }
}

/// A JSON body. What does not fit is reported at its field.
#[derive(Debug, Clone)]
pub struct ValidatedJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for ValidatedJson<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("application/json") {
            return Err(Error::user("request.content_type", "请求体须为 application/json (send JSON)"));
        }
        let bytes = Bytes::from_request(request, app).await.map_err(|rejection| {
            let status = rejection.status();
            if status == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
                Error::new(
                    ErrorClass::TooLarge,
                    "request.too_large",
                    format!("请求体超过 {} MB (body too large)", app.config.server.body_mb),
                )
            } else {
                Error::user("request.body", rejection.body_text())
            }
        })?;
        parse_json(&bytes).map(Self)
    }
}

/// Reads JSON text; an error names the field where it lies.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().to_string();
        let problem = Error::user("request.json", format!("请求体不符合要求 (invalid JSON body): {message}"));
        if path == "." { problem } else { problem.fields(vec![FieldError { field: path, message }]) }
    })?;
    reader.end().map_err(|error| Error::user("request.json", format!("JSON 之后还有内容 (trailing text): {error}")))?;
    Ok(value)
}

/// The dataset of a path, if it exists and the asker may read it. Others are told the same.
pub fn readable(app: &App, auth: &Auth, name: &str) -> Result<std::sync::Arc<Dataset>> {
    let catalogue = app.catalogue();
    let dataset = catalogue.dataset(name).filter(|d| catalogue.policy().may_read(&auth.principal, d));
    dataset.cloned().ok_or_else(|| {
        Error::not_found("dataset.unknown", format!("没有数据集 '{name}'，或您不能查看它 (no such dataset)"))
            .hint("GET /api/v1/datasets")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_errors_name_the_field() {
        #[derive(Debug, serde::Deserialize)]
        #[expect(dead_code, reason = "only its parsing is tested")]
        struct Body {
            points: Vec<(f64, f64)>,
        }
        let error = parse_json::<Body>(br#"{"points":[[1,2],[3,"x"]]}"#).expect_err("bad number").problem();
        assert_eq!(error.errors[0].field, "points[1][1]");
        assert!(parse_json::<Body>(br#"{"points":[]} x"#).is_err());
    }

    #[test]
    fn cookies_and_tokens_are_found() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=1; zonglan_session=xyz".parse().expect("value"));
        headers.insert(header::AUTHORIZATION, "Bearer t0k".parse().expect("value"));
        assert_eq!(cookie(&headers, SESSION_COOKIE), Some("xyz"));
        assert_eq!(bearer(&headers), Some("t0k"));
    }

    #[test]
    fn secrets_compare_whole() {
        assert!(same(b"abc", b"abc"));
        assert!(!same(b"abc", b"abd") && !same(b"", b"") && !same(b"ab", b"abc"));
    }

    #[test]
    fn scopes_narrow() {
        assert!(permits("query", false, "/api/v1/query/batch") && permits("query", true, "/api/v1/datasets"));
        assert!(
            !permits("query", false, "/api/v1/import/incident") && permits("import", false, "/api/v1/import/incident")
        );
        assert!(permits("read", false, "/api/v1/models/wci/evaluate"));
        assert!(permits("read", false, "/api/v1/search") && !permits("read", false, "/api/v1/records/premises"));
    }

    #[test]
    fn purposes_are_decoded() {
        assert_eq!(percent_decode("%E5%8A%9E%E6%A1%88%"), "办案%");
    }
}
