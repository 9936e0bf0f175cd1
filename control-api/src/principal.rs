//! Who asks: a user or an API token, however they proved it.
//!
//! [`resolve`] is the one place where a request's proof becomes a [`Principal`]. It knows what its holder is; what they
//! may do is the table's of [`crate::permission`].

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::ControlApi;
use crate::auth::bearer as signed;
use crate::http::client::Sender;
use crate::http::cookie::SessionCookie;
use crate::http::problem::ApiError;
use crate::permission::{ChannelRole, Permission, Role, Scopes};
use crate::secret;
use crate::sql::{self, Work};
use crate::web_sessions;

/// Whose rights count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// A user's, by whatever proof.
    User(Uuid),
    /// An API token's that belongs to no user.
    Token(Uuid),
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    pub(crate) who: Who,
    /// The API token by which they came, if by one, also behind a browser's cookie.
    pub(crate) token: Option<Uuid>,
    /// The user's handle, or what the token is called.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// What their proof is narrowed to; `None` is all that the role may.
    pub(crate) scopes: Option<Scopes>,
    /// When a person proved who they are, where one did.
    pub(crate) signed_in_at: Option<DateTime<Utc>>,
}

impl Principal {
    /// The user, if they are one.
    pub(crate) fn user(&self) -> Option<Uuid> {
        match self.who {
            Who::User(id) => Some(id),
            Who::Token(_) => None,
        }
    }

    /// Whether they may do it everywhere.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.is_in_scope(permission) && permission.is_of(self.role)
    }

    /// Whether they may do it on a channel where they are `member`.
    pub(crate) fn may_on(&self, permission: Permission, member: Option<ChannelRole>) -> bool {
        let by_channel = member.is_some_and(|role| permission.is_of_member(role));
        self.is_in_scope(permission) && (by_channel || permission.is_of(self.role))
    }

    fn is_in_scope(&self, permission: Permission) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.hold(permission))
    }
}

/// A holder as the look-ups below and in `web_sessions` find it.
#[derive(Debug, FromRow)]
pub(crate) struct HolderRow {
    token: Option<Uuid>,
    user_id: Option<Uuid>,
    name: String,
    role: String,
    scopes: Option<Vec<String>>,
    suspended: bool,
    signed_in_at: Option<DateTime<Utc>>,
    /// Their last use was noted over a minute ago.
    unseen: bool,
}

/// The columns of [`HolderRow`], of an API token `t` and a user `u`, each of which may be missing. A token that is
/// narrowed may do what its scopes say.
macro_rules! holder {
    ($signed_in_at:literal, $from:literal) => {
        concat!(
            "select t.id as token, u.id as user_id, coalesce(u.name, t.name) as name, \
             coalesce(u.role, case when t.scopes is not null then 'admin' else t.role end) as role, t.scopes, \
             coalesce(u.state = 'suspended', false) as suspended, ",
            $signed_in_at,
            " as signed_in_at, (t.id is not null and coalesce(t.last_used_at < now() - interval '1 minute', true)) \
             or (u.id is not null and coalesce(u.last_seen_at < now() - interval '1 minute', true)) as unseen ",
            $from,
            " and (t.id is null or (t.revoked_at is null and coalesce(t.expires_at > now(), true))) \
             and (t.id is not null or u.id is not null) and u.deleted_at is null"
        )
    };
}
pub(crate) use holder;

impl TryFrom<HolderRow> for Principal {
    type Error = ApiError;

    fn try_from(row: HolderRow) -> Result<Self, ApiError> {
        if row.suspended {
            return Err(ApiError::UserSuspended);
        }
        let who = row.user_id.map(Who::User).or(row.token.map(Who::Token));
        let known = who.zip(Role::of(&row.role));
        let (who, role) = known.ok_or_else(|| {
            tracing::error!(role = row.role, "a holder without an id, or with a role that is none");
            ApiError::Internal
        })?;
        let scopes = row.scopes.as_deref().map(Scopes::of);
        Ok(Self { who, token: row.token, name: row.name, role, scopes, signed_in_at: row.signed_in_at })
    }
}

/// Who sent the request, by the first proof that it carries: `Authorization: Bearer …`, else the cookie of a browser.
///
/// # Errors
/// `token_missing` without any proof; else why it is none.
pub(crate) async fn resolve(api: &ControlApi, parts: &Parts) -> Result<Principal, ApiError> {
    if let Some(token) = bearer(&parts.headers) {
        return by_bearer(api, token).await;
    }
    let cookie = SessionCookie::of(&parts.headers);
    let signed = signed::clerk_cookie(api, &parts.headers).filter(|_| cookie == SessionCookie::Absent);
    if cookie == SessionCookie::Absent && signed.is_none() {
        return Err(ApiError::TokenMissing);
    }
    // A browser sends the cookie whoever's page asks, so what changes something needs a proof.
    if !parts.method.is_safe() && Sender::of(parts) != Sender::OwnPage {
        return Err(ApiError::CrossSite);
    }
    if let Some(token) = signed {
        return by_signed(api, token).await.map_err(|error| match error {
            ApiError::TokenUnknown => ApiError::SessionExpired,
            error => error,
        });
    }
    web_sessions::holder(api, cookie).await?.ok_or(ApiError::SessionExpired)
}

