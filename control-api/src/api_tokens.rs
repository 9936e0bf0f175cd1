//! API tokens: who may administer.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use sqlx::PgConnection;

use crate::ControlApi;
use crate::http::problem::ApiError;
use crate::secret;
use crate::sql;

/// Proof that the request carries a valid token of role `admin`. As an extractor before the body
/// it refuses before anything is read.
pub(crate) struct Admin(());

impl FromRequestParts<ControlApi> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ControlApi) -> Result<Self, ApiError> {
        let token = bearer(parts).ok_or(ApiError::TokenMissing)?;
        match role(&mut *api.begin().await?, token).await?.as_deref() {
            Some("admin") => Ok(Self(())),
            Some(_) => Err(ApiError::RoleInsufficient),
            None => Err(ApiError::TokenUnknown),
        }
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 2.1); the scheme's case does not matter
/// (RFC 9110 11.1).
fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The role of a token, if it is valid.
async fn role(work: &mut PgConnection, token: &str) -> Result<Option<String>, sqlx::Error> {
    let sql = "select role from api_tokens where hash = $1 and revoked_at is null";
    let query = sql::query_scalar(sql).bind(secret::hash(token));
    query.fetch_optional(work).await
}
