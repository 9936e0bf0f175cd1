//! Requests that are done once: a second one with the same `Idempotency-Key` is answered as the first was.
//!
//! The key and the answer are written in the transaction of what the request does. So a request that failed leaves no
//! trace, and one that comes while its twin runs waits for it at the key's row. Keys count for 24 h, for each user or
//! token apart. An answer with a secret is not kept: its twin is told that it was done (409).

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::header::{HeaderName, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::types::Json as Jsonb;
use sqlx::{FromRow, PgConnection};

use super::extract::invalid;
use super::problem::ApiError;
use crate::ControlApi;
use crate::principal::{Principal, Who};
use crate::secret;
use crate::sql;

/// draft-ietf-httpapi-idempotency-key-header 2.1
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Set on an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The longest key, in bytes.
const KEY_LONGEST: usize = 255;

/// What a request said of itself, by its header and body.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    key_hash: Vec<u8>,
    request_hash: Vec<u8>,
}

impl Stamp {
    /// Of a `POST` that has the header.
    pub(crate) fn of(parts: &Parts, body: &[u8]) -> Result<Option<Self>, ApiError> {
        let Some(key) = key(&parts.headers).filter(|_| parts.method == Method::POST) else {
            return Ok(None);
        };
        let key = key.map_err(|reason| invalid("idempotency_key", reason))?;
        let path = parts.uri.path();
        let request = Sha256::new().chain_update(path).chain_update([0]).chain_update(body).finalize();
        Ok(Some(Self { key_hash: secret::hash(key), request_hash: request.to_vec() }))
    }
}

fn key(headers: &HeaderMap) -> Option<Result<&str, String>> {
    let mut lines = headers.get_all(IDEMPOTENCY_KEY).iter();
    let first = lines.next()?;
    let text = first.to_str().ok().filter(|text| (1..=KEY_LONGEST).contains(&text.len()));
    let one = text.filter(|_| lines.next().is_none());
    Some(one.ok_or_else(|| format!("must be one text of 1 to {KEY_LONGEST} visible characters")))
}

/// A request that may be the second of its kind.
#[derive(Debug)]
pub(crate) struct Once(Option<(String, Stamp)>);

impl FromRequestParts<ControlApi> for Once {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ControlApi) -> Result<Self, ApiError> {
        let Some(stamp) = parts.extensions.get::<Stamp>().cloned() else {
            return Ok(Self(None));
        };
        let principal = <Principal as FromRequestParts<ControlApi>>::from_request_parts(parts, api).await?;
        let actor = match principal.who {
            Who::User(id) => format!("user {id}"),
            Who::Token(id) => format!("token {id}"),
        };
        Ok(Self(Some((actor, stamp))))
    }
}

#[derive(FromRow)]
struct KeptRow {
    request_hash: Vec<u8>,
    status: i32,
    location: Option<String>,
    body: Option<Jsonb<Value>>,
}

impl Once {
    /// The answer of before, if there was a twin; else the key is taken for this transaction.
    ///
    /// # Errors
    /// 422 if the key came with another request, 409 if the answer held a secret.
    pub(crate) async fn begin(&self, work: &mut PgConnection) -> Result<Option<Response>, ApiError> {
        let Some((actor, stamp)) = &self.0 else {
            return Ok(None);
        };
        clean_up(work, actor, stamp).await?;
        let sql = "insert into idempotency_keys (actor, key_hash, request_hash, status) values ($1, $2, $3, 0) \
                   on conflict do nothing";
        let query = sql::query(sql).bind(actor).bind(&stamp.key_hash).bind(&stamp.request_hash);
        if query.execute(&mut *work).await?.rows_affected() == 1 {
            return Ok(None);
        }
        let sql = "select request_hash, status, location, body from idempotency_keys \
                   where actor = $1 and key_hash = $2";
        let kept: KeptRow = sql::query_as(sql).bind(actor).bind(&stamp.key_hash).fetch_one(work).await?;
        match kept.request_hash == stamp.request_hash {
            true => replay(kept).map(Some),
            false => Err(ApiError::IdempotencyKeyReused),
        }
    }

    /// Keeps what is answered, and gives it.
    pub(crate) async fn created<T: Serialize>(
        self,
        work: &mut PgConnection,
        location: Option<String>,
        body: &T,
    ) -> Result<Response, ApiError> {
        let body = serde_json::to_value(body).map_err(|error| {
            tracing::error!(%error, "an answer is no JSON");
            ApiError::Internal
        })?;
        self.keep(work, location.as_deref(), Some(&body)).await?;
        Ok(answer(StatusCode::CREATED, location, body))
    }

    /// Keeps that it was done, and gives the answer, whose secret is told this once.
    pub(crate) async fn created_secret<T: Serialize>(
        self,
        work: &mut PgConnection,
        body: &T,
    ) -> Result<Response, ApiError> {
        self.keep(work, None, None).await?;
        Ok((StatusCode::CREATED, Json(body)).into_response())
    }

    async fn keep(
        self,
        work: &mut PgConnection,
        location: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(), sqlx::Error> {
        let Some((actor, stamp)) = self.0 else {
            return Ok(());
        };
        let sql = "update idempotency_keys set status = $3, location = $4, body = $5 \
                   where actor = $1 and key_hash = $2";
        sql::query(sql)
            .bind(actor)
            .bind(stamp.key_hash)
            .bind(i32::from(StatusCode::CREATED.as_u16()))
            .bind(location)
            .bind(body.map(Jsonb))
            .execute(work)
            .await?;
        Ok(())
    }
}

/// Removes some keys that count no more, this one's among them.
async fn clean_up(work: &mut PgConnection, actor: &str, stamp: &Stamp) -> Result<(), sqlx::Error> {
    let sql = "delete from idempotency_keys where (actor, key_hash) in (select actor, key_hash from idempotency_keys \
                 where created_at < now() - interval '24 hours' order by created_at limit 100 \
                 for update skip locked) \
               or (actor = $1 and key_hash = $2 and created_at < now() - interval '24 hours')";
    sql::query(sql).bind(actor).bind(&stamp.key_hash).execute(work).await?;
    Ok(())
}

fn replay(kept: KeptRow) -> Result<Response, ApiError> {
    let Some(Jsonb(body)) = kept.body else {
        return Err(ApiError::Conflict {
            code: "secret_told",
            title: "this request was done before; its secret is told once",
        });
    };
    let status = u16::try_from(kept.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.ok_or(ApiError::Internal)?;
    let mut response = answer(status, kept.location, body);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn answer(status: StatusCode, location: Option<String>, body: Value) -> Response {
    match location {
        Some(location) => (status, [(LOCATION, location)], Json(body)).into_response(),
        None => (status, Json(body)).into_response(),
    }
}
