//! Refresh tokens: each is used once, and gives the next. One that comes a second time was stolen, or its
//! successor was, so all that followed from its sign-in ends (RFC 9700 4.14.2).

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use sqlx::{FromRow, PgConnection};
use utoipa::ToSchema;
use uuid::Uuid;

use super::accounts::only_local;
use super::signing::{self, ACCESS_S};
use super::users;
use crate::ControlApi;
use crate::http::client::Client;
use crate::http::extract::Fields;
use crate::http::problem::ApiError;
use crate::secret;
use crate::sql;

/// The most sign-ins of one user by programs; the one that ends first gives way.
const FAMILIES_MAX: i64 = 100;
const PREFIX: &str = "hw_rt_";

/// What a program gets when it signs in, and at each refresh (RFC 6749 5.1).
#[derive(Serialize, ToSchema)]
pub(crate) struct Tokens {
    access_token: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    refresh_token: String,
}

/// Begins a family for `user`, who has just signed in.
pub(crate) async fn begin(api: &ControlApi, user: Uuid, address: Option<IpAddr>) -> Result<Tokens, ApiError> {
    let family = Uuid::now_v7();
    let access_token = signing::access_token(api, user, family).await?;
    let mut work = api.begin().await?;
    clean_up(&mut work, user).await?;
    let sql = "insert into refresh_families (id, user_id, expires_at) values ($1, $2, now() + interval '30 days')";
    sql::query(sql).bind(family).bind(user).execute(&mut *work).await?;
    let refresh_token = add(&mut work, family).await?;
    users::note(&mut work, user, "account.sign_in", address).await?;
    work.commit().await?;
    Ok(Tokens { access_token, token_type: "Bearer", expires_in: ACCESS_S, refresh_token })
}

async fn add(work: &mut PgConnection, family: Uuid) -> Result<String, sqlx::Error> {
    let token = format!("{PREFIX}{}", secret::random_hex::<32>());
    let sql = "insert into refresh_tokens (hash, family_id) values ($1, $2)";
    sql::query(sql).bind(secret::hash(&token)).bind(family).execute(work).await?;
    Ok(token)
}

/// Removes some families that are over, and those of this user that leave no place for one more.
async fn clean_up(work: &mut PgConnection, user: Uuid) -> Result<(), sqlx::Error> {
    let sql = "delete from refresh_families where id in (select id from refresh_families \
               where expires_at <= now() order by expires_at limit 100 for update skip locked)";
    sql::query(sql).execute(&mut *work).await?;
    let sql = "delete from refresh_families where id in (select id from refresh_families \
               where user_id = $1 order by expires_at desc offset $2 limit 100 for update skip locked)";
    sql::query(sql).bind(user).bind(FAMILIES_MAX - 1).execute(work).await?;
    Ok(())
}

#[derive(Debug, FromRow)]
struct Found {
    family_id: Uuid,
    user_id: Uuid,
    was_used: bool,
    is_over: bool,
}

/// `POST /api/v1/auth/tokens/refresh`
pub(crate) async fn refresh(
    client: Client,
    State(api): State<ControlApi>,
    fields: Fields,
) -> Result<Json<Tokens>, ApiError> {
    let token = token(fields)?;
    only_local(&api)?;
    let mut work = api.begin().await?;
    // The family is locked, so that of two at once the second sees what the first did.
    let sql = "select f.id as family_id, f.user_id, t.used_at is not null as was_used, \
               f.revoked_at is not null or f.expires_at <= now() or u.deleted_at is not null or u.state <> 'active' \
               as is_over \
               from refresh_families f join refresh_tokens t on t.family_id = f.id join users u on u.id = f.user_id \
               where t.hash = $1";
    let lock = "select f.id from refresh_families f join refresh_tokens t on t.family_id = f.id where t.hash = $1 \
                for update of f";
    let hash = secret::hash(&token);
    let locked: Option<Uuid> = sql::query_scalar(lock).bind(&hash).fetch_optional(&mut *work).await?;
    locked.ok_or_else(over)?;
    let found: Option<Found> = sql::query_as(sql).bind(&hash).fetch_optional(&mut *work).await?;
    let found = found.ok_or_else(over)?;
    if found.is_over {
        return Err(over());
    }
    if found.was_used {
        revoke(&mut work, &found, "account.refresh_reused", client.address).await?;
        work.commit().await?;
        api.metrics().refresh_reused.inc();
        return Err(ApiError::KeyRefused {
            code: "refresh_reused",
            title: "the refresh token was used before; sign in again",
        });
    }
    sql::query("update refresh_tokens set used_at = now() where hash = $1").bind(&hash).execute(&mut *work).await?;
    let refresh_token = add(&mut work, found.family_id).await?;
    work.commit().await?;
    let access_token = signing::access_token(&api, found.user_id, found.family_id).await?;
    Ok(Json(Tokens { access_token, token_type: "Bearer", expires_in: ACCESS_S, refresh_token }))
}

/// `POST /api/v1/auth/tokens/revoke`: signs a program out; harmless when repeated.
pub(crate) async fn revoke_family(
    client: Client,
    State(api): State<ControlApi>,
    fields: Fields,
) -> Result<StatusCode, ApiError> {
    let token = token(fields)?;
    only_local(&api)?;
    let mut work = api.begin().await?;
    let sql = "select f.id as family_id, f.user_id, false as was_used, f.revoked_at is not null as is_over \
               from refresh_families f join refresh_tokens t on t.family_id = f.id where t.hash = $1 for update of f";
    let found: Option<Found> = sql::query_as(sql).bind(secret::hash(&token)).fetch_optional(&mut *work).await?;
    if let Some(found) = found.filter(|found| !found.is_over) {
        revoke(&mut work, &found, "account.sign_out", client.address).await?;
        work.commit().await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn revoke(
    work: &mut PgConnection,
    found: &Found,
    action: &'static str,
    address: Option<IpAddr>,
) -> Result<(), sqlx::Error> {
    let sql = "update refresh_families set revoked_at = now() where id = $1";
    sql::query(sql).bind(found.family_id).execute(&mut *work).await?;
    users::note_more(work, found.user_id, action, address, json!({ "family": found.family_id })).await
}

fn token(mut fields: Fields) -> Result<String, ApiError> {
    let token = fields.required("refresh_token")?;
    fields.finish()?;
    Ok(token)
}

fn over() -> ApiError {
    ApiError::KeyRefused { code: "refresh_over", title: "the refresh token is not valid; sign in again" }
}
