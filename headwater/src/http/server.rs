//! Accepts connections and drives HTTP/1.1 and HTTP/2 (prior knowledge) on them, within limits.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use prometheus::{IntCounter, IntGauge, Registry};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The longest a client may take from the last answer to the end of its next request's headers. A CDN keeps
/// idle connections for 60 s; closing them sooner would cost it a request.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(65);
/// The most streams of one HTTP/2 connection.
const HTTP2_STREAMS_MAX: u32 = 256;
/// The largest header block, in bytes.
const HEADERS_BYTES_MAX: usize = 32 * 1024;

/// Figures of the public port.
#[derive(Debug, Clone)]
struct Metrics {
    open: IntGauge,
    refused: IntCounter,
}

impl Metrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let open = IntGauge::new("headwater_http_connections", "Open connections on the public port")?;
        let refused = IntCounter::new(
            "headwater_http_connections_refused_total",
            "Connections closed at once because limits.connections_max were open",
        )?;
        registry.register(Box::new(open.clone()))?;
        registry.register(Box::new(refused.clone()))?;
        Ok(Self { open, refused })
    }
}

/// A bound server that does not accept yet.
pub(crate) struct Server {
    listener: TcpListener,
    places: Arc<Semaphore>,
    metrics: Metrics,
}

impl Server {
    /// Binds `listen`, for at most `connections_max` connections at a time.
    ///
    /// # Errors
    /// The port is taken or not allowed, or the metrics were registered before.
    pub(crate) async fn bind(listen: SocketAddr, connections_max: usize, registry: &Registry) -> io::Result<Self> {
        let metrics = Metrics::register(registry).map_err(io::Error::other)?;
        let listener = TcpListener::bind(listen).await?;
        Ok(Self { listener, places: Arc::new(Semaphore::new(connections_max)), metrics })
    }

    /// The address it listens on.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `cancel`, then lets open requests finish. Dropping the future ends them at once.
    pub(crate) async fn run<F, Fut>(self, cancel: CancellationToken, handle: F)
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(_ended) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        if let Some(place) = self.place() {
                            connections.spawn(connection(stream, peer, handle.clone(), graceful.watcher(), place, self.metrics.open.clone()));
                        }
                    }
                    Err(error) => accept_failed(&error).await,
                }
            }
        }
        drop(self.listener);
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    }

    /// A place for one more connection, or none and a count.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        if place.is_none() {
            self.metrics.refused.inc();
        }
        place
    }
}

/// Out of descriptors or memory: give open connections a moment to end before the next try.
async fn accept_failed(error: &io::Error) {
    tracing::warn!(%error, "could not accept a connection");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn connection<F, Fut>(
    stream: TcpStream,
    peer: SocketAddr,
    handle: F,
    watcher: hyper_util::server::graceful::Watcher,
    place: OwnedSemaphorePermit,
    open: IntGauge,
) where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<Body>> + Send + 'static,
{
    open.inc();
    if stream.set_nodelay(true).is_ok() {
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let answer = handle(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ_TIMEOUT)
            .max_buf_size(HEADERS_BYTES_MAX);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(HTTP2_STREAMS_MAX)
            .max_header_list_size(32 * 1024)
            .keep_alive_interval(Duration::from_secs(20));
        let served = watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
        if let Err(error) = served.await {
            tracing::debug!(%peer, %error, "connection ended early");
        }
    }
    open.dec();
    drop(place);
}
