//! Reports: what a node tells of itself every two seconds, and the orders that answer it.
//!
//! A report is the whole truth of its node: a live broadcast that it leaves out is over. What it
//! tells of a key that is not in the database (as after a restore of an old copy) is left out and
//! counted; a session is ended only for a key that is known to be revoked, or a publish token whose
//! API token is or whose user may publish no more, or a channel that is deleted, or because somebody said so.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::DateTime;
use schema::SessionEnd;
use schema::api::{BroadcastReport, BroadcastState, NodeCommand, NodeReport, ReportAnswer};
use schema::ladder::PictureSize;
use serde::Serialize;
use sqlx::types::Json as Jsonb;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::ControlApi;
use crate::http::extract::{Typed, invalid, text};
use crate::http::problem::ApiError;
use crate::members::owners_suspended;
use crate::permission::Permission;
use crate::playback;
use crate::sql::{self, Work};

/// The most broadcasts in one report.
const BROADCASTS_MAX: usize = 4_096;
/// The longest name of a node, in characters.
const NODE_LONGEST: usize = 100;
/// A source that is younger than this may still be growing to its size, in seconds.
const SIZE_SETTLED_S: i32 = 10;
/// Why a live broadcast is over that its node no longer tells of.
const LEFT_OUT: &str = "left_out";

/// How long a node may be silent until its broadcasts no longer count as live, in SQL: seven
/// missed reports.
macro_rules! node_silent_after {
    () => {
        "interval '15 seconds'"
    };
}
pub(crate) use node_silent_after;

/// One broadcast as the SQL below takes it.
#[derive(Debug, Serialize)]
struct ReportRow {
    id: String,
    incarnation: i64,
    session: String,
    protocol: &'static str,
    /// Of a stream key or a publish token; `None` is the id of neither.
    key_id: Option<Uuid>,
    state: &'static str,
    reconnecting: bool,
    started_at: String,
    end_reason: Option<&'static str>,
    source_width: Option<u32>,
    source_height: Option<u32>,
    degraded: bool,
}

/// `POST /internal/v1/reports`
pub(crate) async fn report(
    State(api): State<ControlApi>,
    Typed(report): Typed<NodeReport>,
) -> Result<Json<ReportAnswer>, ApiError> {
    let node = text("node", &report.node, 1, NODE_LONGEST)?;
    let channels = report.broadcasts.iter().map(|broadcast| broadcast.channel.clone()).collect();
    let rows = rows(report.broadcasts)?;
    let mut work = api.begin().await?;
    let access = playback::access_of(&mut work, channels).await?;
    let stored = store(work, &node, &rows).await?;
    let playback = playback::rules(&api, report.playback.as_deref()).await?;
    let metrics = api.metrics();
    metrics.reports_unknown_key.inc_by(stored.unknown_keys);
    for due in &stored.due {
        tracing::info!(%node, session = due.session, reason = due.reason(), "ordering the end of a session");
        metrics.sessions_ended.inc();
    }
    let commands = stored.due.into_iter().filter_map(end_session);
    Ok(Json(ReportAnswer { commands: commands.collect(), access, playback }))
}

fn end_session(due: DueRow) -> Option<NodeCommand> {
    Some(NodeCommand::EndSession {
        session: due.session.parse().ok()?,
        end: if due.revoked { SessionEnd::KeyRevoked } else { SessionEnd::Ended },
        reason: due.reason().to_owned(),
    })
}

/// A live session that is to end.
#[derive(Debug, FromRow)]
struct DueRow {
    session: String,
    /// For a right that is gone; else somebody ordered it.
    revoked: bool,
}

impl DueRow {
    fn reason(&self) -> &'static str {
        match self.revoked {
            true => "its key was revoked, or its channel deleted",
            false => "somebody ended its broadcast",
        }
    }
}

