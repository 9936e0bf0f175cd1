//! Users: people with an account, their role and their state. How they prove who they are is not known here.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use schema::UserName;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sqlx::{FromRow, PgConnection};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ControlApi;
use crate::audit::{Actor, Deed};
use crate::http::extract::{Fields, Patch, UserPath, invalid, text};
use crate::http::once::Once;
use crate::http::page::{self, PageQuery};
use crate::http::problem::ApiError;
use crate::http::version::{IfMatch, etag};
use crate::permission::{Permission, Role};
use crate::principal::Principal;
use crate::sql;

/// The longest name for people, in characters.
const DISPLAY_NAME_LONGEST: usize = 100;
/// The longest address, in bytes (RFC 5321 4.5.3.1.3, without the brackets).
const EMAIL_LONGEST: usize = 254;

/// A user.
#[derive(Debug, Clone, Serialize, ToSchema, FromRow)]
pub struct User {
    /// Its id, which never changes.
    pub id: Uuid,
    /// Its handle.
    pub name: String,
    /// Its name for people.
    pub display_name: String,
    /// Its address; left out for those who may not change users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// `admin`, `creator`, `moderator` or `viewer`.
    pub role: String,
    /// `active` or `suspended`.
    pub state: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it last asked for something, to some minutes.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// What the `ETag` says.
    #[serde(skip)]
    #[schema(ignore)]
    pub(crate) version: i64,
}

/// A page of users.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserPage {
    /// In the order of their handles.
    pub users: Vec<User>,
    /// The `cursor` of the next page, if there is one.
    pub next: Option<String>,
}

/// A statement that gives users, of the table `users` or its alias.
macro_rules! user {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " id, name, display_name, email, role, state, created_at, updated_at, last_seen_at, version ",
            $after
        )
    };
}

/// `GET /api/v1/users`
pub(crate) async fn list(
    principal: Principal,
    State(api): State<ControlApi>,
    query: PageQuery,
) -> Result<Json<UserPage>, ApiError> {
    let limit = query.limit()?;
    let (role, state) = (role_filter(query.role.as_deref())?, state_filter(query.state.as_deref())?);
    let begins = query.name.as_deref().map(|name| name.parse::<UserName>()).transpose();
    let begins = begins.map_err(|error| invalid("name", error.to_string()))?;
    let sql = user!(
        "select",
        "from users where deleted_at is null and ($1::text is null or name > $1) \
         and ($2::text is null or role = $2) and ($3::text is null or state = $3) \
         and ($4::text is null or starts_with(name, $4)) order by name limit $5"
    );
    let rows: Vec<User> = sql::query_as(sql)
        .bind(query.after()?)
        .bind(role.map(Role::as_str))
        .bind(state)
        .bind(begins.as_ref().map(UserName::as_str))
        .bind(limit + 1)
        .fetch_all(&mut *api.begin().await?)
        .await?;
    let mut users: Vec<User> = rows.into_iter().map(|user| seen_by(&principal, user)).collect();
    let next = page::cut(&mut users, limit, |user| user.name.clone());
    Ok(Json(UserPage { users, next }))
}

/// `GET /api/v1/users/{user}`
pub(crate) async fn show(
    principal: Principal,
    State(api): State<ControlApi>,
    UserPath(name): UserPath,
) -> Result<Response, ApiError> {
    let mut work = api.begin().await?;
    let user = by_name(&mut work, &name).await?;
    Ok((etag(user.version), Json(seen_by(&principal, user))).into_response())
}

/// A moderator needs no addresses.
fn seen_by(principal: &Principal, mut user: User) -> User {
    user.email = user.email.filter(|_| principal.may(Permission::UserWrite));
    user
}

/// `POST /api/v1/users`
pub(crate) async fn create(
    actor: Actor,
    once: Once,
    State(api): State<ControlApi>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let name: UserName = fields.required("name")?;
    let wished = Wished::take(&mut fields, Whose::Anybody)?;
    fields.finish()?;
    let mut work = api.begin().await?;
    if let Some(told) = once.begin(&mut work).await? {
        return Ok(told);
    }
    let sql = user!(
        "insert into users (id, name, display_name, email, role, state) values ($1, $2, $3, $4, $5, $6) \
         on conflict do nothing returning",
        ""
    );
    let made: Option<User> = sql::query_as(sql)
        .bind(Uuid::now_v7())
        .bind(name.as_str())
        .bind(wished.display_name.unwrap_or_else(|| name.to_string()))
        .bind(wished.email.value())
        .bind(wished.role.unwrap_or(Role::Viewer).as_str())
        .bind(wished.state.unwrap_or("active"))
        .fetch_optional(&mut *work)
        .await?;
    let user = made.ok_or(TAKEN)?;
    let details = json!({ "name": user.name, "role": user.role, "state": user.state });
    actor.note(&mut work, deed("user.create", user.id, details)).await?;
    let answer = once.created(&mut work, Some(format!("/api/v1/users/{name}")), &user).await?;
    work.commit().await?;
    Ok(answer)
}

