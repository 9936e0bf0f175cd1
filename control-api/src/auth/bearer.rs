//! From a signed token to the user behind it.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::config::Mode;
use super::identities;
use super::jwt::{Refusal, Unverified};
use super::provider::ProviderError;
use super::signing;
use crate::ControlApi;
use crate::http::problem::ApiError;
use crate::sql;

/// The name of Clerk's cookie.
const CLERK_COOKIE: &str = "__session";

/// Whom a signed token proves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proven {
    pub(crate) user: Uuid,
    /// When they signed in, where the token says so.
    pub(crate) signed_in_at: Option<DateTime<Utc>>,
}

/// Whether `token` has the shape of a signed one, rather than that of an API token.
pub(crate) fn is_signed(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Clerk's session token as a browser's cookie, where Clerk keeps the accounts.
pub(crate) fn clerk_cookie<'a>(api: &ControlApi, headers: &'a HeaderMap) -> Option<&'a str> {
    if api.auth().config().mode != Mode::Clerk {
        return None;
    }
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(CLERK_COOKIE)?.strip_prefix('=')).filter(|token| is_signed(token))
}

/// The user whom `token` proves.
///
/// # Errors
/// `token_unknown` for all that is wrong with it; 503 where nothing can be said.
pub(crate) async fn user(api: &ControlApi, token: &str) -> Result<Proven, ApiError> {
    let result = prove(api, token).await;
    if let Err(refusal) = &result {
        // The reason is for the operator; who forges tokens learns nothing.
        tracing::debug!(?refusal, "a signed token was refused");
        api.metrics().signed_tokens_refused.inc();
    }
    result
}

async fn prove(api: &ControlApi, token: &str) -> Result<Proven, ApiError> {
    let refused = |refusal: Refusal| {
        tracing::debug!(%refusal, "a signed token was refused");
        ApiError::TokenUnknown
    };
    let token = Unverified::parse(token).map_err(refused)?;
    if api.auth().config().mode == Mode::Local {
        let claims = signing::verify(api, &token).await?.map_err(refused)?;
        let id = |name: &str| claims.text(name).and_then(|text| Uuid::parse_str(text).ok());
        let (user, family) = id("sub").zip(id("sid")).ok_or(ApiError::TokenUnknown)?;
        return of_family(api, user, family).await;
    }
    let provider = api.auth().provider.as_ref().ok_or(ApiError::TokenUnknown)?;
    let claims = provider.bearer(&token, Utc::now().timestamp()).await.map_err(|error| match error {
        ProviderError::Refused(refusal) => refused(refusal),
        ProviderError::Away => away(),
    })?;
    let subject = claims.text("sub").unwrap_or_default();
    let user = identities::user(api, provider.issuer(), subject, provider.profile(&claims)).await?;
    let signed_in_at = claims.issued_at().and_then(|at| DateTime::from_timestamp(at, 0));
    Ok(Proven { user: user.ok_or(ApiError::TokenUnknown)?, signed_in_at })
}

/// A token of ours ends with the sign-in that it came from.
async fn of_family(api: &ControlApi, user: Uuid, family: Uuid) -> Result<Proven, ApiError> {
    let sql = "select created_at from refresh_families \
               where id = $1 and user_id = $2 and revoked_at is null and expires_at > now()";
    let mut work = api.begin().await?;
    let query = sql::query_scalar(sql).bind(family).bind(user);
    let signed_in_at: Option<DateTime<Utc>> = query.fetch_optional(&mut *work).await?;
    Ok(Proven { user, signed_in_at: Some(signed_in_at.ok_or(ApiError::TokenUnknown)?) })
}

/// What is answered while the provider cannot be asked.
pub(crate) fn away() -> ApiError {
    ApiError::ProviderUnavailable
}