async fn by_bearer(api: &ControlApi, token: &str) -> Result<Principal, ApiError> {
    if signed::is_signed(token) {
        return by_signed(api, token).await;
    }
    let mut work = api.begin().await?;
    let found = find_token(&mut work, token).await?.ok_or(ApiError::TokenUnknown)?;
    admit(work, found, false).await
}

/// The user whom a signed token proves: one of ours, or of the configured provider.
async fn by_signed(api: &ControlApi, token: &str) -> Result<Principal, ApiError> {
    let proven = signed::user(api, token).await?;
    let mut work = api.begin().await?;
    let sql = holder!("$2::timestamptz", "from users u left join api_tokens t on false where u.id = $1");
    let found: Option<HolderRow> =
        sql::query_as(sql).bind(proven.user).bind(proven.signed_in_at).fetch_optional(&mut *work).await?;
    admit(work, found.ok_or(ApiError::TokenUnknown)?, false).await
}

/// The holder of the API token `token`, if it is valid.
pub(crate) async fn find_token(work: &mut PgConnection, token: &str) -> Result<Option<HolderRow>, sqlx::Error> {
    let sql = holder!("null::timestamptz", "from api_tokens t left join users u on u.id = t.user_id where t.hash = $1");
    sql::query_as(sql).bind(secret::hash(token)).fetch_optional(work).await
}

/// The principal of a row, whose use is noted at most once a minute; commits what else was `changed`.
pub(crate) async fn admit(mut work: Work, found: HolderRow, changed: bool) -> Result<Principal, ApiError> {
    let unseen = found.unseen;
    let principal = Principal::try_from(found)?;
    if unseen && let Err(error) = note_use(&mut work, &principal).await {
        // A record for people; no reason to turn anybody away.
        tracing::warn!(%error, "the use of an account was not recorded");
        return Ok(principal);
    }
    if (unseen || changed)
        && let Err(error) = work.commit().await
    {
        tracing::warn!(%error, "the use of an account was not recorded");
    }
    Ok(principal)
}

async fn note_use(work: &mut Work, principal: &Principal) -> Result<(), sqlx::Error> {
    let sql = "with used as (update api_tokens set last_used_at = now() where id = $1) \
               update users set last_seen_at = now() where id = $2";
    sql::query(sql).bind(principal.token).bind(principal.user()).execute(&mut **work).await?;
    Ok(())
}

/// The token of `Authorization: Bearer …` (RFC 6750 2.1); the scheme's case does not matter
/// (RFC 9110 11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// As an extractor before the body it refuses before anything is read.
impl FromRequestParts<ControlApi> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ControlApi) -> Result<Self, ApiError> {
        match parts.extensions.get::<Self>() {
            Some(known) => Ok(known.clone()),
            None => resolve(api, parts).await,
        }
    }
}

/// For what everybody may ask, and some are told more: a cookie that is over makes a stranger, so
/// that public pages go on; a wrong token is an error.
impl OptionalFromRequestParts<ControlApi> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ControlApi) -> Result<Option<Self>, ApiError> {
        match <Self as FromRequestParts<ControlApi>>::from_request_parts(parts, api).await {
            Err(ApiError::TokenMissing | ApiError::SessionExpired | ApiError::UserSuspended) => Ok(None),
            found => found.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(role: Role, scopes: Option<&[&str]>) -> Principal {
        let words = |words: &[&str]| Scopes::of(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        Principal {
            who: Who::User(Uuid::nil()),
            token: None,
            name: "ann".to_owned(),
            role,
            scopes: scopes.map(words),
            signed_in_at: None,
        }
    }

    #[test]
    fn a_creator_may_on_channels_of_their_own_alone() {
        let ann = principal(Role::Creator, None);
        assert!(ann.may(Permission::ChannelCreate) && !ann.may(Permission::ChannelDelete));
        assert!(ann.may_on(Permission::ChannelDelete, Some(ChannelRole::Owner)));
        assert!(!ann.may_on(Permission::ChannelDelete, Some(ChannelRole::Editor)));
        assert!(!ann.may_on(Permission::ChannelDelete, None));
    }

    #[test]
    fn scopes_narrow_every_right_and_widen_none() {
        let narrowed = principal(Role::Admin, Some(&["key.read"]));
        assert!(narrowed.may(Permission::KeyRead) && !narrowed.may(Permission::KeyWrite));
        let viewer = principal(Role::Viewer, Some(&["key.read"]));
        assert!(!viewer.may(Permission::KeyRead));
        assert!(viewer.may_on(Permission::KeyRead, Some(ChannelRole::Owner)));
        assert!(!viewer.may_on(Permission::KeyWrite, Some(ChannelRole::Owner)));
        assert!(!principal(Role::Admin, Some(&[])).may(Permission::KeyRead));
    }
}
