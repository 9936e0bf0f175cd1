//! Passwords: what one must be, and argon2id over it on a few threads.
//!
//! A hash takes 19 MiB and some 30 ms on purpose. So that sign-ins can starve nothing else, few are made
//! at once, few wait, and what comes beyond is refused at once.

use std::fmt;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::http::extract::invalid;
use crate::http::problem::ApiError;

/// Hashes that are made at once.
const AT_ONCE: usize = 2;
/// Hashes that are made or wait.
const WAITING_MAX: usize = 32;
/// When to come again if they are too many, in seconds.
const RETRY_AFTER_S: u64 = 2;

/// Fewer characters can be guessed (NIST SP 800-63B 3.1.1.2 asks for 8 at least).
const CHARACTERS_LEAST: usize = 10;
/// Longer ones are nobody's, and only cost time.
const BYTES_MOST: usize = 1_024;

/// A password as its user sent it. `Debug` does not show it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Password {
    /// Checks a new password of the user with `email`.
    pub(crate) fn check_new(&self, email: &str) -> Result<(), ApiError> {
        let refuse = |reason: &str| Err(invalid("password", reason.to_owned()));
        if self.0.chars().count() < CHARACTERS_LEAST || self.0.len() > BYTES_MOST {
            return refuse("must have at least 10 characters, and at most 1024 bytes");
        }
        let lower = self.0.to_lowercase();
        if lower == email || email.split('@').next().is_some_and(|name| name == lower) {
            return refuse("must not be the e-mail address");
        }
        let mut characters = lower.chars();
        let first = characters.next();
        if characters.all(|character| Some(character) == first) {
            return refuse("must not be one character over and over");
        }
        Ok(())
    }
}

/// Makes and checks hashes.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    waiting: Arc<Semaphore>,
    working: Arc<Semaphore>,
    /// The hash of a password that nobody has: what is checked where there is no user, so that the
    /// time an answer takes does not tell whether there is one.
    nobody: Arc<str>,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        let nobody = hash(crate::secret::random_hex::<16>().as_bytes()).unwrap_or_default();
        Self {
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            working: Arc::new(Semaphore::new(AT_ONCE)),
            nobody: nobody.into(),
        }
    }

    /// The hash of `password`, a PHC string.
    ///
    /// # Errors
    /// [`ApiError::Busy`] if too many wait.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, ApiError> {
        self.run(move || hash(password.0.as_bytes())).await?.ok_or(ApiError::Internal)
    }

    /// Whether `password` is the one behind `known`; without it, false after the same time.
    ///
    /// # Errors
    /// [`ApiError::Busy`] if too many wait.
    pub(crate) async fn verify(&self, password: Password, known: Option<String>) -> Result<bool, ApiError> {
        let nobody = self.nobody.clone();
        self.run(move || {
            let right = verify(password.0.as_bytes(), known.as_deref().unwrap_or(&nobody));
            right && known.is_some()
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let busy = |_| ApiError::Busy { retry_after_s: RETRY_AFTER_S };
        let place = self.waiting.clone().try_acquire_owned().map_err(busy)?;
        let turn = self.working.clone().acquire_owned().await.map_err(|_| ApiError::Internal)?;
        // The places go with the work, which goes on if nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            work()
        });
        done.await.map_err(|error| {
            tracing::error!(%error, "hashing a password failed");
            ApiError::Internal
        })
    }
}

/// OWASP's first choice for argon2id: 19 MiB, 2 passes, 1 lane.
fn argon2() -> Option<Argon2<'static>> {
    let params = Params::new(19 * 1024, 2, 1, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &[u8]) -> Option<String> {
    let mut salt = [0_u8; 16];
    rand::fill(&mut salt);
    let hash = argon2()?.hash_password_with_salt(password, &salt).ok()?;
    Some(hash.to_string())
}

fn verify(password: &[u8], known: &str) -> bool {
    let known = PasswordHash::new(known).ok();
    // The parameters are those of the hash, so that older ones go on being checked.
    known.is_some_and(|known| Argon2::default().verify_password(password, &known).is_ok())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn password(text: &str) -> Password {
        Password(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_opens_its_own_hash_alone() {
        let hasher = Hasher::new();
        let hash = hasher.hash(password("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, hasher.hash(password("correct horse")).await.unwrap());
        assert!(hasher.verify(password("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify(password("correct house"), Some(hash)).await.unwrap());
        for broken in ["", "x", "$argon2id$v=19$m=19456,t=2,p=1$", &hasher.nobody] {
            assert!(!hasher.verify(password("correct horse"), Some(broken.to_owned())).await.unwrap(), "{broken}");
        }
    }

    #[test]
    fn nobody_is_checked_at_the_price_of_somebody() {
        let hasher = Hasher::new();
        let nobody = PasswordHash::new(&hasher.nobody).unwrap();
        let hash = hash(b"correct horse").unwrap();
        let somebody = PasswordHash::new(&hash).unwrap();
        assert_eq!(nobody.params, somebody.params);
        assert_eq!(nobody.algorithm, somebody.algorithm);
    }

    #[tokio::test]
    async fn where_too_many_wait_the_next_is_refused_at_once() {
        let hasher = Hasher::new();
        let all = hasher.waiting.clone().acquire_many_owned(u32::try_from(WAITING_MAX).unwrap()).await.unwrap();
        let refused = hasher.hash(password("correct horse")).await;
        assert!(matches!(refused, Err(ApiError::Busy { .. })), "{refused:?}");
        drop(all);
        assert!(!hasher.verify(password("x"), None).await.unwrap());
        assert_eq!(hasher.waiting.available_permits(), WAITING_MAX);
    }

    #[tokio::test]
    async fn nobody_waits_in_the_same_line_as_somebody() {
        let hasher = Hasher::new();
        let hash = hasher.hash(password("correct horse")).await.unwrap();
        let turns = hasher.working.clone().acquire_many_owned(u32::try_from(AT_ONCE).unwrap()).await.unwrap();
        let mut nobody = Box::pin(hasher.verify(password("x"), None));
        let mut somebody = Box::pin(hasher.verify(password("x"), Some(hash)));
        assert!((&mut nobody).now_or_never().is_none() && (&mut somebody).now_or_never().is_none());
        assert_eq!(hasher.waiting.available_permits(), WAITING_MAX - 2);
        drop(turns);
        assert!(!nobody.await.unwrap() && !somebody.await.unwrap());
    }

    #[test]
    fn short_and_plain_passwords_are_refused() {
        let check = |text: &str| password(text).check_new("anna.archer@example.org").is_ok();
        for bad in ["", "short", "ninechars", "anna.archer@example.org", "Anna.Archer", "aaaaaaaaaaaaa"] {
            assert!(!check(bad), "{bad}");
        }
        assert!(!check(&"ab".repeat(600)));
        for good in ["correct horse", "日本語日本語日本語日", "ab ab ab ab"] {
            assert!(check(good), "{good}");
        }
    }

    #[test]
    fn debug_output_hides_the_password() {
        assert!(!format!("{:?}", password("hunter2hunter2")).contains("hunter2"));
    }
}
