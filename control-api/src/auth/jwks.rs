//! The keys of another provider: fetched when one is missing, one fetch at a time, and never often.
//!
//! Keys that are known go on being used while the provider is away.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::fetch::{self, FetchError};
use super::jwt::key::{self, VerifyingKey};

/// The least time between two fetches, so that tokens with made-up key ids cost nothing.
const FLOOR: Duration = Duration::from_secs(30);
/// Keys older than this are fetched again, so that one that was withdrawn is not used for ever.
const FRESH_FOR: Duration = Duration::from_secs(600);

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum KeyError {
    /// The provider has no such key, or had none within the last seconds.
    #[error("no such key")]
    Unknown,
    /// The provider cannot be asked, and nothing is known of before.
    #[error("the provider's keys cannot be fetched")]
    Away,
}

/// The keys of one provider.
#[derive(Debug)]
pub(crate) struct Jwks {
    http: reqwest::Client,
    known: RwLock<Option<Known>>,
    /// When the last fetch began; held while one runs.
    fetched: Mutex<Option<Instant>>,
}

#[derive(Debug, Clone)]
struct Known {
    at: Instant,
    keys: Arc<[VerifyingKey]>,
}

impl Jwks {
    pub(crate) fn new(http: reqwest::Client) -> Self {
        Self { http, known: RwLock::new(None), fetched: Mutex::new(None) }
    }

    /// The key of that name from the set at `url`.
    pub(crate) async fn key(&self, url: &str, kid: Option<&str>) -> Result<VerifyingKey, KeyError> {
        match self.look(kid) {
            Look::Fresh(key) => return Ok(key),
            // Somebody fetches already, or may not yet: an old key is good enough.
            Look::Old(key) => match self.fetched.try_lock() {
                Ok(mut fetched) => self.refresh(url, &mut fetched).await,
                Err(_) => return Ok(key),
            },
            Look::Missing => {
                let mut fetched = self.fetched.lock().await;
                if let Look::Missing = self.look(kid) {
                    self.refresh(url, &mut fetched).await;
                }
            }
        }
        match self.look(kid) {
            Look::Fresh(key) | Look::Old(key) => Ok(key),
            Look::Missing if self.read().is_some() => Err(KeyError::Unknown),
            Look::Missing => Err(KeyError::Away),
        }
    }

    async fn refresh(&self, url: &str, fetched: &mut Option<Instant>) {
        if fetched.is_some_and(|at| at.elapsed() < FLOOR) {
            return;
        }
        *fetched = Some(Instant::now());
        let keys = match fetch::get(&self.http, url).await {
            Ok(body) => key::set(&body).ok_or(FetchError::Content),
            Err(error) => Err(error),
        };
        match keys {
            Ok(keys) => {
                let known = Known { at: Instant::now(), keys: keys.into() };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
            }
            Err(error) => tracing::warn!(%error, url, "the keys of the identity provider could not be fetched"),
        }
    }

    fn read(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn look(&self, kid: Option<&str>) -> Look {
        let Some(known) = self.read() else { return Look::Missing };
        match key::find(&known.keys, kid) {
            Some(key) if known.at.elapsed() < FRESH_FOR => Look::Fresh(key.clone()),
            Some(key) => Look::Old(key.clone()),
            None => Look::Missing,
        }
    }
}

enum Look {
    Fresh(VerifyingKey),
    Old(VerifyingKey),
    Missing,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use futures_util::future::join_all;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    /// A provider with one key, that can be told to fail; it ends with the value.
    struct Provider {
        url: String,
        asked: Arc<AtomicU32>,
        is_away: Arc<AtomicBool>,
        _server: JoinSet<()>,
    }

    const SET: &str =
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    async fn provider() -> Provider {
        let (asked, is_away) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, away) = (asked.clone(), is_away.clone());
        let answer = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let away = away.load(Ordering::SeqCst);
            async move { if away { (StatusCode::BAD_GATEWAY, "") } else { (StatusCode::OK, SET) } }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, Router::new().route("/jwks", get(answer))).await.unwrap() });
        Provider { url, asked, is_away, _server: server }
    }

    impl Provider {
        fn asked(&self) -> u32 {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn many_at_once_cost_one_fetch_and_a_made_up_name_none_within_the_floor() {
        let (provider, jwks) = (provider().await, Jwks::new(fetch::client().unwrap()));
        let found = join_all((0..50).map(|_| jwks.key(&provider.url, Some("a")))).await;
        assert!(found.iter().all(Result::is_ok));
        assert_eq!(provider.asked(), 1);
        for _ in 0..50 {
            assert_eq!(jwks.key(&provider.url, Some("made up")).await.unwrap_err(), KeyError::Unknown);
        }
        assert_eq!(provider.asked(), 1);
        tokio::time::pause();
        tokio::time::advance(FLOOR).await;
        tokio::time::resume();
        assert_eq!(jwks.key(&provider.url, Some("made up")).await.unwrap_err(), KeyError::Unknown);
        assert_eq!(provider.asked(), 2);
        assert!(jwks.key(&provider.url, None).await.is_ok());
    }

    #[tokio::test]
    async fn known_keys_serve_on_while_the_provider_is_away() {
        let (provider, jwks) = (provider().await, Jwks::new(fetch::client().unwrap()));
        provider.is_away.store(true, Ordering::SeqCst);
        assert_eq!(jwks.key(&provider.url, Some("a")).await.unwrap_err(), KeyError::Away);
        provider.is_away.store(false, Ordering::SeqCst);
        assert_eq!(jwks.key(&provider.url, Some("a")).await.unwrap_err(), KeyError::Away, "within the floor");
        tokio::time::pause();
        tokio::time::advance(FLOOR).await;
        tokio::time::resume();
        assert!(jwks.key(&provider.url, Some("a")).await.is_ok());
        provider.is_away.store(true, Ordering::SeqCst);
        tokio::time::pause();
        tokio::time::advance(FRESH_FOR).await;
        tokio::time::resume();
        for _ in 0..3 {
            assert!(jwks.key(&provider.url, Some("a")).await.is_ok());
        }
        assert_eq!(provider.asked(), 3);
    }
}
