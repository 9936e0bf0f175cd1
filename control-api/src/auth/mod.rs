//! Who somebody is: local accounts, an OpenID provider, or Clerk, as the operator chose.
//!
//! Whatever the proof, it ends in a user's row; what that user may do is not known here. The pure
//! parts are `jwt`, `totp` and `svix`; the rest acts.

pub(crate) mod accounts;
pub(crate) mod bearer;
pub(crate) mod clerk;
pub mod config;
mod desk;
mod fetch;
mod identities;
mod jwks;
pub(crate) mod jwt;
pub mod mail;
pub(crate) mod oidc;
mod password;
mod provider;
pub(crate) mod refresh;
pub(crate) mod routes;
mod seal;
pub(crate) mod second_factor;
pub(crate) mod sign_in;
pub(crate) mod signing;
mod svix;
mod totp;
pub(crate) mod users;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use thiserror::Error;
use tokio::sync::mpsc;

use crate::attempts::Attempts;
use config::{AuthConfig, MailConfig, Mode};
pub use desk::Desk;
use desk::Wish;
use password::Hasher;
use provider::Provider;
use seal::Seal;
use signing::SigningKeys;

/// Mails that wait to be written.
const WISHES_QUEUE: usize = 256;

/// Why identity cannot be set up.
#[derive(Debug, Error)]
pub enum AuthError {
    /// The file of the sealing key.
    #[error("cannot use {}: {source}", path.display())]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No HTTP client towards the provider.
    #[error("no HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    /// The mail settings cannot be used.
    #[error("mail cannot be sent: {0}")]
    Mail(#[from] mail::MailError),
}

/// What identity needs between requests.
#[derive(Debug)]
pub struct Auth {
    config: AuthConfig,
    /// An origin: no path, no slash at its end.
    public_url: String,
    seal: Seal,
    hasher: Hasher,
    signing_keys: SigningKeys,
    /// Failed sign-ins by account, by the hash of its address.
    by_account: Attempts<Vec<u8>>,
    /// Mails asked for, by who asks.
    asks: Attempts,
    wishes: mpsc::Sender<Wish>,
    desk: Mutex<Option<Desk>>,
    provider: Option<Provider>,
    clerk_secret: Option<svix::Secret>,
}

impl Auth {
    /// By `config`; `public_url` is where the public port is, unless `config` says how browsers reach it. Files lie
    /// in `data`.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub fn new(config: &AuthConfig, mail: &MailConfig, data: &Path, public_url: &str) -> Result<Self, AuthError> {
        let path = config.key_file.clone().unwrap_or_else(|| data.join("auth.key"));
        let seal = Seal::open(&path).map_err(|source| AuthError::KeyFile { path, source })?;
        let provider = match config.mode {
            Mode::Local => None,
            Mode::Oidc => Some(Provider::oidc(&config.oidc)?),
            Mode::Clerk => Some(Provider::clerk(&config.clerk)?),
        };
        Ok(Self::with(config.clone(), seal, mail::mailer(mail, data)?, public_url, provider))
    }

    /// Local accounts whose secrets end with the process, and mail that goes nowhere.
    pub(crate) fn ephemeral() -> Self {
        Self::with(AuthConfig::default(), Seal::ephemeral(), mail::nowhere(), "http://localhost", None)
    }

    fn with(
        config: AuthConfig,
        seal: Seal,
        mailer: mail::AnyMailer,
        public_url: &str,
        provider: Option<Provider>,
    ) -> Self {
        let (wishes, wished) = mpsc::channel(WISHES_QUEUE);
        let secret = config.clerk.webhook_secret.as_ref().filter(|_| config.mode == Mode::Clerk);
        Self {
            public_url: config.public_url.as_deref().unwrap_or(public_url).trim_end_matches('/').to_owned(),
            clerk_secret: secret.and_then(|secret| svix::Secret::parse(secret.expose())),
            seal,
            hasher: Hasher::new(),
            signing_keys: SigningKeys::default(),
            by_account: Attempts::default(),
            asks: Attempts::default(),
            wishes,
            desk: Mutex::new(Some(Desk::new(wished, mailer))),
            provider,
            config,
        }
    }

    /// The same with another way for mail to leave.
    #[must_use]
    pub fn with_mailer(self, mailer: mail::AnyMailer) -> Self {
        if let Some(desk) = self.desk.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            desk.use_mailer(mailer);
        }
        self
    }

    /// The desk that writes the mails; once. Whoever takes it runs it.
    pub fn take_desk(&self) -> Option<Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn config(&self) -> &AuthConfig {
        &self.config
    }

    pub(crate) fn seal(&self) -> &Seal {
        &self.seal
    }

    pub(crate) fn signing_keys(&self) -> &SigningKeys {
        &self.signing_keys
    }

    /// Who our own tokens are from, and for.
    pub(crate) fn own_issuer(&self) -> &str {
        &self.public_url
    }
}
