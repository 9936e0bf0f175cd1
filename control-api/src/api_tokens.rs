//! API tokens: who may administer.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::ControlApi;
use crate::http::client::Sender;
use crate::http::cookie::SessionCookie;
use crate::http::problem::ApiError;
use crate::secret;
use crate::sql;
use crate::web_sessions;

/// Who asks: the holder of a valid API token, by the token itself or by the cookie of a browser
/// that signed in with it. As an extractor before the body it refuses before anything is read.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Caller {
    /// The token's id.
    pub(crate) id: Uuid,
    /// What the token is called.
    pub(crate) name: String,
    /// What it may do: `admin` or `read`.
    pub(crate) role: String,
}

impl FromRequestParts<ControlApi> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ControlApi) -> Result<Self, ApiError> {
        if let Some(token) = bearer(&parts.headers) {
            let found = by_token(&mut *api.begin().await?, token).await?;
            return found.ok_or(ApiError::TokenUnknown);
        }
        let cookie = SessionCookie::of(&parts.headers);
        if cookie == SessionCookie::Absent {
            return Err(ApiError::TokenMissing);
        }
        // A browser sends the cookie whoever's page asks, so what changes something needs a proof.
        if !parts.method.is_safe() && Sender::of(parts) != Sender::OwnPage {
            return Err(ApiError::CrossSite);
        }
        web_sessions::caller(api, cookie).await?.ok_or(ApiError::SessionExpired)
    }
}

/// For what everybody may ask, and callers are told more: a cookie that is over makes a stranger,
/// so that public pages go on; a wrong token is an error.
impl OptionalFromRequestParts<ControlApi> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ControlApi) -> Result<Option<Self>, ApiError> {
        match <Self as FromRequestParts<ControlApi>>::from_request_parts(parts, api).await {
            Err(ApiError::TokenMissing | ApiError::SessionExpired) => Ok(None),
            found => found.map(Some),
        }
    }
}

/// A caller whose token has the role `admin`.
pub(crate) struct Admin(pub(crate) Caller);

impl FromRequestParts<ControlApi> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ControlApi) -> Result<Self, ApiError> {
        let caller = <Caller as FromRequestParts<ControlApi>>::from_request_parts(parts, api).await?;
        match caller.role.as_str() {
            "admin" => Ok(Self(caller)),
            _ => Err(ApiError::RoleInsufficient),
        }
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 2.1); the scheme's case does not matter
/// (RFC 9110 11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The holder of `token`, if it is valid.
pub(crate) async fn by_token(work: &mut PgConnection, token: &str) -> Result<Option<Caller>, sqlx::Error> {
    let sql = "select id, name, role from api_tokens where hash = $1 and revoked_at is null";
    let query = sql::query_as(sql).bind(secret::hash(token));
    query.fetch_optional(work).await
}