const TAKEN: ApiError =
    ApiError::Conflict { code: "user_exists", title: "there is a user of this name or address already" };

/// `PATCH /api/v1/users/{user}`, a merge patch (RFC 7396). It bites at the next request of the user.
pub(crate) async fn update(
    actor: Actor,
    if_match: IfMatch,
    State(api): State<ControlApi>,
    UserPath(name): UserPath,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let wished = Wished::take(&mut fields, Whose::Anybody)?;
    fields.finish()?;
    let mut work = api.begin().await?;
    let before = by_name_locked(&mut work, &name).await?;
    let own = actor.principal.user() == Some(before.id);
    if own && (wished.role.is_some() || wished.state.is_some()) {
        return Err(ApiError::Conflict { code: "own_role", title: "nobody changes their own role or state" });
    }
    let user = change(&mut work, &before, &if_match, wished).await?;
    actor.note(&mut work, deed("user.update", user.id, changes(&before, &user))).await?;
    work.commit().await?;
    Ok((etag(user.version), Json(user)).into_response())
}

/// `DELETE /api/v1/users/{user}`: its tokens and sessions are worth nothing from now on, and it is a member of no
/// channel. What it did stays.
pub(crate) async fn remove(
    actor: Actor,
    if_match: IfMatch,
    State(api): State<ControlApi>,
    UserPath(name): UserPath,
) -> Result<StatusCode, ApiError> {
    let mut work = api.begin().await?;
    let before = by_name_locked(&mut work, &name).await?;
    if actor.principal.user() == Some(before.id) {
        return Err(ApiError::Conflict { code: "own_user", title: "nobody deletes themself here" });
    }
    let sql = "with gone as (update users set deleted_at = now(), version = version + 1 \
                 where id = $1 and ($2::bigint[] is null or version = any($2)) returning id), \
               left_channels as (delete from channel_members m using gone where m.user_id = gone.id), \
               revoked as (update api_tokens t set revoked_at = now() from gone \
                 where t.user_id = gone.id and t.revoked_at is null), \
               signed_out as (delete from web_sessions s using gone where s.user_id = gone.id) \
               select id from gone";
    let gone: Option<Uuid> =
        sql::query_scalar(sql).bind(before.id).bind(if_match.versions()).fetch_optional(&mut *work).await?;
    gone.ok_or(ApiError::VersionChanged)?;
    actor.note(&mut work, deed("user.delete", before.id, json!({ "name": before.name }))).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn deed(action: &'static str, id: Uuid, details: Value) -> Deed {
    Deed { action, kind: "user", id: id.to_string(), channel: None, details }
}

/// What differs, from what and to what.
pub(crate) fn changes(before: &User, after: &User) -> Value {
    let pairs = [
        ("display_name", Some(&before.display_name), Some(&after.display_name)),
        ("email", before.email.as_ref(), after.email.as_ref()),
        ("role", Some(&before.role), Some(&after.role)),
        ("state", Some(&before.state), Some(&after.state)),
    ];
    let differ = pairs.into_iter().filter(|(_, before, after)| before != after);
    let told: Map<String, Value> =
        differ.map(|(name, from, to)| (name.to_owned(), json!({ "from": from, "to": to }))).collect();
    json!({ "name": after.name, "changed": told })
}

/// The user who has this handle now.
pub(crate) async fn by_name(work: &mut PgConnection, name: &UserName) -> Result<User, ApiError> {
    let sql = user!("select", "from users where name = $1 and deleted_at is null");
    let found = sql::query_as(sql).bind(name.as_str()).fetch_optional(work).await?;
    found.ok_or(ApiError::Unknown("user"))
}

async fn by_name_locked(work: &mut PgConnection, name: &UserName) -> Result<User, ApiError> {
    let sql = user!("select", "from users where name = $1 and deleted_at is null for update");
    let found = sql::query_as(sql).bind(name.as_str()).fetch_optional(work).await?;
    found.ok_or(ApiError::Unknown("user"))
}

/// The user of this id.
pub(crate) async fn by_id(work: &mut PgConnection, id: Uuid) -> Result<User, ApiError> {
    let sql = user!("select", "from users where id = $1 and deleted_at is null");
    let found = sql::query_as(sql).bind(id).fetch_optional(work).await?;
    found.ok_or(ApiError::Unknown("user"))
}

/// The user of this id, locked for a change.
pub(crate) async fn by_id_locked(work: &mut PgConnection, id: Uuid) -> Result<User, ApiError> {
    let sql = user!("select", "from users where id = $1 and deleted_at is null for update");
    let found = sql::query_as(sql).bind(id).fetch_optional(work).await?;
    found.ok_or(ApiError::Unknown("user"))
}

/// Changes what is wished, if the version is one that the change is meant for.
pub(crate) async fn change(
    work: &mut PgConnection,
    before: &User,
    if_match: &IfMatch,
    wished: Wished,
) -> Result<User, ApiError> {
    let sql = user!(
        "update users set display_name = coalesce($2, display_name), email = case when $3 then $4 else email end, \
         role = coalesce($5, role), state = coalesce($6, state), updated_at = now(), version = version + 1 \
         where id = $1 and ($7::bigint[] is null or version = any($7)) returning",
        ""
    );
    let changed = sql::query_as(sql)
        .bind(before.id)
        .bind(wished.display_name)
        .bind(wished.email != Patch::Keep)
        .bind(wished.email.value())
        .bind(wished.role.map(Role::as_str))
        .bind(wished.state)
        .bind(if_match.versions())
        .fetch_optional(work)
        .await;
    match changed {
        Err(sqlx::Error::Database(said)) if said.is_unique_violation() => Err(TAKEN),
        changed => changed?.ok_or(ApiError::VersionChanged),
    }
}

/// Whose profile is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// One's own: no role, no state, and no address, which wants a proof.
    Own,
    /// Anybody's, by an admin.
    Anybody,
}

