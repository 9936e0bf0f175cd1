//! Users who may watch a channel that is for members: let in by its owner, for good or until a day.

use std::time::Instant;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use schema::ChannelName;
use schema::playback::TOKEN_LIFE_LONG_S;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::viewers::End;
use super::{Done, future, record, seconds};
use crate::ControlApi;
use crate::channels::channel_id;
use crate::http::client::Client;
use crate::http::extract::{ChannelPath, Fields};
use crate::http::page::{self, PageQuery};
use crate::http::problem::ApiError;
use crate::members;
use crate::permission::Permission;
use crate::principal::Principal;
use crate::sql;

/// A user who may watch.
#[derive(Debug, Clone, Serialize, FromRow)]
pub(crate) struct ChannelViewer {
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
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChannelViewerPage {
    /// In the order of their handles.
    pub viewers: Vec<ChannelViewer>,
    /// The `cursor` of the next page, if there is one.
    pub next: Option<String>,
}

/// `{name}` and `{user}` of a path. A text that cannot be a handle is nobody's: 404.
pub(crate) struct GrantPath {
    channel: ChannelName,
    user: String,
}

impl<S: Send + Sync> FromRequestParts<S> for GrantPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Segments {
            name: String,
            user: String,
        }
        let path = Path::<Segments>::from_request_parts(parts, state).await;
        let Path(Segments { name, user }) = path.map_err(|_| ApiError::Unknown("user"))?;
        let channel = name.parse().map_err(|_| ApiError::Unknown("channel"))?;
        // Handles have the shape of channels' names.
        let user: ChannelName = user.parse().map_err(|_| ApiError::Unknown("user"))?;
        Ok(Self { channel, user: user.to_string() })
    }
}

/// `GET /api/v1/channels/{name}/viewers`
pub(crate) async fn list(
    principal: Principal,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
    query: PageQuery,
) -> Result<Json<ChannelViewerPage>, ApiError> {
    let limit = query.limit()?;
    let mut work = api.begin().await?;
    let channel = allowed(&mut work, &principal, Permission::MemberRead, &name).await?;
    let sql = "select u.name as user, u.display_name, v.until, v.created_at from channel_viewers v \
               join users u on u.id = v.user_id where v.channel_id = $1 and u.deleted_at is null \
                 and ($2::text is null or u.name > $2) order by u.name limit $3";
    let query = sql::query_as(sql).bind(channel).bind(query.after()?).bind(limit + 1);
    let mut viewers: Vec<ChannelViewer> = query.fetch_all(&mut *work).await?;
    let next = page::cut(&mut viewers, limit, |viewer| viewer.user.clone());
    Ok(Json(ChannelViewerPage { viewers, next }))
}

/// `PUT /api/v1/channels/{name}/viewers/{user}`, with `until` or for good; harmless when repeated.
pub(crate) async fn grant(
    principal: Principal,
    client: Client,
    State(api): State<ControlApi>,
    path: GrantPath,
    fields: Option<Fields>,
) -> Result<Json<ChannelViewer>, ApiError> {
    let until: Option<DateTime<Utc>> = match fields {
        None => None,
        Some(mut fields) => {
            let until = fields.optional("until")?;
            fields.finish()?;
            until
        }
    };
    let until = until.map(|until| future("until", until)).transpose()?;
    let mut work = api.begin().await?;
    let channel = allowed(&mut work, &principal, Permission::MemberWrite, &path.channel).await?;
    let sql = "with known as (select id, name, display_name from users where name = $2 and deleted_at is null), \
               granted as (insert into channel_viewers as v (channel_id, user_id, until) \
                 select $1, id, $3 from known on conflict (channel_id, user_id) do update set until = excluded.until \
                 returning v.user_id, v.until, v.created_at) \
               select k.name as user, k.display_name, g.until, g.created_at from granted g \
               join known k on k.id = g.user_id";
    let query = sql::query_as(sql).bind(channel).bind(&path.user).bind(until);
    let granted: Option<ChannelViewer> = query.fetch_optional(&mut *work).await?;
    let granted = granted.ok_or(ApiError::Unknown("user"))?;
    let done = Done { action: "viewer.grant", object: ("user", &path.user), channel };
    record(&mut work, &principal, &client, &done).await?;
    work.commit().await?;
    Ok(Json(granted))
}

/// `DELETE /api/v1/channels/{name}/viewers/{user}`: their right ends, and with it what they watch now.
pub(crate) async fn take_back(
    principal: Principal,
    client: Client,
    State(api): State<ControlApi>,
    path: GrantPath,
) -> Result<StatusCode, ApiError> {
    let mut work = api.begin().await?;
    let channel = allowed(&mut work, &principal, Permission::MemberWrite, &path.channel).await?;
    let sql = "select id from users where name = $1 and deleted_at is null";
    let user: Option<Uuid> = sql::query_scalar(sql).bind(&path.user).fetch_optional(&mut *work).await?;
    let user = user.ok_or(ApiError::Unknown("user"))?;
    let sql = "delete from channel_viewers where channel_id = $1 and user_id = $2";
    let gone = sql::query(sql).bind(channel).bind(user).execute(&mut *work).await?;
    if gone.rows_affected() == 0 {
        return Err(ApiError::Unknown("viewer"));
    }
    put_out_all(&mut work, channel, user).await?;
    let done = Done { action: "viewer.take_back", object: ("user", &path.user), channel };
    record(&mut work, &principal, &client, &done).await?;
    work.commit().await?;
    api.playback().viewers.end_of_user(user, channel, End::PutOut, Instant::now());
    tracing::info!(channel = %path.channel, user = path.user, by = principal.name, "a right to watch was taken back");
    Ok(StatusCode::NO_CONTENT)
}

/// Puts out every session of `user` on the channel that may still hold a good token. Sessions of accounts are written when
/// they begin, so none is missed; a token renewed since they were written last lives no longer than the longest.
async fn put_out_all(work: &mut PgConnection, channel: Uuid, user: Uuid) -> Result<(), sqlx::Error> {
    let sql = "with theirs as (update viewer_sessions set ended_at = coalesce(ended_at, now()), end_reason = 'put_out' \
                 where channel_id = $1 and user_id = $2 and token_until > now() - $3 * interval '1 second' returning id) \
               insert into denied_viewers (viewer_session, until) \
               select id, now() + $3 * interval '1 second' from theirs on conflict (viewer_session) do nothing";
    let query = sql::query(sql).bind(channel).bind(user).bind(seconds(TOKEN_LIFE_LONG_S));
    query.execute(work).await?;
    Ok(())
}

/// The channel, if who asks may do it there.
async fn allowed(
    work: &mut PgConnection,
    principal: &Principal,
    permission: Permission,
    name: &ChannelName,
) -> Result<Uuid, ApiError> {
    let channel = channel_id(work, name).await?;
    match members::may(work, Some(principal), permission, channel).await? {
        true => Ok(channel),
        false => Err(ApiError::RoleInsufficient),
    }
}