/// Each broadcast once, by its highest incarnation; of the same one, the last word.
fn rows(reports: Vec<BroadcastReport>) -> Result<Vec<ReportRow>, ApiError> {
    if reports.len() > BROADCASTS_MAX {
        let reason = format!("must be at most {BROADCASTS_MAX}");
        return Err(invalid("broadcasts", reason));
    }
    let mut newest = BTreeMap::new();
    for report in reports {
        let row = row(&report)?;
        let known = newest.get(&row.id);
        if known.is_none_or(|known: &ReportRow| known.incarnation <= row.incarnation) {
            newest.insert(row.id.clone(), row);
        }
    }
    Ok(newest.into_values().collect())
}

fn row(report: &BroadcastReport) -> Result<ReportRow, ApiError> {
    let refuse = |what: &str| invalid("broadcasts", format!("{what} is out of range"));
    let incarnation = i64::try_from(report.incarnation.0).map_err(|_| refuse("incarnation"))?;
    let started_at = DateTime::from_timestamp_micros(report.started_at_us);
    let started_at = started_at.filter(|at| (1970..10_000).contains(&chrono::Datelike::year(at)));
    let started_at = started_at.ok_or_else(|| refuse("started_at_us"))?;
    let size = report.source_size.filter(is_plausible);
    let ended = report.state == BroadcastState::Ended;
    Ok(ReportRow {
        id: report.broadcast.to_string(),
        incarnation,
        session: report.session.to_string(),
        protocol: report.protocol.as_str(),
        key_id: report.key_id.parse().ok(),
        state: if ended { "ended" } else { "live" },
        reconnecting: report.state == BroadcastState::Reconnecting,
        started_at: started_at.to_rfc3339(),
        end_reason: report.end.filter(|_| ended).map(SessionEnd::as_str),
        source_width: size.map(|size| size.width),
        source_height: size.map(|size| size.height),
        degraded: report.degraded && !ended,
    })
}

/// Within what a codec can carry; anything else is a mistake that would outlive its broadcast.
fn is_plausible(size: &PictureSize) -> bool {
    let side = 1..=16_384;
    side.contains(&size.width) && side.contains(&size.height)
}

/// What a report changed.
struct Stored {
    /// Live sessions that are to end.
    due: Vec<DueRow>,
    /// Broadcasts whose key is not known.
    unknown_keys: u64,
}

async fn store(mut work: Work, node: &str, rows: &[ReportRow]) -> Result<Stored, sqlx::Error> {
    let known = upsert(&mut work, node, rows).await?;
    end_left_out(&mut work, node, rows).await?;
    remember_sizes(&mut work, rows).await?;
    let due = due_sessions(&mut work, node).await?;
    work.commit().await?;
    let known = usize::try_from(known).unwrap_or(usize::MAX);
    Ok(Stored { due, unknown_keys: rows.len().saturating_sub(known).try_into().unwrap_or(0) })
}

/// Writes the rows; gives the number of those whose key or publish token is known. An older incarnation changes
/// nothing, and what its node ended stays ended.
async fn upsert(work: &mut PgConnection, node: &str, rows: &[ReportRow]) -> Result<i64, sqlx::Error> {
    let sql = "with told as ( \
          select r.*, coalesce(k.channel_id, p.channel_id) as channel_id, k.id as stream_key, \
            p.id as publish_token \
          from jsonb_to_recordset($2) as r(id text, incarnation bigint, \
            session text, protocol text, key_id uuid, state text, reconnecting boolean, \
            started_at timestamptz, end_reason text, source_width integer, source_height integer, degraded boolean) \
          left join stream_keys k on k.id = r.key_id \
          left join publish_tokens p on p.id = r.key_id \
          where coalesce(k.id, p.id) is not null), \
        written as ( \
          insert into broadcasts as b (id, channel_id, incarnation, node, session, protocol, key_id, \
            publish_token_id, state, reconnecting, started_at, ended_at, end_reason, source_width, source_height, \
            degraded) \
          select id, channel_id, incarnation, $1, session, protocol, stream_key, publish_token, state, \
            reconnecting, started_at, case state when 'ended' then now() end, end_reason, source_width, source_height, degraded \
          from told \
          on conflict (id) do update set incarnation = excluded.incarnation, \
            node = excluded.node, session = excluded.session, protocol = excluded.protocol, \
            key_id = excluded.key_id, publish_token_id = excluded.publish_token_id, \
            state = excluded.state, reconnecting = excluded.reconnecting, ended_at = excluded.ended_at, \
            end_reason = excluded.end_reason, reported_at = now(), degraded = excluded.degraded, \
            source_width = coalesce(excluded.source_width, b.source_width), \
            source_height = coalesce(excluded.source_height, b.source_height) \
          where b.channel_id = excluded.channel_id \
            and (excluded.incarnation > b.incarnation \
              or (excluded.incarnation = b.incarnation and excluded.node = b.node \
                and (b.state = 'live' or b.end_reason is not distinct from $3)))) \
        select count(*) from told";
    sql::query_scalar(sql).bind(node).bind(Jsonb(rows)).bind(LEFT_OUT).fetch_one(work).await
}

