//! Who a user is at another provider: found by issuer and subject alone, made when somebody first comes.
//!
//! An address that a provider tells never joins somebody to a user who is there already: who can
//! make a provider say an address would else become that user.

use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::config::ClaimsConfig;
use super::jwt::Claims;
use super::users::{self, Email, NewUser};
use crate::ControlApi;
use crate::http::problem::ApiError;
use crate::sql;

/// What a provider says of somebody.
#[derive(Debug, Clone, Default)]
pub(crate) struct Profile {
    pub(crate) name: Option<String>,
    pub(crate) display_name: Option<String>,
    /// Only where the provider has proven it.
    pub(crate) email: Option<Email>,
}

impl Profile {
    /// As the claims of a token have it.
    pub(crate) fn of(claims: &Claims, names: &ClaimsConfig) -> Self {
        let text = |name: &str| claims.text(name).map(str::to_owned);
        let is_proven = claims.get("email_verified") == Some(&Value::Bool(true));
        let email = claims.text(&names.email).filter(|_| is_proven);
        Self { name: text(&names.name), display_name: text(&names.display_name), email: email.and_then(Email::parse) }
    }
}

#[derive(FromRow)]
struct Row {
    user_id: Option<Uuid>,
    is_removed: bool,
}

/// Locks the identity for this transaction, there or not.
async fn lock(work: &mut PgConnection, issuer: &str, subject: &str) -> Result<Option<Row>, sqlx::Error> {
    let sql = "select pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 8))";
    sql::query(sql).bind(issuer).bind(subject).execute(&mut *work).await?;
    find(work, issuer, subject).await
}

async fn find(work: &mut PgConnection, issuer: &str, subject: &str) -> Result<Option<Row>, sqlx::Error> {
    let sql = "select user_id, removed_at is not null as is_removed from user_identities \
               where issuer = $1 and subject = $2";
    sql::query_as(sql).bind(issuer).bind(subject).fetch_optional(work).await
}

/// The user behind an identity, made if it is new; `None` if it was removed.
pub(crate) async fn user(
    api: &ControlApi,
    issuer: &str,
    subject: &str,
    profile: Profile,
) -> Result<Option<Uuid>, ApiError> {
    let mut work = api.begin().await?;
    if let Some(row) = find(&mut work, issuer, subject).await? {
        return Ok(row.user_id.filter(|_| !row.is_removed));
    }
    if let Some(row) = lock(&mut work, issuer, subject).await? {
        return Ok(row.user_id.filter(|_| !row.is_removed));
    }
    let user = make(&mut work, api.auth().config().new_role.as_str(), issuer, subject, profile, 0).await?;
    work.commit().await?;
    Ok(Some(user))
}

async fn make(
    work: &mut PgConnection,
    role: &'static str,
    issuer: &str,
    subject: &str,
    profile: Profile,
    updated_us: i64,
) -> Result<Uuid, ApiError> {
    let Profile { name, display_name, email } = profile;
    let email = match email {
        Some(email) if users::by_email(work, &email).await?.is_none() => Some(email),
        _ => None,
    };
    let user = users::create(work, NewUser { name, display_name, email, role }).await?;
    let sql = "insert into user_identities (issuer, subject, user_id, updated_us) values ($1, $2, $3, $4)";
    sql::query(sql).bind(issuer).bind(subject).bind(user).bind(updated_us).execute(&mut *work).await?;
    users::note(work, user, "account.first_seen", None).await?;
    Ok(user)
}

/// What a webhook says: the profile as it was at `at_us`; older words change nothing.
pub(crate) async fn told(
    work: &mut PgConnection,
    role: &'static str,
    (issuer, subject): (&str, &str),
    profile: Profile,
    at_us: i64,
) -> Result<(), ApiError> {
    let Some(row) = lock(work, issuer, subject).await? else {
        make(work, role, issuer, subject, profile, at_us).await?;
        return Ok(());
    };
    let (Some(user), false) = (row.user_id, row.is_removed) else { return Ok(()) };
    let sql = "update user_identities set updated_us = $3 where issuer = $1 and subject = $2 and updated_us < $3";
    if sql::query(sql).bind(issuer).bind(subject).bind(at_us).execute(&mut *work).await?.rows_affected() == 0 {
        return Ok(());
    }
    let email = match profile.email {
        Some(email) if users::by_email(work, &email).await?.is_none_or(|holder| holder == user) => Some(email),
        _ => None,
    };
    let sql = "update users set display_name = coalesce($2, display_name), email = coalesce($3, email), \
               updated_at = now(), version = version + 1 \
               where id = $1 and deleted_at is null and (display_name <> coalesce($2, display_name) \
                 or email is distinct from coalesce($3, email))";
    let name = profile.display_name.as_deref().and_then(users::display_name);
    sql::query(sql).bind(user).bind(name).bind(email.as_ref().map(Email::as_str)).execute(work).await?;
    Ok(())
}

/// The provider removed them: the user goes with it, and a token that is still good brings them back no more.
pub(crate) async fn removed(work: &mut PgConnection, issuer: &str, subject: &str) -> Result<(), ApiError> {
    let row = lock(work, issuer, subject).await?;
    let sql = "insert into user_identities (issuer, subject, removed_at) values ($1, $2, now()) \
               on conflict (issuer, subject) do update set removed_at = coalesce(user_identities.removed_at, now())";
    sql::query(sql).bind(issuer).bind(subject).execute(&mut *work).await?;
    let Some(user) = row.and_then(|row| row.user_id) else { return Ok(()) };
    let sql = "update users set deleted_at = now(), updated_at = now(), version = version + 1 \
               where id = $1 and deleted_at is null";
    if sql::query(sql).bind(user).execute(&mut *work).await?.rows_affected() == 1 {
        users::sign_out(work, user, None).await?;
        users::note(work, user, "account.removed_by_provider", None).await?;
    }
    Ok(())
}
