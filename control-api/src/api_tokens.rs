//! API tokens: what programs ask with. A token is a user's, or nobody's, as the first one is. It may do what its user
//! may, or what its own role may, narrowed by scopes, until its end.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::{FromRow, PgConnection};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ControlApi;
use crate::audit::{Actor, Deed};
use crate::http::extract::{Fields, TokenPath, invalid, text};
use crate::http::once::Once;
use crate::http::page::{self, PageQuery};
use crate::http::problem::ApiError;
use crate::permission::{Permission, Role};
use crate::principal::Principal;
use crate::secret::{self, ApiToken};
use crate::sql;

/// The longest name, in characters.
const NAME_LONGEST: usize = 100;
/// The most valid tokens of one user, and of nobody.
const VALID_MAX: i64 = 100;

/// A token without its secret.
#[derive(Debug, Clone, Serialize, ToSchema, FromRow)]
pub struct TokenInfo {
    /// Its id, by which it is revoked.
    pub id: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// The handle of the user whose it is.
    pub user: Option<String>,
    /// `admin` or `read`, of a token without a user; `null` if its user or its scopes say it.
    pub role: Option<String>,
    /// The permissions to which it is narrowed; `null` is all.
    pub scopes: Option<Vec<String>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Its end, if it has one.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A new token: the only time that its secret is told.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NewToken {
    /// The secret, for `Authorization: Bearer`.
    #[schema(value_type = String)]
    pub token: ApiToken,
    /// The rest.
    #[serde(flatten)]
    pub info: TokenInfo,
}

/// A page of tokens.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TokenPage {
    /// Newest first, revoked ones included.
    pub tokens: Vec<TokenInfo>,
    /// The `cursor` of the next page, if there is one.
    pub next: Option<String>,
}

/// A statement that gives tokens `t` with their user `u`.
macro_rules! tokens {
    ($from:literal) => {
        concat!(
            "select t.id, t.name, u.name as \"user\", \
             case when t.user_id is null and t.scopes is null then t.role end as role, t.scopes, t.created_at, \
             t.expires_at, t.last_used_at, t.revoked_at from ",
            $from
        )
    };
}

/// `GET /api/v1/me/tokens`: those of the user who asks; of a token without a user, those without one.
pub(crate) async fn list_own(
    principal: Principal,
    State(api): State<ControlApi>,
    query: PageQuery,
) -> Result<Json<TokenPage>, ApiError> {
    page_of(&api, &query, Some(principal.user())).await
}

/// `GET /api/v1/api-tokens`: everybody's.
pub(crate) async fn list_all(State(api): State<ControlApi>, query: PageQuery) -> Result<Json<TokenPage>, ApiError> {
    page_of(&api, &query, None).await
}

/// Ids are in the order of their making (UUIDv7).
async fn page_of(api: &ControlApi, query: &PageQuery, of: Option<Option<Uuid>>) -> Result<Json<TokenPage>, ApiError> {
    let limit = query.limit()?;
    let before = query.after()?.map(|text| text.parse::<Uuid>().map_err(|_| page::bad_cursor())).transpose()?;
    let sql = tokens!(
        "api_tokens t left join users u on u.id = t.user_id \
         where ($1 or t.user_id = $2 or (t.user_id is null and $2 is null)) and ($3::uuid is null or t.id < $3) \
         order by t.id desc limit $4"
    );
    let mut tokens: Vec<TokenInfo> = sql::query_as(sql)
        .bind(of.is_none())
        .bind(of.flatten())
        .bind(before)
        .bind(limit + 1)
        .fetch_all(&mut *api.begin().await?)
        .await?;
    let next = page::cut(&mut tokens, limit, |token| token.id.to_string());
    Ok(Json(TokenPage { tokens, next }))
}

/// `POST /api/v1/me/tokens`. A token made by a token is no wider and lives no longer than that one.
pub(crate) async fn create(
    actor: Actor,
    once: Once,
    State(api): State<ControlApi>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let wished = Wished::take(&mut fields, &actor.principal)?;
    fields.finish()?;
    let mut work = api.begin().await?;
    if let Some(told) = once.begin(&mut work).await? {
        return Ok(told);
    }
    let token = ApiToken::generate();
    let id = insert(&mut work, &actor.principal, &wished, &token).await?;
    let details = json!({ "name": wished.name, "scopes": wished.scopes, "expires_at": wished.expires_at });
    actor.note(&mut work, deed("token.create", id, details)).await?;
    let sql = tokens!("api_tokens t left join users u on u.id = t.user_id where t.id = $1");
    let info = sql::query_as(sql).bind(id).fetch_one(&mut *work).await?;
    let answer = once.created_secret(&mut work, &NewToken { token, info }).await?;
    work.commit().await?;
    Ok(answer)
}

