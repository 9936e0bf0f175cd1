//! Writes what heartbeats changed, in batches, and removes what is over.

use std::time::{Duration, Instant};

use serde::Serialize;
use sqlx::types::Json as Jsonb;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::viewers::{End, Written};
use crate::ControlApi;
use crate::sql;

/// How often changes are written.
const INTERVAL: Duration = Duration::from_secs(5);
/// The most sessions in one statement.
const BATCH_MAX: usize = 5_000;

/// One session as the SQL below takes it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    id: &'a str,
    channel_id: Uuid,
    user_id: Option<Uuid>,
    seen_ago_s: u64,
    token_until_s: u64,
    end_reason: Option<&'static str>,
}

/// Writes every five seconds until `cancel`, and once more then.
pub(crate) async fn run(api: ControlApi, cancel: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let last = tokio::select! {
            _ = ticks.tick() => false,
            () = cancel.cancelled() => true,
        };
        write_all(&api).await;
        if last {
            return;
        }
    }
}

/// Writes all that is to be written now; what the database does not take waits for the next time.
pub(super) async fn write_all(api: &ControlApi) {
    let playback = api.playback();
    loop {
        let changes = playback.viewers.take_changes(BATCH_MAX, Instant::now());
        if changes.is_empty() {
            break;
        }
        if let Err(error) = write(api, &changes).await {
            tracing::warn!(%error, sessions = changes.len(), "viewer sessions were not written; they are kept");
            playback.viewers.give_back(&changes);
            break;
        }
        playback.metrics.written.inc_by(changes.len().try_into().unwrap_or(0));
        if changes.len() < BATCH_MAX {
            break;
        }
    }
    playback.metrics.viewers.set(playback.viewers.count().try_into().unwrap_or(i64::MAX));
}

async fn write(api: &ControlApi, changes: &[Written]) -> Result<(), sqlx::Error> {
    let rows: Vec<Row<'_>> = changes
        .iter()
        .map(|written| Row {
            id: written.id.as_str(),
            channel_id: written.channel_id,
            user_id: written.user,
            seen_ago_s: written.seen_ago_s,
            token_until_s: written.token_until_s,
            end_reason: written.end.map(End::as_str),
        })
        .collect();
    // What was put out stays so, whatever its viewer's heartbeats say.
    let sql = "insert into viewer_sessions as s (id, channel_id, user_id, started_at, last_seen_at, token_until, \
                 ended_at, end_reason) \
               select id, channel_id, user_id, now() - seen_ago_s * interval '1 second', \
                 now() - seen_ago_s * interval '1 second', to_timestamp(token_until_s), \
                 case when end_reason is not null then now() end, end_reason \
               from jsonb_to_recordset($1) as r(id text, channel_id uuid, user_id uuid, seen_ago_s double precision, \
                 token_until_s double precision, end_reason text) \
               on conflict (id) do update set last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at), \
                 token_until = greatest(s.token_until, excluded.token_until), \
                 ended_at = case when excluded.end_reason is null then null else coalesce(s.ended_at, now()) end, \
                 end_reason = excluded.end_reason \
               where s.end_reason is distinct from 'put_out'";
    let mut work = api.begin().await?;
    sql::query(sql).bind(Jsonb(rows)).execute(&mut *work).await?;
    let sql = "delete from denied_viewers where viewer_session = any (array(select viewer_session from denied_viewers \
                 where until < now() order by until limit 1000 for update skip locked))";
    sql::query(sql).execute(&mut *work).await?;
    let sql = "update viewer_sessions set ended_at = last_seen_at, end_reason = 'silent' where id = any (array( \
                 select id from viewer_sessions where ended_at is null and last_seen_at < now() - interval '10 minutes' \
                 order by last_seen_at limit 1000 for update skip locked))";
    sql::query(sql).execute(&mut *work).await?;
    let sql = "delete from viewer_sessions where id = any (array(select id from viewer_sessions \
                 where last_seen_at < now() - interval '90 days' order by last_seen_at limit 1000 for update skip locked))";
    sql::query(sql).execute(&mut *work).await?;
    work.commit().await
}
