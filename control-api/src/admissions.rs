//! Admission: may this key publish, and as what?

use axum::Json;
use axum::extract::State;
use schema::StreamKey;
use schema::api::{AdmitRequest, PublishGrant};
use schema::ladder::Ladder;
use sqlx::types::Json as Jsonb;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::ControlApi;
use crate::broadcasts::size;
use crate::channels::profile_of;
use crate::http::extract::Typed;
use crate::http::problem::ApiError;
use crate::secret;
use crate::sql::{self, Work};

#[derive(FromRow)]
struct KeyRow {
    id: Uuid,
    revoked: bool,
    channel: String,
    title: String,
    ladder: Option<Jsonb<Ladder>>,
    profile: String,
    frame_rate: Option<i32>,
    last_width: Option<i32>,
    last_height: Option<i32>,
}

/// `POST /internal/v1/admissions`
pub(crate) async fn admit(
    State(api): State<ControlApi>,
    Typed(request): Typed<AdmitRequest>,
) -> Result<Json<PublishGrant>, ApiError> {
    let decided = decide(&api, &request.key).await;
    let result = match &decided {
        Ok(_) => "granted",
        Err(ApiError::KeyRefused { code, .. }) => code,
        Err(ApiError::DatabaseUnavailable) => "unavailable",
        Err(_) => "error",
    };
    let counter = &api.metrics().admissions;
    counter.with_label_values(&[result]).inc();
    let grant = decided?;
    tracing::info!(channel = %grant.channel, key_id = %grant.key_id, session = %request.session, "admitted a publisher");
    Ok(Json(grant))
}

async fn decide(api: &ControlApi, key: &StreamKey) -> Result<PublishGrant, ApiError> {
    let mut work = api.begin().await?;
    let found = find(&mut work, key)
        .await?
        .ok_or(ApiError::KeyRefused { code: "key_unknown", title: "the stream key is not known" })?;
    if found.revoked {
        return Err(ApiError::KeyRefused { code: "key_revoked", title: "the stream key was revoked" });
    }
    if let Err(error) = touch(work, found.id).await {
        // A record for people; no reason to turn a publisher away.
        tracing::warn!(%error, "the use of a key was not recorded");
    }
    grant(found)
}

async fn find(work: &mut PgConnection, key: &StreamKey) -> Result<Option<KeyRow>, sqlx::Error> {
    let sql = "select k.id, k.revoked_at is not null or c.deleted_at is not null as revoked, \
                 c.name as channel, c.title, c.ladder, c.profile, c.frame_rate, c.last_width, \
                 c.last_height \
               from stream_keys k join channels c on c.id = k.channel_id where k.hash = $1";
    let query = sql::query_as(sql).bind(secret::hash(key.expose()));
    query.fetch_optional(work).await
}

/// At most one write a minute for each key, however often it is tried.
async fn touch(mut work: Work, key: Uuid) -> Result<(), sqlx::Error> {
    let sql = "update stream_keys set last_used_at = now() where id = $1 \
               and (last_used_at is null or last_used_at < now() - interval '1 minute')";
    sql::query(sql).bind(key).execute(&mut *work).await?;
    work.commit().await
}

fn grant(row: KeyRow) -> Result<PublishGrant, ApiError> {
    let channel = row.channel.parse().map_err(|error| {
        tracing::error!(%error, channel = row.channel, "a channel's name is not valid");
        ApiError::Internal
    })?;
    Ok(PublishGrant {
        channel,
        key_id: row.id.to_string(),
        title: row.title,
        ladder: row.ladder.map(|ladder| ladder.0).unwrap_or_default(),
        profile: profile_of(&row.profile),
        frame_rate: row.frame_rate.and_then(|rate| u32::try_from(rate).ok()),
        last_size: size(row.last_width, row.last_height),
    })
}
