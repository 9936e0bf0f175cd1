//! Stream keys: what a publisher proves its channel with. Shown once, kept as a hash.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use schema::StreamKey;
use schema::api::KeyRole;
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use crate::ControlApi;
use crate::api_tokens::Admin;
use crate::channels::channel_id;
use crate::http::extract::{ChannelPath, Fields, KeyPath, text};
use crate::http::problem::ApiError;
use crate::secret;
use crate::sql;

/// The longest label, in characters.
const LABEL_LONGEST: usize = 100;
/// The most keys of a channel that are not revoked.
const VALID_MAX: i64 = 32;

/// A key without its secret.
#[derive(Debug, Clone, Serialize, FromRow)]
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
    /// When it was last admitted, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A new key: the only time that its secret is told.
#[derive(Debug, Clone, Serialize)]
pub struct NewKey {
    /// Its id, by which it is revoked.
    pub id: Uuid,
    /// The secret.
    pub key: StreamKey,
    /// What its owner calls it.
    pub label: String,
    /// What it is for.
    pub role: KeyRole,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// The keys of a channel.
#[derive(Debug, Clone, Serialize)]
pub struct KeyList {
    /// Newest first; at most 200, revoked ones included.
    pub keys: Vec<KeyInfo>,
}

/// `GET /api/v1/channels/{name}/keys`
pub(crate) async fn list(
    _: Admin,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
) -> Result<Json<KeyList>, ApiError> {
    let mut work = api.begin().await?;
    let channel = channel_id(&mut work, &name).await?;
    let sql = "select id, label, role, created_at, revoked_at, last_used_at from stream_keys \
               where channel_id = $1 order by created_at desc, id limit 200";
    let query = sql::query_as(sql).bind(channel);
    let keys = query.fetch_all(&mut *work).await?;
    Ok(Json(KeyList { keys }))
}

/// `POST /api/v1/channels/{name}/keys`, with an optional `label` and `role`.
pub(crate) async fn create(
    _: Admin,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
    fields: Option<Fields>,
) -> Result<impl IntoResponse, ApiError> {
    let Wished { label, role } = Wished::take(fields)?;
    let mut work = api.begin().await?;
    let channel = channel_id(&mut work, &name).await?;
    let (id, key) = (Uuid::now_v7(), secret::new_stream_key());
    let sql = "insert into stream_keys (id, channel_id, hash, label, role) \
               select $1, $2, $3, $4, $6 where (select count(*) from stream_keys \
                 where channel_id = $2 and revoked_at is null) < $5 returning created_at";
    let created_at: Option<DateTime<Utc>> = sql::query_scalar(sql)
        .bind(id)
        .bind(channel)
        .bind(secret::hash(key.expose()))
        .bind(&label)
        .bind(VALID_MAX)
        .bind(role.as_str())
        .fetch_optional(&mut *work)
        .await?;
    work.commit().await?;
    let created_at = created_at.ok_or(ApiError::Conflict {
        code: "keys_too_many",
        title: "the channel has 32 valid keys already; revoke one first",
    })?;
    let new = NewKey { id, key, label, role, created_at };
    Ok((StatusCode::CREATED, Json(new)))
}

/// `DELETE /api/v1/channels/{name}/keys/{id}`: no admission from now on; a session that it
/// admitted is ended at its node's next report. Harmless when repeated.
pub(crate) async fn revoke(
    _: Admin,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
    KeyPath(id): KeyPath,
) -> Result<StatusCode, ApiError> {
    let mut work = api.begin().await?;
    let channel = channel_id(&mut work, &name).await?;
    let sql = "update stream_keys set revoked_at = coalesce(revoked_at, now()) \
               where id = $1 and channel_id = $2";
    let query = sql::query(sql).bind(id).bind(channel);
    let done = query.execute(&mut *work).await?;
    work.commit().await?;
    match done.rows_affected() {
        0 => Err(ApiError::Unknown("key")),
        _ => Ok(StatusCode::NO_CONTENT),
    }
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
