//! Members of channels: users with a role in one channel.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use schema::{ChannelName, UserName};
use serde::Serialize;
use serde_json::json;
use sqlx::{FromRow, PgConnection};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ControlApi;
use crate::audit::{Actor, Deed};
use crate::channels::channel_id;
use crate::http::extract::{ChannelPath, Fields, MemberPath, invalid};
use crate::http::problem::ApiError;
use crate::permission::{ChannelRole, Permission};
use crate::principal::Principal;
use crate::sql;
use crate::users;

/// The most members of a channel.
const MEMBERS_MAX: i64 = 100;

/// Whether all owners of the channel `c` are suspended, in SQL; a channel without any is the operators'.
macro_rules! owners_suspended {
    () => {
        "coalesce((select bool_and(w.state <> 'active') from channel_members o join users w on w.id = o.user_id \
         where o.channel_id = c.id and o.role = 'owner'), false)"
    };
}
pub(crate) use owners_suspended;

/// A member of a channel.
#[derive(Debug, Clone, Serialize, ToSchema, FromRow)]
pub struct Member {
    /// The user's handle.
    pub user: String,
    /// Its name for people.
    pub display_name: String,
    /// `owner`, `editor` or `moderator`.
    pub role: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// The members of a channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MemberList {
    /// In the order of their handles.
    pub members: Vec<Member>,
}

/// `GET /api/v1/channels/{name}/members`
pub(crate) async fn list(
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
) -> Result<Json<MemberList>, ApiError> {
    let mut work = api.begin().await?;
    let channel = channel_id(&mut work, &name).await?;
    let sql = "select u.name as \"user\", u.display_name, m.role, m.created_at from channel_members m \
               join users u on u.id = m.user_id where m.channel_id = $1 and u.deleted_at is null \
               order by u.name limit $2";
    let members = sql::query_as(sql).bind(channel).bind(MEMBERS_MAX).fetch_all(&mut *work).await?;
    Ok(Json(MemberList { members }))
}

/// `PUT /api/v1/channels/{name}/members/{user}`: makes the user a member, or gives another role.
pub(crate) async fn put(
    actor: Actor,
    State(api): State<ControlApi>,
    MemberPath { name, user }: MemberPath,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    let role: String = fields.required("role")?;
    let role = ChannelRole::of(&role).ok_or_else(|| invalid("role", "must be owner, editor or moderator".into()))?;
    fields.finish()?;
    let mut work = api.begin().await?;
    let (channel, member) = both_locked(&mut work, &name, &user).await?;
    let before = role_in(&mut work, channel, member).await?;
    if before == Some(ChannelRole::Owner) && role != ChannelRole::Owner {
        keep_an_owner(&mut work, channel, member).await?;
    }
    let sql = "insert into channel_members (channel_id, user_id, role) select $1, $2, $3 \
               where $5 or (select count(*) from channel_members where channel_id = $1) < $4 \
               on conflict (channel_id, user_id) do update set role = excluded.role";
    let query = sql::query(sql).bind(channel).bind(member).bind(role.as_str()).bind(MEMBERS_MAX);
    if query.bind(before.is_some()).execute(&mut *work).await?.rows_affected() == 0 {
        return Err(ApiError::Conflict { code: "members_too_many", title: "the channel has 100 members already" });
    }
    let details = json!({ "user": user.as_str(), "from": before, "to": role });
    actor.note(&mut work, deed("member.set", channel, member, details)).await?;
    work.commit().await?;
    Ok(if before.is_some() { StatusCode::NO_CONTENT } else { StatusCode::CREATED })
}

/// `DELETE /api/v1/channels/{name}/members/{user}`. What they began from the studio ends.
pub(crate) async fn remove(
    actor: Actor,
    State(api): State<ControlApi>,
    MemberPath { name, user }: MemberPath,
) -> Result<StatusCode, ApiError> {
    let mut work = api.begin().await?;
    let (channel, member) = both_locked(&mut work, &name, &user).await?;
    let before = role_in(&mut work, channel, member).await?.ok_or(ApiError::Unknown("member"))?;
    if before == ChannelRole::Owner {
        keep_an_owner(&mut work, channel, member).await?;
    }
    let sql = "delete from channel_members where channel_id = $1 and user_id = $2";
    sql::query(sql).bind(channel).bind(member).execute(&mut *work).await?;
    let details = json!({ "user": user.as_str(), "from": before });
    actor.note(&mut work, deed("member.remove", channel, member, details)).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The ids of both; the channel is locked, so that two changes of its members follow each other.
async fn both_locked(work: &mut PgConnection, name: &ChannelName, user: &UserName) -> Result<(Uuid, Uuid), ApiError> {
    let sql = "select id from channels where name = $1 and deleted_at is null for no key update";
    let channel = sql::query_scalar(sql).bind(name.as_str()).fetch_optional(&mut *work).await?;
    let channel = channel.ok_or(ApiError::Unknown("channel"))?;
    Ok((channel, users::by_name(work, user).await?.id))
}

async fn keep_an_owner(work: &mut PgConnection, channel: Uuid, leaving: Uuid) -> Result<(), ApiError> {
    let sql = "select exists (select from channel_members \
               where channel_id = $1 and user_id <> $2 and role = 'owner')";
    match sql::query_scalar(sql).bind(channel).bind(leaving).fetch_one(work).await? {
        true => Ok(()),
        false => Err(ApiError::Conflict { code: "owner_last", title: "the channel has no other owner" }),
    }
}

fn deed(action: &'static str, channel: Uuid, user: Uuid, details: serde_json::Value) -> Deed {
    Deed { action, kind: "user", id: user.to_string(), channel: Some(channel), details }
}

/// Makes the user who made a channel its owner.
pub(crate) async fn own(work: &mut PgConnection, channel: Uuid, user: Uuid) -> Result<(), sqlx::Error> {
    let sql = "insert into channel_members (channel_id, user_id, role) values ($1, $2, 'owner')";
    sql::query(sql).bind(channel).bind(user).execute(work).await?;
    Ok(())
}

/// The role of `user` in the channel, if they are a member.
pub(crate) async fn role_in(
    work: &mut PgConnection,
    channel: Uuid,
    user: Uuid,
) -> Result<Option<ChannelRole>, sqlx::Error> {
    let sql = "select role from channel_members where channel_id = $1 and user_id = $2";
    let query = sql::query_scalar::<String>(sql).bind(channel).bind(user);
    let found = query.fetch_optional(work).await?;
    Ok(found.as_deref().and_then(ChannelRole::of))
}

/// Whether who asks may do it on the channel, by their role or as a member. A stranger may not.
pub(crate) async fn may(
    work: &mut PgConnection,
    principal: Option<&Principal>,
    permission: Permission,
    channel: Uuid,
) -> Result<bool, sqlx::Error> {
    let Some(principal) = principal else {
        return Ok(false);
    };
    let member = match principal.user() {
        Some(user) if !principal.may(permission) => role_in(work, channel, user).await?,
        _ => None,
    };
    Ok(principal.may_on(permission, member))
}
