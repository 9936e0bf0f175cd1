//! Admission: may this key or publish token begin a session, and as what?

use axum::Json;
use axum::extract::State;
use schema::StreamKey;
use schema::api::{AdmitRequest, PublishGrant, Slate};
use schema::ladder::Ladder;
use sqlx::types::Json as Jsonb;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::ControlApi;
use crate::admission_hook::{Decision, Publisher, overridden};
use crate::broadcasts::size;
use crate::channels::word;
use crate::http::extract::Typed;
use crate::http::problem::ApiError;
use crate::members::owners_suspended;
use crate::secret;
use crate::sql::{self, Work};

/// A stream key or a publish token, with the channel it opens.
#[derive(FromRow)]
struct KeyRow {
    id: Uuid,
    revoked: bool,
    expired: bool,
    /// All owners of the channel are suspended.
    closed: bool,
    channel: String,
    title: String,
    ladder: Option<Jsonb<Ladder>>,
    profile: String,
    frame_rate: Option<i32>,
    last_width: Option<i32>,
    last_height: Option<i32>,
    grace_s: i32,
    second_publisher: String,
    passthrough: bool,
    role: String,
    slate: Option<Vec<u8>>,
    slate_type: Option<String>,
    dvr_s: i32,
    access: String,
}

/// `POST /internal/v1/admissions`
pub(crate) async fn admit(
    State(api): State<ControlApi>,
    Typed(request): Typed<AdmitRequest>,
) -> Result<Json<PublishGrant>, ApiError> {
    let decided = decide(&api, &request).await;
    let result = match &decided {
        Ok(_) => "granted",
        Err(ApiError::PublishForbidden { .. }) => "forbidden",
        Err(ApiError::PublishElsewhere { .. }) => "elsewhere",
        Err(ApiError::KeyRefused { code, .. }) => code,
        Err(ApiError::DatabaseUnavailable | ApiError::HookUnavailable) => "unavailable",
        Err(_) => "error",
    };
    let counter = &api.metrics().admissions;
    counter.with_label_values(&[result]).inc();
    let grant = decided?;
    tracing::info!(channel = %grant.channel, key_id = %grant.key_id, session = %request.session, "admitted a publisher");
    Ok(Json(grant))
}

/// The key's word, then the operator's.
async fn decide(api: &ControlApi, request: &AdmitRequest) -> Result<PublishGrant, ApiError> {
    let grant = by_key(api, &request.key).await?;
    let Some(hook) = api.admission_hook() else { return Ok(grant) };
    let publisher = Publisher {
        channel: &grant.channel,
        key_id: &grant.key_id,
        role: grant.role,
        protocol: request.protocol,
        session: &request.session,
    };
    let decision = hook.decide(publisher).await;
    api.metrics().admission_hook.with_label_values(&[decision.as_str()]).inc();
    match decision {
        Decision::Allowed { ladder, profile } => Ok(overridden(grant, ladder, profile)),
        Decision::Unasked => Ok(grant),
        Decision::Denied { reason } => Err(ApiError::PublishForbidden { reason }),
        Decision::Elsewhere { location } => Err(ApiError::PublishElsewhere { location }),
        Decision::Unknown => Err(ApiError::HookUnavailable),
    }
}

async fn by_key(api: &ControlApi, key: &StreamKey) -> Result<PublishGrant, ApiError> {
    let mut work = api.begin().await?;
    match secret::is_publish_token(key) {
        true => grant(good(find_token(&mut work, key).await?)?),
        false => {
            let found = good(find_key(&mut work, key).await?)?;
            if let Err(error) = touch(work, found.id).await {
                // A record for people; no reason to turn a publisher away.
                tracing::warn!(%error, "the use of a key was not recorded");
            }
            grant(found)
        }
    }
}

/// What was found, if it may begin a session now.
fn good(found: Option<KeyRow>) -> Result<KeyRow, ApiError> {
    let refuse = |code, title| Err(ApiError::KeyRefused { code, title });
    match found {
        None => refuse("key_unknown", "the stream key is not known"),
        Some(KeyRow { revoked: true, .. }) => refuse("key_revoked", "the stream key was revoked"),
        Some(KeyRow { closed: true, .. }) => refuse("key_revoked", "every owner of the channel is suspended"),
        Some(KeyRow { expired: true, .. }) => refuse("token_expired", "the publish token has expired; get a new one"),
        Some(found) => Ok(found),
    }
}

/// The columns that a grant needs of the channel `c`.
macro_rules! of_channel {
    ($of_key:literal, $from:literal) => {
        concat!(
            "select ",
            $of_key,
            ", c.name as channel, c.title, c.ladder, c.profile, c.frame_rate, c.last_width, c.last_height, \
             c.grace_s, c.second_publisher, c.passthrough, c.slate, c.slate_type, c.dvr_s, c.access, ",
            owners_suspended!(),
            " as closed from ",
            $from
        )
    };
}

async fn find_key(work: &mut PgConnection, key: &StreamKey) -> Result<Option<KeyRow>, sqlx::Error> {
    let sql = of_channel!(
        "k.id, k.role, k.revoked_at is not null or coalesce(k.expires_at <= now(), false) or c.deleted_at is not null \
         as revoked, false as expired",
        "stream_keys k join channels c on c.id = k.channel_id where k.hash = $1"
    );
    let query = sql::query_as(sql).bind(secret::hash(key.expose()));
    query.fetch_optional(work).await
}

/// A publish token is revoked with the API token or user it was made by. It begins what viewers see.
async fn find_token(work: &mut PgConnection, token: &StreamKey) -> Result<Option<KeyRow>, sqlx::Error> {
    let sql = of_channel!(
        "p.id, 'primary' as role, t.revoked_at is not null or u.deleted_at is not null \
         or coalesce(u.state = 'suspended', false) or c.deleted_at is not null as revoked, \
         p.expires_at <= now() as expired",
        "publish_tokens p left join api_tokens t on t.id = p.api_token_id left join users u on u.id = p.user_id \
         join channels c on c.id = p.channel_id where p.hash = $1"
    );
    let query = sql::query_as(sql).bind(secret::hash(token.expose()));
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
    let slate = row.slate_type.zip(row.slate);
    Ok(PublishGrant {
        channel,
        key_id: row.id.to_string(),
        title: row.title,
        ladder: row.ladder.map(|ladder| ladder.0).unwrap_or_default(),
        profile: word(&row.profile),
        frame_rate: row.frame_rate.and_then(|rate| u32::try_from(rate).ok()),
        last_size: size(row.last_width, row.last_height),
        grace_s: u32::try_from(row.grace_s).unwrap_or(PublishGrant::GRACE_S_USUAL),
        second_publisher: word(&row.second_publisher),
        passthrough: row.passthrough,
        role: word(&row.role),
        slate: slate.map(|(content_type, data)| Slate { content_type, data: data.into() }),
        dvr_s: u32::try_from(row.dvr_s).unwrap_or(0),
        access: word(&row.access),
    })
}
