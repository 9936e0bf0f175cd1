//! The control plane: owns Postgres; knows who may publish, and what runs where.
//!
//! One resource is one file with its types, SQL and handlers. Two routers: the public API under
//! `/api/v1`, and the internal one that nodes call (`schema::api`), which never travels on the
//! public port. Losing the database costs answers here (503) and nothing elsewhere: running
//! broadcasts and viewers do not ask.
//!
//! Knows no media, no playlist and no node; a node knows it by HTTP alone.

mod admission_hook;
pub mod admissions;
pub mod api_tokens;
mod attempts;
pub mod audit;
pub mod auth;
pub mod broadcasts;
pub mod channels;
pub mod database;
pub mod first_run;
mod http;
pub mod internal;
pub mod me;
pub mod members;
pub mod metrics;
pub mod permission;
pub mod playback;
pub mod postgres;
mod principal;
pub mod publish_tokens;
pub mod reports;
mod routes;
pub mod secret;
mod slates;
mod sql;
pub mod stream_keys;
mod strict;
pub mod users;
pub mod web_sessions;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use prometheus::Registry;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use attempts::Attempts;
use auth::Auth;
use http::limit::Limiters;
use metrics::ControlMetrics;
use playback::Playback;

pub use admission_hook::{AdmissionHook, HookConfig, HookError, OnFailure, Secret as HookSecret, SecretError};
pub use database::{ConnectError, Database, DatabaseConfig, Route, SchemaError};
pub use first_run::{FirstRun, FirstRunError, FirstRunNames, first_run};
pub use http::guard::{BODY_BYTES_MAX, REPORT_BYTES_MAX};
pub use http::limit::{Class, RateLimits};
pub use http::routes::{Answers, Field, Kind, Need, Route as ApiRoute, Takes, Verb};
pub use internal::{bind_internal, serve_internal};
pub use postgres::{Embedded, StartError};

/// What every request shares.
#[derive(Debug, Clone)]
pub struct ControlApi {
    inner: Arc<Inner>,
    admission_hook: Option<Arc<AdmissionHook>>,
    limiters: Arc<Limiters>,
}

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    metrics: ControlMetrics,
    attempts: Attempts,
    auth: Auth,
    playback: Playback,
}

impl ControlApi {
    /// The control plane over `pool`; its metrics go to `registry`. Accounts are local, their secrets end with the
    /// process, and mail goes nowhere.
    ///
    /// # Errors
    /// If metrics of these names are registered there already.
    pub fn new(pool: PgPool, registry: &Registry) -> Result<Self, prometheus::Error> {
        Self::with_auth(pool, registry, Auth::ephemeral())
    }

    /// The control plane over `pool` with identity as `auth` has it; its metrics go to `registry`.
    ///
    /// # Errors
    /// If metrics of these names are registered there already.
    pub fn with_auth(pool: PgPool, registry: &Registry, auth: Auth) -> Result<Self, prometheus::Error> {
        let metrics = ControlMetrics::register(registry, &pool)?;
        let playback = Playback::new(registry)?;
        let inner = Arc::new(Inner { pool, metrics, attempts: Attempts::default(), auth, playback });
        Ok(Self { inner, admission_hook: None, limiters: Arc::new(Limiters::new(&RateLimits::USUAL)) })
    }

    /// Lets the operator's service have its word in each admission.
    #[must_use]
    pub fn with_admission_hook(self, hook: AdmissionHook) -> Self {
        Self { admission_hook: Some(Arc::new(hook)), ..self }
    }

    /// Lets nobody ask more often than `limits` say; without it they are [`RateLimits::USUAL`].
    #[must_use]
    pub fn with_rate_limits(self, limits: &RateLimits) -> Self {
        Self { limiters: Arc::new(Limiters::new(limits)), ..self }
    }

    /// Who asked how often.
    pub(crate) fn limiters(&self) -> &Limiters {
        &self.limiters
    }

    /// The operator's service, where one is configured.
    pub(crate) fn admission_hook(&self) -> Option<&AdmissionHook> {
        self.admission_hook.as_deref()
    }

    /// Begins what a request does in the database.
    pub(crate) async fn begin(&self) -> Result<sql::Work, sqlx::Error> {
        self.inner.pool.begin().await
    }

    pub(crate) fn metrics(&self) -> &ControlMetrics {
        &self.inner.metrics
    }

    /// Who somebody is.
    #[must_use]
    pub fn auth(&self) -> &Auth {
        &self.inner.auth
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

/// Every route of the public API as it is declared, for documents and tests.
#[must_use]
pub fn declared_routes() -> Vec<ApiRoute> {
    routes::all()
}

/// `docs/permissions.md` as it must be.
#[must_use]
pub fn permissions_page() -> String {
    http::openapi::permissions_page(&routes::all())
}

/// The public API. All its paths begin with `/api`, but for the key set under `/.well-known`; every other path is answered 404.
pub fn public_router(state: ControlApi) -> Router {
    http::routes::router(routes::all(), &state)
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