/// What may be set on a user, checked.
#[derive(Debug)]
pub(crate) struct Wished {
    display_name: Option<String>,
    email: Patch<String>,
    role: Option<Role>,
    state: Option<&'static str>,
}

impl Wished {
    pub(crate) fn take(fields: &mut Fields, whose: Whose) -> Result<Self, ApiError> {
        let display_name: Option<String> = fields.optional("display_name")?;
        let display_name = display_name.map(|name| text("display_name", &name, 1, DISPLAY_NAME_LONGEST)).transpose()?;
        if whose == Whose::Own {
            return Ok(Self { display_name, email: Patch::Keep, role: None, state: None });
        }
        let email = match fields.patch::<String>("email")? {
            Patch::Set(address) => Patch::Set(email(&address)?),
            kept => kept,
        };
        let (role, state): (Option<String>, Option<String>) = (fields.optional("role")?, fields.optional("state")?);
        Ok(Self { display_name, email, role: role_filter(role.as_deref())?, state: state_filter(state.as_deref())? })
    }
}

/// An address as it is kept: in lower case. Whether it takes mail, only a mail can tell.
pub(crate) fn email(address: &str) -> Result<String, ApiError> {
    let refuse = |reason: &str| Err(invalid("email", reason.into()));
    let address = address.trim().to_lowercase();
    if address.len() > EMAIL_LONGEST {
        return refuse("must have at most 254 characters");
    }
    let plain = !address.chars().any(|c| c.is_control() || c.is_whitespace());
    match address.rsplit_once('@') {
        Some((local, domain)) if plain && !local.is_empty() && !domain.is_empty() => Ok(address),
        _ => refuse("must be an address such as ann@example.com"),
    }
}

fn role_filter(word: Option<&str>) -> Result<Option<Role>, ApiError> {
    let read = |word: &str| Role::of(word).filter(|role| Role::OF_USERS.contains(role));
    let refuse = || invalid("role", "must be admin, creator, moderator or viewer".into());
    word.map(|word| read(word).ok_or_else(refuse)).transpose()
}

fn state_filter(word: Option<&str>) -> Result<Option<&'static str>, ApiError> {
    let read = |word: &str| ["active", "suspended"].into_iter().find(|state| *state == word);
    let refuse = || invalid("state", "must be active or suspended".into());
    word.map(|word| read(word).ok_or_else(refuse)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_in_lower_case_and_what_is_none_is_refused() {
        assert_eq!(email(" Ann@Example.COM ").unwrap(), "ann@example.com");
        let long = format!("{}@example.com", "a".repeat(250));
        for wrong in ["", "@", "ann", "ann@", "@example.com", "a b@example.com", "a\n@example.com", "a\0@x", &long] {
            assert!(email(wrong).is_err(), "{wrong}");
        }
    }
}
