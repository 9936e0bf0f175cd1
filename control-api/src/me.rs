//! Who asks: what they are, what they may, and their own profile.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ControlApi;
use crate::audit::{Actor, Deed};
use crate::http::extract::Fields;
use crate::http::problem::ApiError;
use crate::http::version::{IfMatch, etag};
use crate::permission::{Role, TABLE};
use crate::principal::{Principal, Who};
use crate::sql;
use crate::users::{self, User, Whose, Wished};

/// The most channels that are told.
const CHANNELS_MAX: i64 = 1_000;

/// Who asks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Me {
    /// `user`, or `token` for an API token without a user.
    pub kind: &'static str,
    /// The id of either.
    pub id: Uuid,
    /// The user's handle, or what the token is called.
    pub name: String,
    /// A user's role; of a token without a user `admin` or `read`.
    #[schema(value_type = String)]
    pub role: Role,
    /// What they may everywhere, narrowed by the scopes of their token.
    pub permissions: Vec<&'static str>,
    /// When a person signed in, where one did.
    pub signed_in_at: Option<DateTime<Utc>>,
    /// The user's profile.
    pub user: Option<User>,
    /// The channels of which the user is a member, in the order of their names.
    pub channels: Vec<Membership>,
}

/// A channel, and a user's role in it.
#[derive(Debug, Clone, Serialize, ToSchema, FromRow)]
pub struct Membership {
    /// The channel's name.
    pub channel: String,
    /// `owner`, `editor` or `moderator`.
    pub role: String,
}

/// `GET /api/v1/me`
pub(crate) async fn show(principal: Principal, State(api): State<ControlApi>) -> Result<Response, ApiError> {
    let mut work = api.begin().await?;
    let (kind, id) = match principal.who {
        Who::User(id) => ("user", id),
        Who::Token(id) => ("token", id),
    };
    let user = match principal.user() {
        Some(id) => Some(users::by_id(&mut work, id).await?),
        None => None,
    };
    let channels = memberships(&mut work, principal.user()).await?;
    let may = TABLE.iter().filter(|row| principal.may(row.permission));
    let version = user.as_ref().map(|user| user.version);
    let me = Me {
        kind,
        id,
        permissions: may.map(|row| row.word).collect(),
        signed_in_at: principal.signed_in_at,
        name: principal.name,
        role: principal.role,
        user,
        channels,
    };
    Ok(match version {
        Some(version) => (etag(version), Json(me)).into_response(),
        None => Json(me).into_response(),
    })
}

async fn memberships(work: &mut PgConnection, user: Option<Uuid>) -> Result<Vec<Membership>, sqlx::Error> {
    let sql = "select c.name as channel, m.role from channel_members m join channels c on c.id = m.channel_id \
               where m.user_id = $1 and c.deleted_at is null order by c.name limit $2";
    sql::query_as(sql).bind(user).bind(CHANNELS_MAX).fetch_all(work).await
}

/// `PATCH /api/v1/me`: one's own profile, a merge patch (RFC 7396).
pub(crate) async fn update(
    actor: Actor,
    if_match: IfMatch,
    State(api): State<ControlApi>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let wished = Wished::take(&mut fields, Whose::Own)?;
    fields.finish()?;
    let user = actor.principal.user().ok_or(NO_USER)?;
    let mut work = api.begin().await?;
    let before = users::by_id_locked(&mut work, user).await?;
    let user = users::change(&mut work, &before, &if_match, wished).await?;
    let (id, details) = (user.id.to_string(), users::changes(&before, &user));
    actor.note(&mut work, Deed { action: "profile.update", kind: "user", id, channel: None, details }).await?;
    work.commit().await?;
    Ok((etag(user.version), Json(user)).into_response())
}

const NO_USER: ApiError = ApiError::Conflict { code: "no_user", title: "this API token belongs to no user" };
