//! The library's error: a kind for the caller, a stable code for programs, a sentence and a hint for people.
use mainstem_core::ErrorKind;
use std::fmt;

/// A failure: what happened, to which thing, and what to do.
#[derive(Debug)]
pub struct Error {
    /// What the caller should do about it.
    pub kind: ErrorKind,
    /// A stable name, such as `not_tracked` or `review_required`.
    pub code: &'static str,
    /// A lowercase fragment that names the thing.
    pub message: String,
    /// A command to type, or another thing to do.
    pub hint: Option<String>,
    /// What caused it.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of a use case.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of a kind, with a code and a sentence.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Error { kind, code, message: message.into(), hint: None, source: None }
    }
    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// Adds what caused it.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
    /// [`ErrorKind::Invalid`] with the code `invalid`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, "invalid", message)
    }
    /// [`ErrorKind::NotFound`] with the code `not_found`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, "not_found", message)
    }
    /// [`ErrorKind::Corrupt`] with the code `corrupt`.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, "corrupt", message)
    }
    /// [`ErrorKind::Internal`] with the code `internal`.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, "internal", message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

impl From<mainstem_core::Error> for Error {
    fn from(e: mainstem_core::Error) -> Self {
        let code = match e.kind() {
            ErrorKind::Corrupt => "corrupt",
            _ => "invalid",
        };
        Error::new(e.kind(), code, e.to_string())
    }
}
