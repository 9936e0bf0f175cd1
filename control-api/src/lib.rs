//! The control plane: owns Postgres; knows who may publish, and what runs where.
//!
//! One resource is one file with its types, SQL and handlers. Two routers: the public API under
//! `/api/v1`, and the internal one that nodes call (`schema::api`), which never travels on the
//! public port. Losing the database costs answers here (503) and nothing elsewhere: running
//! broadcasts and viewers do not ask.
//!
//! Knows no media, no playlist and no node; a node knows it by HTTP alone.

pub mod admissions;
mod api_tokens;
mod attempts;
pub mod broadcasts;
pub mod channels;
pub mod database;
pub mod first_run;
mod http;
pub mod internal;
mod members;
pub mod metrics;
pub mod permission;
pub mod playback;
pub mod postgres;
mod principal;
pub mod publish_tokens;
pub mod reports;
pub mod secret;
mod slates;
mod sql;
pub mod stream_keys;
pub mod web_sessions;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use prometheus::Registry;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use attempts::Attempts;
use metrics::ControlMetrics;
use playback::Playback;

pub use database::{ConnectError, Database, DatabaseConfig, Route, SchemaError};
pub use first_run::{FirstRun, FirstRunError, FirstRunNames, first_run};
pub use http::guard::{BODY_BYTES_MAX, REPORT_BYTES_MAX};
pub use internal::{bind_internal, serve_internal};
pub use postgres::{Embedded, StartError};

/// What every request shares.
#[derive(Debug, Clone)]
pub struct ControlApi {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    metrics: ControlMetrics,
    attempts: Attempts,
    playback: Playback,
}

impl ControlApi {
    /// The control plane over `pool`; its metrics go to `registry`.
    ///
    /// # Errors
    /// If metrics of these names are registered there already.
    pub fn new(pool: PgPool, registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = ControlMetrics::register(registry, &pool)?;
        let playback = Playback::new(registry)?;
        let inner = Arc::new(Inner { pool, metrics, attempts: Attempts::default(), playback });
        Ok(Self { inner })
    }

    /// Begins what a request does in the database.
    pub(crate) async fn begin(&self) -> Result<sql::Work, sqlx::Error> {
        self.inner.pool.begin().await
    }

    pub(crate) fn metrics(&self) -> &ControlMetrics {
        &self.inner.metrics
    }

    /// Failed sign-ins.
    pub(crate) fn attempts(&self) -> &Attempts {
        &self.inner.attempts
    }

    /// Who watches.
    pub(crate) fn playback(&self) -> &Playback {
        &self.inner.playback
    }

    /// Writes viewer sessions to the database, in batches, until `cancel`.
    pub async fn write_viewers(self, cancel: CancellationToken) {
        playback::run_writer(self, cancel).await;
    }
}

/// The public API. All its paths begin with `/api/v1`; every other path is answered 404.
pub fn public_router(state: ControlApi) -> Router {
    Router::new()
        .route("/api/v1/channels", get(channels::list).post(channels::create))
        .route("/api/v1/channels/{name}", get(channels::show).patch(channels::update).delete(channels::remove))
        .route("/api/v1/channels/{name}/keys", get(stream_keys::list).post(stream_keys::create))
        .route("/api/v1/channels/{name}/keys/{id}", delete(stream_keys::revoke))
        .route(slates::PATH, get(slates::show).put(slates::replace).delete(slates::remove))
        .route("/api/v1/channels/{name}/publish-tokens", post(publish_tokens::create))
        .route("/api/v1/broadcasts", get(broadcasts::list))
        .route("/api/v1/session", get(web_sessions::show).post(web_sessions::create).delete(web_sessions::remove))
        .merge(playback::routes())
        .fallback(http::problem::not_found)
        .method_not_allowed_fallback(http::problem::method_not_allowed)
        .layer(from_fn_with_state(state.clone(), http::guard::public))
        .with_state(state)
}

/// The API that nodes call. It checks no token: who reaches its socket is a node.
pub fn internal_router(state: ControlApi) -> Router {
    Router::new()
        .route(schema::api::ADMISSIONS_PATH, post(admissions::admit))
        .route(schema::api::REPORTS_PATH, post(reports::report))
        .fallback(http::problem::not_found)
        .method_not_allowed_fallback(http::problem::method_not_allowed)
        .layer(from_fn_with_state(state.clone(), http::guard::internal))
        .with_state(state)
}
