//! Metrics and health on their own port, thread and runtime, so that they answer under load.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Incoming;
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::exit::Exit;
use crate::http::metrics::{Metrics, Port};
use crate::http::server::{Limits, Server, pace};

/// Who asks here is the operator, from a few places.
const LIMITS: Limits = Limits { connections: 256, connections_per_address: 64, pace: pace::Limits::USUAL };

/// The running ops server.
pub(crate) struct Ops {
    /// The address it chose.
    pub(crate) address: SocketAddr,
    /// Says "ready" or not.
    pub(crate) readiness: Readiness,
    cancel: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

/// Whether this process takes new publishers and viewers; shown by `/ready`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }
}

#[derive(Clone)]
struct Shared {
    registry: Registry,
    readiness: Readiness,
}

impl Ops {
    /// Binds `listen` and serves until dropped.
    ///
    /// # Errors
    /// [`Exit::Unavailable`] where the port is taken or the thread cannot start.
    pub(crate) fn start(listen: SocketAddr, registry: Registry) -> Result<Self, Exit> {
        let failed =
            |error: std::io::Error| Exit::Unavailable(format!("ops.listen: cannot listen on {listen}: {error}"));
        let listener = std::net::TcpListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let readiness = Readiness::default();
        let cancel = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let metrics = Metrics::register(Port::Ops, &registry).map_err(Exit::software)?;
        let app = router(Shared { registry, readiness: readiness.clone() });
        let ended = cancel.clone();
        let thread = thread::Builder::new()
            .name("ops".to_owned())
            .spawn(move || runtime.block_on(serve(listener, metrics, app, ended)))
            .map_err(failed)?;
        Ok(Self { address, readiness, cancel, thread: Some(thread) })
    }
}

impl Drop for Ops {
    fn drop(&mut self) {
        self.cancel.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the ops thread panicked");
        }
    }
}

async fn serve(listener: std::net::TcpListener, metrics: Metrics, app: Router, ended: CancellationToken) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the ops server ended"),
    };
    let server = Server::on(listener, LIMITS, metrics);
    let running = server.run(CancellationToken::new(), move |request| answer(app.clone(), request));
    tokio::select! {
        () = ended.cancelled() => {}
        () = running => {}
    }
}

async fn answer(app: Router, request: Request<Incoming>) -> Response {
    match app.oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .with_state(shared)
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&shared.registry.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn ready(State(shared): State<Shared>) -> Response {
    if shared.readiness.0.load(Ordering::Acquire) {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}
