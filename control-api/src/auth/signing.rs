//! Our own access tokens: ES256 keys that rotate, kept sealed in the database, published as a key set.
//!
//! A key signs for a day, and is published for as long as a token that it signed may live, and an hour
//! more. A new one is published an hour before it signs, so that whoever keeps the set for that long
//! knows it in time.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::FromRow;
use tokio::time::Instant;
use uuid::Uuid;

use super::Auth;
use super::jwt::key::{self, VerifyingKey};
use super::jwt::{Claims, Refusal, Rules, Typ, Unverified};
use crate::ControlApi;
use crate::http::problem::ApiError;
use crate::secret;
use crate::sql;

/// How long an access token lives, in seconds.
pub(crate) const ACCESS_S: i64 = 600;
/// How long a key signs.
const SIGNS: TimeDelta = TimeDelta::hours(24);
/// How long a key is published before it signs, and after its last token is over.
const PUBLISHED_BESIDE: TimeDelta = TimeDelta::hours(1);
/// How long the keys are believed before the database is asked again.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// How long others may keep the set, in seconds.
const JWKS_MAX_AGE: &str = "public, max-age=600";
const PURPOSE: &str = "signing key";
/// The advisory lock of making a key ("headwjwk" in ASCII).
const LOCK: i64 = 0x6865_6164_776a_776b;

/// What an access token says.
#[derive(Debug, Serialize)]
struct AccessClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: Uuid,
    /// The refresh family.
    sid: Uuid,
    iat: i64,
    exp: i64,
    jti: String,
}

/// The keys as the database had them.
#[derive(Debug, Default)]
pub(crate) struct SigningKeys(RwLock<Option<Arc<Known>>>);

#[derive(Debug)]
struct Known {
    read_at: Instant,
    keys: Vec<SigningKey>,
    verifying: Vec<VerifyingKey>,
}

#[derive(Debug, FromRow)]
struct SigningKey {
    kid: String,
    public_key: Vec<u8>,
    private_key: Vec<u8>,
    created_at: DateTime<Utc>,
}

impl SigningKeys {
    /// The keys; from the database where they were not read for a minute, or `kid` is not among them.
    async fn known(&self, api: &ControlApi, kid: Option<&str>) -> Result<Arc<Known>, ApiError> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let is_young = |known: &Known, age| known.read_at.elapsed() < age;
        let has = |known: &Known| kid.is_none_or(|kid| known.keys.iter().any(|key| key.kid == kid));
        // An unknown name is looked up at most once a second, whoever asks.
        let floor = Duration::from_secs(1);
        if let Some(known) = kept.filter(|known| is_young(known, if has(known) { KNOWN_FOR } else { floor })) {
            return Ok(known);
        }
        let keys = read(api).await?;
        let verifying = keys.iter().map(|key| VerifyingKey::p256(&key.kid, &key.public_key)).collect();
        let known = Arc::new(Known { read_at: Instant::now(), keys, verifying });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }
}

/// The keys of the database; makes one where the newest is old, and removes those that are over.
async fn read(api: &ControlApi) -> Result<Vec<SigningKey>, ApiError> {
    let mut work = api.begin().await?;
    let sql =
        "select kid, public_key, private_key, created_at from signing_keys order by created_at desc, kid limit 32";
    let mut keys: Vec<SigningKey> = sql::query_as(sql).fetch_all(&mut *work).await?;
    let now = Utc::now();
    let is_due = |keys: &[SigningKey]| keys.first().is_none_or(|newest| newest.created_at + SIGNS < now);
    if !is_due(&keys) {
        return Ok(keys);
    }
    sql::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *work).await?;
    keys = sql::query_as(sql).fetch_all(&mut *work).await?;
    if !is_due(&keys) {
        return Ok(keys); // another process was faster
    }
    let made = generate(api.auth(), now)?;
    let insert = "insert into signing_keys (kid, public_key, private_key, created_at) values ($1, $2, $3, $4)";
    sql::query(insert)
        .bind(&made.kid)
        .bind(&made.public_key)
        .bind(&made.private_key)
        .bind(made.created_at)
        .execute(&mut *work)
        .await?;
    let over = SIGNS + PUBLISHED_BESIDE * 2 + TimeDelta::seconds(ACCESS_S) + SIGNS;
    let remove = "delete from signing_keys where created_at < $1";
    sql::query(remove).bind(now - over).execute(&mut *work).await?;
    work.commit().await?;
    keys.insert(0, made);
    keys.retain(|key| key.created_at >= now - over);
    Ok(keys)
}