async fn insert(
    work: &mut PgConnection,
    principal: &Principal,
    wished: &Wished,
    token: &ApiToken,
) -> Result<Uuid, ApiError> {
    let sql = "insert into api_tokens (id, hash, name, role, user_id, scopes, expires_at) \
               select $1, $2, $3, $4, $5, $6, least($7, (select expires_at from api_tokens where id = $8)) \
               where (select count(*) from api_tokens where (user_id = $5 or (user_id is null and $5 is null)) and revoked_at is null \
                 and coalesce(expires_at > now(), true)) < $9 returning id";
    let made: Option<Uuid> = sql::query_scalar(sql)
        .bind(Uuid::now_v7())
        .bind(secret::hash(token.expose()))
        .bind(&wished.name)
        .bind(wished.stored_role(principal).as_str())
        .bind(principal.user())
        .bind(&wished.scopes)
        .bind(wished.expires_at)
        .bind(principal.token)
        .bind(VALID_MAX)
        .fetch_optional(work)
        .await?;
    made.ok_or(ApiError::Conflict {
        code: "tokens_too_many",
        title: "there are 100 valid API tokens already; revoke one first",
    })
}

/// `DELETE /api/v1/me/tokens/{id}`: worth nothing from now on, and what it began from the studio ends. Harmless when
/// repeated.
pub(crate) async fn revoke_own(
    actor: Actor,
    State(api): State<ControlApi>,
    TokenPath(id): TokenPath,
) -> Result<StatusCode, ApiError> {
    let of = Some(actor.principal.user());
    revoke(&api, &actor, id, of).await
}

/// `DELETE /api/v1/api-tokens/{id}`: the same, of everybody's.
pub(crate) async fn revoke_any(
    actor: Actor,
    State(api): State<ControlApi>,
    TokenPath(id): TokenPath,
) -> Result<StatusCode, ApiError> {
    revoke(&api, &actor, id, None).await
}

async fn revoke(api: &ControlApi, actor: &Actor, id: Uuid, of: Option<Option<Uuid>>) -> Result<StatusCode, ApiError> {
    let mut work = api.begin().await?;
    let sql = "select name, revoked_at is not null from api_tokens \
               where id = $1 and ($2 or user_id is not distinct from $3) for update";
    let query = sql::query_as(sql).bind(id).bind(of.is_none()).bind(of.flatten());
    let found: Option<(String, bool)> = query.fetch_optional(&mut *work).await?;
    let (name, over) = found.ok_or(ApiError::Unknown("token"))?;
    if over {
        return Ok(StatusCode::NO_CONTENT);
    }
    let sql = "update api_tokens set revoked_at = now() where id = $1";
    sql::query(sql).bind(id).execute(&mut *work).await?;
    actor.note(&mut work, deed("token.revoke", id, json!({ "name": name }))).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn deed(action: &'static str, id: Uuid, details: serde_json::Value) -> Deed {
    Deed { action, kind: "token", id: id.to_string(), channel: None, details }
}

/// What may be said of a new token, checked.
struct Wished {
    name: String,
    role: Role,
    scopes: Option<Vec<String>>,
    expires_at: Option<DateTime<Utc>>,
}

impl Wished {
    fn take(fields: &mut Fields, principal: &Principal) -> Result<Self, ApiError> {
        let name: String = fields.required("name")?;
        let role: Option<String> = fields.optional("role")?;
        let scopes: Option<Vec<String>> = fields.optional("scopes")?;
        let expires_at: Option<DateTime<Utc>> = fields.optional("expires_at")?;
        if expires_at.is_some_and(|at| chrono::Datelike::year(&at) >= 10_000) {
            return Err(invalid("expires_at", "must be before the year 10000".into()));
        }
        Ok(Self {
            name: text("name", &name, 1, NAME_LONGEST)?,
            role: own_role(role.as_deref(), scopes.is_some(), principal)?,
            scopes: narrowed(scopes, principal)?,
            expires_at,
        })
    }

    /// A program that knows neither users nor scopes takes such a token for one that may read.
    fn stored_role(&self, principal: &Principal) -> Role {
        match principal.user().is_some() || self.scopes.is_some() {
            true => Role::Read,
            false => self.role,
        }
    }
}

/// The role of a token without a user: that of its maker, or less. Scopes alone say what a narrowed one may.
fn own_role(word: Option<&str>, narrowed: bool, principal: &Principal) -> Result<Role, ApiError> {
    let refuse = |reason: &str| Err(invalid("role", reason.into()));
    match (word, principal.user()) {
        (None, _) => Ok(principal.role),
        (Some(_), _) if narrowed || principal.scopes.is_some() => refuse("is what the scopes say"),
        (Some(_), Some(_)) => refuse("is that of the user"),
        (Some("admin"), None) if principal.role == Role::Admin => Ok(Role::Admin),
        (Some("read"), None) => Ok(Role::Read),
        (Some(_), None) => refuse("must be admin or read, and not more than one's own"),
    }
}

/// The scopes of a new token: all of them known, and none that its maker lacks.
fn narrowed(scopes: Option<Vec<String>>, principal: &Principal) -> Result<Option<Vec<String>>, ApiError> {
    let Some(mut words) = scopes else {
        let same = principal.scopes.as_ref();
        return Ok(same.map(|scopes| scopes.words().map(str::to_owned).collect()));
    };
    if words.is_empty() {
        return Err(invalid("scopes", "must name at least one permission".into()));
    }
    for word in &words {
        let known = Permission::of(word).ok_or_else(|| invalid("scopes", "must be names of permissions".into()))?;
        if !principal.scopes.as_ref().is_none_or(|scopes| scopes.hold(known)) {
            return Err(invalid("scopes", format!("must not be wider than one's own: {known}")));
        }
    }
    words.sort_unstable();
    words.dedup();
    Ok(Some(words))
}
