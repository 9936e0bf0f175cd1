//! Mail: one trait, and the ways it leaves.

mod files;
mod smtp;

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;

use thiserror::Error;

use super::config::{MailBackend, MailConfig};

/// A mail of plain text. It may hold a secret link, so `Debug` shows the subject alone.
#[derive(Clone)]
pub struct Mail {
    /// The receiver's address.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// The text.
    pub text: String,
}

impl Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a mail did not leave.
#[derive(Debug, Error)]
pub enum MailError {
    /// It cannot be written as a message, or the settings are wrong.
    #[error("{0}")]
    Message(String),
    /// The SMTP server refused it, or cannot be reached.
    #[error("{0}")]
    Smtp(#[from] lettre::transport::smtp::Error),
    /// The file could not be written.
    #[error("{0}")]
    File(#[from] io::Error),
}

/// What sending ends in.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), MailError>> + Send + 'a>>;

/// A way for mail to leave.
pub trait Mailer: Debug + Send + Sync {
    /// Sends one mail; at most once.
    fn send(&self, mail: Mail) -> Sending<'_>;
}

/// Any of them.
pub type AnyMailer = Box<dyn Mailer>;

/// The configured way; files lie under `data`.
///
/// # Errors
/// The settings cannot be used.
pub(crate) fn mailer(config: &MailConfig, data: &Path) -> Result<AnyMailer, MailError> {
    Ok(match config.backend {
        MailBackend::Log => Box::new(files::Files::new(data.join("mail"), &config.from)),
        MailBackend::Smtp => Box::new(smtp::Smtp::new(config)?),
    })
}

/// A way that leads nowhere.
pub(crate) fn nowhere() -> AnyMailer {
    #[derive(Debug)]
    struct Nowhere;
    impl Mailer for Nowhere {
        fn send(&self, _: Mail) -> Sending<'_> {
            Box::pin(std::future::ready(Ok(())))
        }
    }
    Box::new(Nowhere)
}