async fn end_left_out(work: &mut PgConnection, node: &str, rows: &[ReportRow]) -> Result<(), sqlx::Error> {
    let told: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let sql = "update broadcasts set state = 'ended', reconnecting = false, degraded = false, ended_at = now(), end_reason = $3 \
               where node = $1 and state = 'live' and id <> all ($2)";
    let query = sql::query(sql).bind(node).bind(told).bind(LEFT_OUT);
    query.execute(work).await?;
    Ok(())
}

/// The last size of each channel, from which its next ladder is planned. A browser begins small: what a
/// broadcast of a few seconds had says nothing of its source.
async fn remember_sizes(work: &mut PgConnection, rows: &[ReportRow]) -> Result<(), sqlx::Error> {
    let told: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let sql = "update channels c set last_width = b.source_width, last_height = b.source_height \
               from (select distinct on (channel_id) channel_id, source_width, source_height \
                 from broadcasts where id = any ($1) and source_width is not null \
                   and coalesce(ended_at, now()) - started_at >= $2 * interval '1 second' \
                 order by channel_id, started_at desc) b \
               where c.id = b.channel_id and (c.last_width, c.last_height) \
                 is distinct from (b.source_width, b.source_height)";
    sql::query(sql).bind(told).bind(SIZE_SETTLED_S).execute(work).await?;
    Ok(())
}

/// The sessions that are on now, or were last, of broadcasts that run by a right that is gone, or that somebody ended.
/// A broadcast that waits for its publisher is ended by the session that it lost.
async fn due_sessions(work: &mut PgConnection, node: &str) -> Result<Vec<DueRow>, sqlx::Error> {
    let publish = Permission::ChannelPublish.row();
    let sql = concat!(
        "select session, revoked from (select b.id, b.session, b.end_ordered_at is not null as ordered, \
                 (c.deleted_at is not null or k.revoked_at is not null or coalesce(k.expires_at <= now(), false) \
                   or t.revoked_at is not null or (p.user_id is not null and (u.deleted_at is not null \
                     or u.state <> 'active' or not (u.role = any ($2) or coalesce(m.role = any ($3), false)))) or ",
        owners_suspended!(),
        ") as revoked \
               from broadcasts b join channels c on c.id = b.channel_id \
                 left join stream_keys k on k.id = b.key_id \
                 left join publish_tokens p on p.id = b.publish_token_id \
                 left join api_tokens t on t.id = p.api_token_id left join users u on u.id = p.user_id \
                 left join channel_members m on m.channel_id = c.id and m.user_id = u.id \
               where b.node = $1 and b.state = 'live') of_node where revoked or ordered order by id"
    );
    let roles: Vec<&str> = publish.roles.iter().map(|role| role.as_str()).collect();
    let channel_roles: Vec<&str> = publish.channel_roles.iter().map(|role| role.as_str()).collect();
    sql::query_as(sql).bind(node).bind(roles).bind(channel_roles).fetch_all(work).await
}
