//! Stream keys: what a publisher proves its channel with. Shown once, kept as a hash.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use schema::StreamKey;
use schema::api::KeyRole;
use serde::Serialize;
use serde_json::json;
use sqlx::{FromRow, PgConnection};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ControlApi;
use crate::audit::{Actor, Deed};
use crate::channels::{channel_id, word};
use crate::http::extract::{ChannelPath, Fields, KeyPath, invalid, text};
use crate::http::once::Once;
use crate::http::problem::ApiError;
use crate::secret;
use crate::sql;

/// The longest label, in characters.
const LABEL_LONGEST: usize = 100;
/// The most keys of a channel that are not revoked.
const VALID_MAX: i64 = 32;

/// The longest overlap of a rotation, in seconds: 7 days.
const OVERLAP_S_MAX: u32 = 7 * 24 * 3600;

/// A key without its secret.
#[derive(Debug, Clone, Serialize, ToSchema, FromRow)]
pub struct KeyInfo {
    /// Its id, by which it is revoked.
    pub id: Uuid,
    /// What its owner calls it.
    pub label: String,
    /// `primary` or `backup`.
    pub role: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Its end, if it was rotated with an overlap.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last admitted, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A new key: the only time that its secret is told.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NewKey {
    /// Its id, by which it is revoked.
    pub id: Uuid,
    /// The secret.
    #[schema(value_type = String)]
    pub key: StreamKey,
    /// What its owner calls it.
    pub label: String,
    /// What it is for.
    #[schema(value_type = String)]
    pub role: KeyRole,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// The keys of a channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KeyList {
    /// Newest first; at most 200, revoked ones included.
    pub keys: Vec<KeyInfo>,
}

/// `GET /api/v1/channels/{name}/keys`
pub(crate) async fn list(
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
) -> Result<Json<KeyList>, ApiError> {
    let mut work = api.begin().await?;
    let channel = channel_id(&mut work, &name).await?;
    let sql = "select id, label, role, created_at, revoked_at, expires_at, last_used_at from stream_keys \
               where channel_id = $1 order by created_at desc, id limit 200";
    let query = sql::query_as(sql).bind(channel);
    let keys = query.fetch_all(&mut *work).await?;
    Ok(Json(KeyList { keys }))
}

/// `POST /api/v1/channels/{name}/keys`, with an optional `label` and `role`.
pub(crate) async fn create(
    actor: Actor,
    once: Once,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
    fields: Option<Fields>,
) -> Result<Response, ApiError> {
    let wished = Wished::take(fields)?;
    let mut work = api.begin().await?;
    if let Some(told) = once.begin(&mut work).await? {
        return Ok(told);
    }
    let channel = channel_id(&mut work, &name).await?;
    let new = insert(&mut work, channel, wished).await?;
    let details = json!({ "channel": name.as_str(), "label": new.label, "role": new.role });
    actor.note(&mut work, deed("key.create", channel, new.id, details)).await?;
    let answer = once.created_secret(&mut work, &new).await?;
    work.commit().await?;
    Ok(answer)
}

async fn insert(work: &mut PgConnection, channel: Uuid, wished: Wished) -> Result<NewKey, ApiError> {
    let Wished { label, role } = wished;
    let (id, key) = (Uuid::now_v7(), secret::new_stream_key());
    let sql = "insert into stream_keys (id, channel_id, hash, label, role) \
               select $1, $2, $3, $4, $6 where (select count(*) from stream_keys \
                 where channel_id = $2 and revoked_at is null and coalesce(expires_at > now(), true)) < $5 \
               returning created_at";
    let created_at: Option<DateTime<Utc>> = sql::query_scalar(sql)
        .bind(id)
        .bind(channel)
        .bind(secret::hash(key.expose()))
        .bind(&label)
        .bind(VALID_MAX)
        .bind(role.as_str())
        .fetch_optional(work)
        .await?;
    let created_at = created_at.ok_or(ApiError::Conflict {
        code: "keys_too_many",
        title: "the channel has 32 valid keys already; revoke one first",
    })?;
    Ok(NewKey { id, key, label, role, created_at })
}

/// `POST /api/v1/channels/{name}/keys/{id}/rotate`: a new key of the same label and role. The old one is good for
/// `overlap_s` seconds more; then it is as if revoked.
pub(crate) async fn rotate(
    actor: Actor,
    once: Once,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
    KeyPath(id): KeyPath,
    fields: Option<Fields>,
) -> Result<Response, ApiError> {
    let overlap = overlap_s(fields)?;
    let mut work = api.begin().await?;
    if let Some(told) = once.begin(&mut work).await? {
        return Ok(told);
    }
    let channel = channel_id(&mut work, &name).await?;
    let sql = "update stream_keys set expires_at = least(expires_at, now() + $3 * interval '1 second'), \
                 revoked_at = case when $3 = 0 then now() end \
               where id = $1 and channel_id = $2 and revoked_at is null and coalesce(expires_at > now(), true) \
               returning label, role";
    let query = sql::query_as(sql).bind(id).bind(channel).bind(overlap);
    let old: Option<(String, String)> = query.fetch_optional(&mut *work).await?;
    let (label, role) = old.ok_or(ApiError::Unknown("key"))?;
    let new = insert(&mut work, channel, Wished { label, role: word(&role) }).await?;
    let details = json!({ "channel": name.as_str(), "new": new.id, "overlap_s": overlap });
    actor.note(&mut work, deed("key.rotate", channel, id, details)).await?;
    let answer = once.created_secret(&mut work, &new).await?;
    work.commit().await?;
    Ok(answer)
}

fn overlap_s(fields: Option<Fields>) -> Result<i32, ApiError> {
    let Some(mut fields) = fields else {
        return Ok(0);
    };
    let overlap = fields.optional::<u32>("overlap_s")?.unwrap_or(0);
    fields.finish()?;
    match overlap <= OVERLAP_S_MAX {
        true => Ok(overlap.cast_signed()),
        false => Err(invalid("overlap_s", format!("must be 0 to {OVERLAP_S_MAX}"))),
    }
}

fn deed(action: &'static str, channel: Uuid, key: Uuid, details: serde_json::Value) -> Deed {
    Deed { action, kind: "key", id: key.to_string(), channel: Some(channel), details }
}

/// `DELETE /api/v1/channels/{name}/keys/{id}`: no admission from now on; a session that it
/// admitted is ended at its node's next report. Harmless when repeated.
pub(crate) async fn revoke(
    actor: Actor,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
    KeyPath(id): KeyPath,
) -> Result<StatusCode, ApiError> {
    let mut work = api.begin().await?;
    let channel = channel_id(&mut work, &name).await?;
    let sql = "select revoked_at is not null from stream_keys where id = $1 and channel_id = $2 for update";
    let over: Option<bool> = sql::query_scalar(sql).bind(id).bind(channel).fetch_optional(&mut *work).await?;
    if over.ok_or(ApiError::Unknown("key"))? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let sql = "update stream_keys set revoked_at = now() where id = $1";
    sql::query(sql).bind(id).execute(&mut *work).await?;
    actor.note(&mut work, deed("key.revoke", channel, id, json!({ "channel": name.as_str() }))).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What may be said of a new key.
#[derive(Default)]
struct Wished {
    label: String,
    role: KeyRole,
}

impl Wished {
    fn take(fields: Option<Fields>) -> Result<Self, ApiError> {
        let Some(mut fields) = fields else {
            return Ok(Self::default());
        };
        let label: String = fields.optional("label")?.unwrap_or_default();
        let role = fields.optional("role")?.unwrap_or_default();
        fields.finish()?;
        Ok(Self { label: text("label", &label, 0, LABEL_LONGEST)?, role })
    }
}
