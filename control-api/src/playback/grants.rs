//! Users who may watch a channel that is for members: let in by its owner, for good or until a day.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use super::put_out::put_out_all;
use super::viewers::End;
use crate::ControlApi;
use crate::audit::{Actor, Deed};
use crate::channels::channel_id;
use crate::http::extract::{ChannelPath, Fields, MemberPath, invalid};
use crate::http::page::{self, PageQuery};
use crate::http::problem::ApiError;
use crate::sql;
use crate::users;

/// A user who may watch.
#[derive(Debug, Clone, Serialize, ToSchema, FromRow)]
pub struct ChannelViewer {
    /// Their handle.
    pub user: String,
    /// What they are called.
    pub display_name: String,
    /// Until when; `null` is for good.
    pub until: Option<DateTime<Utc>>,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// A page of users who may watch.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChannelViewerPage {
    /// In the order of their handles.
    pub viewers: Vec<ChannelViewer>,
    /// The `cursor` of the next page, if there is one.
    pub next: Option<String>,
}

/// `GET /api/v1/channels/{name}/viewers`
pub(crate) async fn list(
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
    query: PageQuery,
) -> Result<Json<ChannelViewerPage>, ApiError> {
    let limit = query.limit()?;
    let mut work = api.begin().await?;
    let channel = channel_id(&mut work, &name).await?;
    let sql = "select u.name as \"user\", u.display_name, v.until, v.created_at from channel_viewers v \
               join users u on u.id = v.user_id where v.channel_id = $1 and u.deleted_at is null \
                 and ($2::text is null or u.name > $2) order by u.name limit $3";
    let query = sql::query_as(sql).bind(channel).bind(query.after()?).bind(limit + 1);
    let mut viewers: Vec<ChannelViewer> = query.fetch_all(&mut *work).await?;
    let next = page::cut(&mut viewers, limit, |viewer| viewer.user.clone());
    Ok(Json(ChannelViewerPage { viewers, next }))
}

/// `PUT /api/v1/channels/{name}/viewers/{user}`, with `until` or for good; harmless when repeated.
pub(crate) async fn grant(
    actor: Actor,
    State(api): State<ControlApi>,
    MemberPath { name, user }: MemberPath,
    fields: Option<Fields>,
) -> Result<Json<ChannelViewer>, ApiError> {
    let until = until(fields)?;
    let mut work = api.begin().await?;
    let channel = channel_id(&mut work, &name).await?;
    let viewer = users::by_name(&mut work, &user).await?.id;
    let sql = "with granted as (insert into channel_viewers as v (channel_id, user_id, until) values ($1, $2, $3) \
                 on conflict (channel_id, user_id) do update set until = excluded.until \
                 returning v.user_id, v.until, v.created_at) \
               select u.name as \"user\", u.display_name, g.until, g.created_at from granted g \
               join users u on u.id = g.user_id";
    let query = sql::query_as(sql).bind(channel).bind(viewer).bind(until);
    let granted: ChannelViewer = query.fetch_one(&mut *work).await?;
    let details = json!({ "user": user.as_str(), "until": until });
    actor.note(&mut work, deed("viewer.grant", channel, viewer, details)).await?;
    work.commit().await?;
    Ok(Json(granted))
}

/// The end of a right: `None` is for good.
fn until(fields: Option<Fields>) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(mut fields) = fields else { return Ok(None) };
    let until: Option<DateTime<Utc>> = fields.optional("until")?;
    fields.finish()?;
    match until {
        Some(until) if until <= Utc::now() => Err(invalid("until", "must be in the future".into())),
        until => Ok(until),
    }
}

/// `DELETE /api/v1/channels/{name}/viewers/{user}`: their right ends, and with it what they watch now.
pub(crate) async fn take_back(
    actor: Actor,
    State(api): State<ControlApi>,
    MemberPath { name, user }: MemberPath,
) -> Result<StatusCode, ApiError> {
    let mut work = api.begin().await?;
    let channel = channel_id(&mut work, &name).await?;
    let viewer = users::by_name(&mut work, &user).await?.id;
    let sql = "delete from channel_viewers where channel_id = $1 and user_id = $2";
    let gone = sql::query(sql).bind(channel).bind(viewer).execute(&mut *work).await?;
    if gone.rows_affected() == 0 {
        return Err(ApiError::Unknown("viewer"));
    }
    put_out_all(&mut work, channel, viewer).await?;
    let details = json!({ "user": user.as_str() });
    actor.note(&mut work, deed("viewer.take_back", channel, viewer, details)).await?;
    work.commit().await?;
    api.playback().viewers.end_of_user(viewer, channel, End::PutOut, Instant::now());
    let by = &actor.principal.name;
    tracing::info!(channel = %name, %user, by, "a right to watch was taken back");
    Ok(StatusCode::NO_CONTENT)
}

fn deed(action: &'static str, channel: Uuid, user: Uuid, details: Value) -> Deed {
    Deed { action, kind: "user", id: user.to_string(), channel: Some(channel), details }
}
