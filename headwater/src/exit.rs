//! How the process ends: one clear line on standard error and a code from `sysexits.h`.

use std::process::ExitCode;

use thiserror::Error;

/// A reason to end, told in one line.
#[derive(Debug, Error)]
pub(crate) enum Exit {
    /// The command line or the configuration is wrong: exit code 64.
    #[error("{0}")]
    Usage(String),
    /// Something that the server needs is not there: exit code 69.
    #[error("{0}")]
    Unavailable(String),
    /// The server itself failed: exit code 70.
    #[error("{0}")]
    Software(String),
}

impl Exit {
    /// Something needed is missing or refused.
    pub(crate) fn unavailable(error: impl std::fmt::Display) -> Self {
        Self::Unavailable(error.to_string())
    }

    /// The server itself failed.
    pub(crate) fn software(error: impl std::fmt::Display) -> Self {
        Self::Software(error.to_string())
    }

    /// The process exit code.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 64,
            Self::Unavailable(_) => 69,
            Self::Software(_) => 70,
        })
    }
}
