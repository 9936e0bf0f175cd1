//! Taking the right to watch back from those who watch: nodes refuse their tokens within seconds, edges within a minute.

use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use schema::ViewerId;
use schema::playback::TOKEN_LIFE_LONG_S;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::viewers::End;
use super::{ViewerPath, heartbeat, seconds};
use crate::ControlApi;
use crate::audit::{Actor, Deed};
use crate::http::problem::ApiError;
use crate::sql;

/// `POST /api/v1/viewer-sessions/{id}/put-out`. Harmless when repeated.
pub(crate) async fn put_out(
    actor: Actor,
    State(api): State<ControlApi>,
    ViewerPath(viewer): ViewerPath,
) -> Result<StatusCode, ApiError> {
    let mut work = api.begin().await?;
    let channel = channel_of(&api, &mut work, &viewer).await?.ok_or(ApiError::Unknown("viewer_session"))?;
    let life_s = api.playback().viewers.get(&viewer).map_or(TOKEN_LIFE_LONG_S, |watching| watching.life_s);
    let sql = "with ended as (update viewer_sessions set ended_at = coalesce(ended_at, now()), end_reason = 'put_out' \
                 where id = $1) \
               insert into denied_viewers (viewer_session, until) values ($1, now() + $2 * interval '1 second') \
               on conflict (viewer_session) do nothing";
    sql::query(sql).bind(viewer.as_str()).bind(seconds(life_s)).execute(&mut *work).await?;
    tell_nodes(&mut work).await?;
    let (kind, id) = ("viewer_session", viewer.to_string());
    let deed = Deed { action: "viewer.put_out", kind, id, channel: Some(channel), details: json!({}) };
    actor.note(&mut work, deed).await?;
    work.commit().await?;
    api.playback().viewers.end(&viewer, End::PutOut, Instant::now());
    tracing::info!(%viewer, by = actor.principal.name, "a viewer session was put out");
    Ok(StatusCode::NO_CONTENT)
}

/// Puts out every session of `user` on the channel that may still hold a good token. Sessions of accounts are written when
/// they begin, so none is missed; a token renewed since they were written last lives no longer than the longest.
pub(super) async fn put_out_all(work: &mut PgConnection, channel: Uuid, user: Uuid) -> Result<(), sqlx::Error> {
    let sql = "with theirs as (update viewer_sessions set ended_at = coalesce(ended_at, now()), end_reason = 'put_out' \
                 where channel_id = $1 and user_id = $2 and token_until > now() - $3 * interval '1 second' returning id) \
               insert into denied_viewers (viewer_session, until) \
               select id, now() + $3 * interval '1 second' from theirs on conflict (viewer_session) do nothing";
    let query = sql::query(sql).bind(channel).bind(user).bind(seconds(TOKEN_LIFE_LONG_S));
    query.execute(&mut *work).await?;
    tell_nodes(work).await
}

/// Lets every node's next report find other rules. Whoever puts out waits here for whoever does so too, so the number
/// grows in the order of the commits, and none is overlooked.
async fn tell_nodes(work: &mut PgConnection) -> Result<(), sqlx::Error> {
    sql::query("update denied_version set version = version + 1").execute(work).await?;
    Ok(())
}

/// The channel of a session, if it is known: one that was never written is in memory alone.
pub(crate) async fn channel_of(
    api: &ControlApi,
    work: &mut PgConnection,
    viewer: &ViewerId,
) -> Result<Option<Uuid>, sqlx::Error> {
    match api.playback().viewers.get(viewer) {
        Some(watching) => Ok(Some(watching.channel_id)),
        None => Ok(heartbeat::find(work, viewer).await?.map(|row| row.channel_id)),
    }
}
