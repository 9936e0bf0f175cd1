//! What was done, by whom, and from where: one row for every change of rights or content, written in the
//! transaction of the change. Rows are never changed or removed; the database sees to it.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use schema::ChannelName;
use serde::Serialize;
use serde_json::Value;
use sqlx::types::Json as Jsonb;
use sqlx::{FromRow, PgConnection};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ControlApi;
use crate::http::client::Client;
use crate::http::extract::{ChannelPath, invalid};
use crate::http::page::{self, PageQuery};
use crate::http::problem::ApiError;
use crate::principal::{Principal, Who};
use crate::sql;

/// The longest text of a filter, in bytes.
const FILTER_LONGEST: usize = 200;

/// Who does something, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) principal: Principal,
    pub(crate) address: Option<IpAddr>,
}

impl FromRequestParts<ControlApi> for Actor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ControlApi) -> Result<Self, ApiError> {
        let principal = <Principal as FromRequestParts<ControlApi>>::from_request_parts(parts, api).await?;
        let Ok(client) = Client::from_request_parts(parts, api).await;
        Ok(Self { principal, address: client.address })
    }
}

/// What was done, for [`Actor::note`].
#[derive(Debug)]
pub(crate) struct Deed {
    /// Such as `channel.update`.
    pub(crate) action: &'static str,
    /// The kind of what it was done to.
    pub(crate) kind: &'static str,
    /// Its id.
    pub(crate) id: String,
    /// The channel that it belongs to.
    pub(crate) channel: Option<Uuid>,
    /// An object; no secret.
    pub(crate) details: Value,
}

impl Actor {
    /// Writes down what they do, in the transaction of it.
    pub(crate) async fn note(&self, work: &mut PgConnection, deed: Deed) -> Result<(), sqlx::Error> {
        let (kind, id) = match self.principal.who {
            Who::User(id) => ("user", id),
            Who::Token(id) => ("token", id),
        };
        write(work, kind, &id.to_string(), self.address, deed).await
    }
}

/// Writes a row of an actor of `kind` (`user`, `token`, `system`).
pub(crate) async fn write(
    work: &mut PgConnection,
    kind: &'static str,
    actor: &str,
    address: Option<IpAddr>,
    deed: Deed,
) -> Result<(), sqlx::Error> {
    let sql = "insert into audit (actor_kind, actor, action, object_kind, object_id, channel_id, address, details) \
               values ($1, $2, $3, $4, $5, $6, $7::inet, $8)";
    sql::query(sql)
        .bind(kind)
        .bind(actor)
        .bind(deed.action)
        .bind(deed.kind)
        .bind(deed.id)
        .bind(deed.channel)
        .bind(address.map(|address| address.to_canonical().to_string()))
        .bind(Jsonb(deed.details))
        .execute(work)
        .await?;
    Ok(())
}

/// One thing that was done.
#[derive(Debug, Clone, Serialize, ToSchema, FromRow)]
pub struct AuditEntry {
    /// Grows with time.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// `user`, `token` or `system`.
    pub actor_kind: String,
    /// The id of the user or token, or the part of the system.
    pub actor: String,
    /// What the user or token is called.
    pub actor_name: Option<String>,
    /// What was done, such as `channel.update`.
    pub action: String,
    /// The kind of what it was done to.
    pub object_kind: String,
    /// Its id.
    pub object_id: String,
    /// The name of the channel that it belongs to.
    pub channel: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// More, by action.
    #[schema(value_type = Object)]
    pub details: Value,
}

/// A page of what was done.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// The `cursor` of the next page, if there is one.
    pub next: Option<String>,
}

/// `GET /api/v1/audit`
pub(crate) async fn list(State(api): State<ControlApi>, query: PageQuery) -> Result<Json<AuditPage>, ApiError> {
    let channel = query.channel_name()?;
    page_of(&api, &query, channel).await
}

/// `GET /api/v1/channels/{name}/audit`
pub(crate) async fn list_of_channel(
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
    query: PageQuery,
) -> Result<Json<AuditPage>, ApiError> {
    page_of(&api, &query, Some(name)).await
}

async fn page_of(
    api: &ControlApi,
    query: &PageQuery,
    channel: Option<ChannelName>,
) -> Result<Json<AuditPage>, ApiError> {
    let limit = query.limit()?;
    let before = query.after()?.map(|text| text.parse::<i64>().map_err(|_| page::bad_cursor())).transpose()?;
    let sql = "select a.id, a.at, a.actor_kind, a.actor, coalesce(u.name, t.name) as actor_name, a.action, \
                 a.object_kind, a.object_id, c.name as channel, host(a.address) as address, a.details \
               from audit a left join channels c on c.id = a.channel_id \
                 left join users u on u.id = case a.actor_kind when 'user' then a.actor::uuid end \
                 left join api_tokens t on t.id = case a.actor_kind when 'token' then a.actor::uuid end \
               where ($1::text is null or a.actor = $1 or a.actor in (select id::text from users where name = $1)) \
                 and ($2::text is null or a.action = $2) and ($3::text is null or a.object_id = $3) \
                 and ($4::text is null or a.channel_id in (select id from channels where name = $4)) \
                 and ($5::timestamptz is null or a.at >= $5) and ($6::timestamptz is null or a.at < $6) \
                 and ($7::bigint is null or a.id < $7) order by a.id desc limit $8";
    let mut entries: Vec<AuditEntry> = sql::query_as(sql)
        .bind(filter("actor", query.actor.as_deref())?)
        .bind(filter("action", query.action.as_deref())?)
        .bind(filter("object", query.object.as_deref())?)
        .bind(channel.as_ref().map(ChannelName::as_str))
        .bind(instant("since", query.since.as_deref())?)
        .bind(instant("until", query.until.as_deref())?)
        .bind(before)
        .bind(limit + 1)
        .fetch_all(&mut *api.begin().await?)
        .await?;
    let next = page::cut(&mut entries, limit, |entry| entry.id.to_string());
    Ok(Json(AuditPage { entries, next }))
}

fn filter<'a>(name: &'static str, text: Option<&'a str>) -> Result<Option<&'a str>, ApiError> {
    match text {
        Some(text) if text.len() > FILTER_LONGEST || text.contains('\0') => {
            Err(invalid(name, format!("must have at most {FILTER_LONGEST} characters")))
        }
        text => Ok(text),
    }
}

fn instant(name: &'static str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, ApiError> {
    let read = |text: &str| {
        let at = DateTime::parse_from_rfc3339(text).ok();
        let at = at.map(|at| at.to_utc()).filter(|at| (1970..10_000).contains(&chrono::Datelike::year(at)));
        at.ok_or_else(|| invalid(name, "must be an instant such as 2026-11-22T16:00:00Z".into()))
    };
    text.map(read).transpose()
}
