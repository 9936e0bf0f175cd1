//! Another provider's tokens: which rules they keep, and the keys they are signed with.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};

use super::config::{ClaimsConfig, ClerkConfig, OidcConfig, is_guarded};
use super::fetch;
use super::identities::Profile;
use super::jwks::{Jwks, KeyError};
use super::jwt::{Claims, Refusal, Rules, Typ, Unverified};

/// How long what the provider says of itself is believed.
const FRESH_FOR: Duration = Duration::from_secs(3600);
/// The least time between two tries to learn it.
const FLOOR: Duration = Duration::from_secs(10);

/// What an OpenID provider says of itself (OpenID Connect Discovery 1.0, 3).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Discovery {
    issuer: String,
    pub(crate) authorization_endpoint: String,
    pub(crate) token_endpoint: String,
    jwks_uri: String,
}

/// Why a provider's token was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum ProviderError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing can be said of it: the provider cannot be asked.
    #[error("the identity provider cannot be reached")]
    Away,
}

/// One provider.
#[derive(Debug)]
pub(crate) struct Provider {
    issuer: String,
    pub(crate) http: reqwest::Client,
    jwks: Jwks,
    bearer: Option<Rules>,
    pub(crate) claims: ClaimsConfig,
    kind: Kind,
    discovery: Mutex<Learned>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Oidc,
    Clerk,
}

#[derive(Debug, Default)]
struct Learned {
    tried: Option<Instant>,
    at: Option<Instant>,
    what: Option<Discovery>,
}

impl Provider {
    pub(crate) fn oidc(config: &OidcConfig) -> Result<Self, reqwest::Error> {
        let bearer = (!config.audiences.is_empty()).then(|| Rules {
            issuer: config.issuer.clone(),
            audiences: config.audiences.clone(),
            parties: config.authorized_parties.clone(),
            typ: Typ::Any,
        });
        Self::new(&config.issuer, bearer, config.claims.clone(), Kind::Oidc)
    }

    pub(crate) fn clerk(config: &ClerkConfig) -> Result<Self, reqwest::Error> {
        let bearer = Rules {
            issuer: config.issuer.clone(),
            audiences: Vec::new(), // session tokens name none
            parties: config.authorized_parties.clone(),
            typ: Typ::Plain,
        };
        Self::new(&config.issuer, Some(bearer), ClaimsConfig::default(), Kind::Clerk)
    }

    fn new(issuer: &str, bearer: Option<Rules>, claims: ClaimsConfig, kind: Kind) -> Result<Self, reqwest::Error> {
        let http = fetch::client()?;
        let jwks = Jwks::new(http.clone());
        let discovery = Mutex::new(Learned::default());
        Ok(Self { issuer: issuer.to_owned(), http, jwks, bearer, claims, kind, discovery })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What the claims say of somebody.
    pub(crate) fn profile(&self, claims: &Claims) -> Profile {
        match self.kind {
            Kind::Oidc => Profile::of(claims, &self.claims),
            Kind::Clerk => Profile::default(), // the webhook tells
        }
    }

    /// The claims of a bearer token, or of Clerk's session token.
    pub(crate) async fn bearer(&self, token: &Unverified<'_>, now_s: i64) -> Result<Claims, ProviderError> {
        let rules = self.bearer.as_ref().ok_or(Refusal::Audience)?;
        let claims = self.verify(token, rules, now_s).await?;
        // A Clerk session that still owes a step, such as a second factor, is none yet.
        if self.kind == Kind::Clerk && claims.text("sts") == Some("pending") {
            return Err(Refusal::Subject.into());
        }
        Ok(claims)
    }

    /// The claims of any token of the provider that keeps `rules`.
    pub(crate) async fn verify(
        &self,
        token: &Unverified<'_>,
        rules: &Rules,
        now_s: i64,
    ) -> Result<Claims, ProviderError> {
        let url = match self.kind {
            Kind::Oidc => self.discovery().await.ok_or(ProviderError::Away)?.jwks_uri,
            Kind::Clerk => format!("{}/.well-known/jwks.json", self.issuer),
        };
        let key = self.jwks.key(&url, token.kid()).await.map_err(|error| match error {
            KeyError::Unknown => ProviderError::Refused(Refusal::Signature),
            KeyError::Away => ProviderError::Away,
        })?;
        Ok(token.verify(&key, rules, now_s)?)
    }

    /// What the provider says of itself: fetched at most every ten seconds, and kept for when it is away.
    pub(crate) async fn discovery(&self) -> Option<Discovery> {
        let mut learned = self.discovery.lock().await;
        let is_young = |at: Option<Instant>, age| at.is_some_and(|at| at.elapsed() < age);
        if !is_young(learned.at, FRESH_FOR) && !is_young(learned.tried, FLOOR) {
            learned.tried = Some(Instant::now());
            match self.learn().await {
                Ok(what) => *learned = Learned { tried: learned.tried, at: learned.tried, what: Some(what) },
                Err(reason) => {
                    tracing::warn!(issuer = self.issuer, reason, "the identity provider does not say how to use it");
                }
            }
        }
        learned.what.clone()
    }

    async fn learn(&self) -> Result<Discovery, String> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let body = fetch::get(&self.http, &url).await.map_err(|error| error.to_string())?;
        let found: Value = serde_json::from_slice(&body).map_err(|_| "its answer is not JSON".to_owned())?;
        let found: Discovery = serde_json::from_value(found).map_err(|error| error.to_string())?;
        if found.issuer != self.issuer {
            return Err(format!("it calls itself {:?}", found.issuer));
        }
        let urls = [&found.authorization_endpoint, &found.token_endpoint, &found.jwks_uri];
        if let Some(url) = urls.into_iter().find(|url| !is_guarded(url)) {
            return Err(format!("it names an address that is not guarded: {url:?}"));
        }
        Ok(found)
    }
}
