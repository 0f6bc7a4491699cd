//! The one error of the core, and the closed list of kinds that every crate maps to.
//!
//! A kind says what the caller should do; it is mapped once to exit codes and once to HTTP.
use alloc::string::String;

/// What kind of failure this is, named by what the caller should do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request makes no sense as given; change it.
    Invalid,
    /// The actor may not do this.
    Denied,
    /// The named thing does not exist.
    NotFound,
    /// The state of the data stands against it.
    Conflict,
    /// It may work later: locked, full, unreachable.
    Unavailable,
    /// What was read is damaged.
    Corrupt,
    /// A bug of ours.
    Internal,
}

/// A failure of a core function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bytes that are not what they claim to be.
    #[error("{what} is damaged: {why}")]
    Corrupt {
        /// What was being read.
        what: &'static str,
        /// What was wrong with it.
        why: String,
    },
    /// A value, name or rule that cannot be used.
    #[error("{what}: {why}")]
    Invalid {
        /// What was being used.
        what: String,
        /// Why it cannot be.
        why: String,
    },
}

impl Error {
    /// The kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Corrupt { .. } => ErrorKind::Corrupt,
            Error::Invalid { .. } => ErrorKind::Invalid,
        }
    }
    /// Builds [`Error::Corrupt`].
    pub fn corrupt(what: &'static str, why: impl Into<String>) -> Self {
        Error::Corrupt { what, why: why.into() }
    }
    /// Builds [`Error::Invalid`].
    pub fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Error::Invalid { what: what.into(), why: why.into() }
    }
}

/// The result of a core function.
pub type Result<T> = core::result::Result<T, Error>;
