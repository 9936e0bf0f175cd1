//! Publish tokens: what a studio page publishes with, so that it never holds a stream key.
//!
//! A token begins sessions on its channel for 60 s. A session that it began goes on, until the
//! API token on whose behalf it was made is revoked, or the channel deleted.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use schema::StreamKey;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ControlApi;
use crate::api_tokens::Admin;
use crate::channels::channel_id;
use crate::http::extract::{ChannelPath, Fields};
use crate::http::problem::ApiError;
use crate::secret;
use crate::sql;

/// The most valid tokens of a channel.
const VALID_MAX: i64 = 32;

/// A new publish token: the only time that it is told.
#[derive(Debug, Clone, Serialize)]
pub struct NewPublishToken {
    /// The secret, sent by the publisher in a stream key's place.
    pub token: StreamKey,
    /// Until when it begins sessions.
    pub expires_at: DateTime<Utc>,
}

/// `POST /api/v1/channels/{name}/publish-tokens`
pub(crate) async fn create(
    Admin(principal): Admin,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
    fields: Option<Fields>,
) -> Result<impl IntoResponse, ApiError> {
    fields.map_or(Ok(()), Fields::finish)?;
    let mut work = api.begin().await?;
    let channel = channel_id(&mut work, &name).await?;
    clean_up(&mut work).await?;
    let token = secret::new_publish_token();
    let sql = "insert into publish_tokens (id, hash, channel_id, api_token_id, user_id, expires_at) \
               select $1, $2, $3, $4, $6, now() + interval '60 seconds' where (select count(*) \
                 from publish_tokens where channel_id = $3 and expires_at > now()) < $5 \
               returning expires_at";
    let expires_at: Option<DateTime<Utc>> = sql::query_scalar(sql)
        .bind(Uuid::now_v7())
        .bind(secret::hash(token.expose()))
        .bind(channel)
        .bind(principal.token)
        .bind(VALID_MAX)
        .bind(principal.user())
        .fetch_optional(&mut *work)
        .await?;
    work.commit().await?;
    let expires_at = expires_at.ok_or(ApiError::Conflict {
        code: "publish_tokens_too_many",
        title: "the channel has 32 valid publish tokens already; they expire within 60 s",
    })?;
    Ok((StatusCode::CREATED, Json(NewPublishToken { token, expires_at })))
}

/// Removes some tokens that expired a day ago and that no live broadcast needs for its revocation.
/// A day, as a node may tell of a session late, when the database was away.
async fn clean_up(work: &mut PgConnection) -> Result<(), sqlx::Error> {
    let sql = "delete from publish_tokens where id in (select t.id from publish_tokens t \
                 where t.expires_at < now() - interval '1 day' and not exists (select from broadcasts b \
                   where b.publish_token_id = t.id and b.state = 'live') \
                 order by t.expires_at limit 100 for update skip locked)";
    sql::query(sql).execute(work).await?;
    Ok(())
}