fn generate(auth: &Auth, now: DateTime<Utc>) -> Result<SigningKey, ApiError> {
    let failed = |_| ApiError::Internal;
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
    let pkcs8 = pair.to_pkcs8v1().map_err(failed)?;
    Ok(SigningKey {
        kid: secret::random_hex::<8>(),
        public_key: pair.public_key().as_ref().to_vec(),
        private_key: auth.seal().seal(PURPOSE, pkcs8.as_ref()),
        created_at: now,
    })
}

impl Known {
    /// The newest key that others had time to learn of; the oldest there is where none is old enough.
    fn signer(&self, now: DateTime<Utc>) -> Option<&SigningKey> {
        let learned = self.keys.iter().find(|key| key.created_at + PUBLISHED_BESIDE <= now);
        learned.or(self.keys.last())
    }
}

/// An access token of `user`, signed in by the family `sid`.
pub(crate) async fn access_token(api: &ControlApi, user: Uuid, sid: Uuid) -> Result<String, ApiError> {
    let auth = api.auth();
    let known = auth.signing_keys().known(api, None).await?;
    let now = Utc::now();
    let key = known.signer(now).ok_or(ApiError::Internal)?;
    let Some(private) = auth.seal().open_sealed(PURPOSE, &key.private_key) else {
        tracing::error!(
            kid = key.kid,
            "a signing key cannot be opened: auth.key_file is not the one it was sealed with"
        );
        return Err(ApiError::Internal);
    };
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(key.kid.clone());
    header.typ = Some("at+jwt".to_owned());
    let iat = now.timestamp();
    let issuer = auth.own_issuer();
    let jti = secret::random_hex::<16>();
    let claims = AccessClaims { iss: issuer, aud: issuer, sub: user, sid, iat, exp: iat + ACCESS_S, jti };
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ec_der(&private)).map_err(|error| {
        tracing::error!(%error, "an access token could not be signed");
        ApiError::Internal
    })
}

/// The claims of one of our access tokens; `Ok(Err(_))` if it is none.
pub(crate) async fn verify(api: &ControlApi, token: &Unverified<'_>) -> Result<Result<Claims, Refusal>, ApiError> {
    let auth = api.auth();
    let known = auth.signing_keys().known(api, Some(token.kid().unwrap_or_default())).await?;
    let Some(key) = token.kid().and_then(|kid| key::find(&known.verifying, Some(kid))) else {
        return Ok(Err(Refusal::Signature));
    };
    let issuer = auth.own_issuer().to_owned();
    let rules = Rules { audiences: vec![issuer.clone()], issuer, parties: Vec::new(), typ: Typ::Access };
    Ok(token.verify(key, &rules, Utc::now().timestamp()))
}

/// `GET /.well-known/jwks.json`
pub(crate) async fn jwks(State(api): State<ControlApi>) -> Result<impl IntoResponse, ApiError> {
    let known = api.auth().signing_keys().known(&api, None).await?;
    let keys: Vec<Value> = known.keys.iter().filter_map(|key| key::p256_jwk(&key.kid, &key.public_key)).collect();
    Ok(([(CACHE_CONTROL, JWKS_MAX_AGE)], Json(json!({ "keys": keys }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signs_once_others_had_an_hour_to_learn_of_it() {
        let now = Utc::now();
        let key = |kid: &str, hours| SigningKey {
            kid: kid.to_owned(),
            public_key: Vec::new(),
            private_key: Vec::new(),
            created_at: now - TimeDelta::hours(hours),
        };
        let signer = |keys| {
            let known = Known { read_at: Instant::now(), keys, verifying: Vec::new() };
            known.signer(now).map(|key| key.kid.clone())
        };
        assert_eq!(signer(vec![key("new", 0), key("old", 24)]).as_deref(), Some("old"));
        assert_eq!(signer(vec![key("new", 1), key("old", 25)]).as_deref(), Some("new"));
        assert_eq!(signer(vec![key("first", 0)]).as_deref(), Some("first"));
        assert_eq!(signer(Vec::new()), None);
    }
}
