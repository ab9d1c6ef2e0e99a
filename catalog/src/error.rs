//! Error classes: whose fault an error is decides the HTTP status and whether a retry helps.

use serde::Serialize;

/// Whose fault an error is. `api` maps each class to one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The request is wrong; it will fail again unless changed.
    User,
    /// Nobody is signed in, or the session has ended.
    Unauthenticated,
    /// Signed in, but not allowed.
    Forbidden,
    NotFound,
    /// Somebody else changed the thing meanwhile.
    Conflict,
    TooLarge,
    /// Limits reached; try again later.
    Busy,
    /// A part of the system is away; try again later.
    Unavailable,
    /// Our fault; the client gets an id only.
    Internal,
}

/// Implemented by every crate's error enum.
pub trait Classify: std::error::Error {
    fn class(&self) -> ErrorClass;
    /// Stable machine-readable code, such as `query.unknown_field`.
    fn code(&self) -> &'static str;
    /// What the user can do about it.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// One wrong field of an input, shown at that field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    pub field: String,
    pub message: String,
}

/// The error of the shared traits: any crate's error with its class kept.
#[derive(Debug)]
pub struct Error {
    pub class: ErrorClass,
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
    pub fields: Vec<FieldError>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(class: ErrorClass, code: &'static str, message: impl Into<String>) -> Self {
        Self { class, code, message: message.into(), hint: None, fields: Vec::new(), source: None }
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

    /// An error of our own making; its text goes to the log, never to a client.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source = source.into();
        let mut error = Self::new(ErrorClass::Internal, "internal", source.to_string());
        error.source = Some(source);
        error
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn with_fields(mut self, fields: Vec<FieldError>) -> Self {
        self.fields = fields;
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|s| &**s as &(dyn std::error::Error + 'static))
    }
}

impl<E: Classify + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self {
            class: error.class(),
            code: error.code(),
            message: error.to_string(),
            hint: error.hint(),
            fields: Vec::new(),
            source: Some(Box::new(error)),
        }
    }
}
