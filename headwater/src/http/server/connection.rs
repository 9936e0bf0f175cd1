//! One connection from its first byte to its end: TLS where there is any, then HTTP/1.1 or HTTP/2, and all the
//! while its pace.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use futures_util::FutureExt;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, header};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Underway};
use super::line::{Line, Socket, Watched};
use super::opening;
use super::pace::{self, Overdue, Pace};
use crate::http::metrics::{Limit, Metrics, Protocol, Transport};
use crate::http::proxies::Proxies;
use crate::http::tls::Tls;

/// The largest header block of a request, in bytes.
const HEADER_BYTES_MAX: u16 = 32 * 1024;
/// The most fields in it.
const HEADER_FIELDS_MAX: usize = 100;
/// The most streams of one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// Streams that a client opened and reset at once, before it is taken for an attack (CVE-2023-44487).
const PENDING_RESETS_MAX: usize = 20;
/// Streams that we reset for a client's errors, before it is taken for an attack (CVE-2025-8671).
const ERROR_RESETS_MAX: usize = 256;
/// What one stream may send before we have read it, in bytes: the largest body that anything here takes.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// What all streams of one connection may.
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
/// How often a connection that says nothing is asked whether it lives, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// After a refusal: how long and how much is still read and thrown away, so that the refusal arrives (RFC 9112 9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 1 << 20;

/// What all connections of a server share.
pub(crate) struct Shared<F> {
    pub(crate) handle: F,
    pub(crate) limits: pace::Limits,
    pub(crate) metrics: Metrics,
    pub(crate) proxies: Proxies,
    pub(crate) tls: Option<Tls>,
    pub(crate) builders: Builders,
    /// Cancelled when open requests may finish, and nothing new begins.
    pub(crate) drain: CancellationToken,
}

/// How both protocols are spoken. The time limits are ours: hyper's know one kind of waiting only.
pub(crate) struct Builders {
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
}

impl Builders {
    pub(crate) fn new() -> Self {
        let builder = builder();
        Self { http1: builder.clone().http1_only(), http2: builder.http2_only() }
    }

    fn of(&self, protocol: Protocol) -> &auto::Builder<TokioExecutor> {
        if protocol == Protocol::Http2 { &self.http2 } else { &self.http1 }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(HEADER_FIELDS_MAX)
        .max_buf_size(usize::from(HEADER_BYTES_MAX));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .max_header_list_size(u32::from(HEADER_BYTES_MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}

/// Serves one connection to its end.
pub(crate) async fn serve<S, F, Fut>(socket: S, peer: SocketAddr, shared: Arc<Shared<F>>)
where
    S: Socket,
    F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<Body>> + Send + 'static,
{
    let transport = if shared.tls.is_some() { Transport::Tls } else { Transport::Plain };
    let pace = Pace::new(shared.limits, Instant::now());
    let watched = Arc::new(Watched::new(pace, transport, shared.metrics.clone()));
    let line = Line::new(socket, Arc::clone(&watched));
    let connection = Connection { peer, shared, watched };
    match &connection.shared.tls {
        None => connection.speak(line).await,
        // Apart, so that a connection without TLS does not take up the room of one with it.
        Some(tls) => Box::pin(connection.secure(line, tls)).await,
    }
}

struct Connection<S, F> {
    peer: SocketAddr,
    shared: Arc<Shared<F>>,
    watched: Arc<Watched<S>>,
}

/// How HTTP on a connection ended.
enum End {
    /// As the protocol ends; true if a refusal may not have arrived.
    Spoken {
        refused: bool,
    },
    Overdue(Overdue),
}

impl<S, F, Fut> Connection<S, F>
where
    S: Socket,
    F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<Body>> + Send + 'static,
{
    async fn secure(&self, line: Line<S>, tls: &Tls) {
        let Some(secured) = tls.handshake(line, &self.shared.metrics).await else { return };
        self.watched.tell(|pace, now| *pace = Pace::new(self.shared.limits, now));
        // Its state is over a kilobyte, which each step that it is moved through would hold room for.
        self.speak(Box::new(secured)).await;
    }

    async fn speak(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let end = self.drive(io).await;
        // The line is dropped by now.
        let Some(socket) = self.watched.take_socket() else { return };
        match end {
            End::Spoken { refused } if refused || self.watched.unread() => linger(socket).await,
            End::Spoken { .. } => {}
            End::Overdue(overdue) => {
                self.shared.metrics.limited(match overdue {
                    Overdue::Header => Limit::HeaderTimeout,
                    Overdue::Stall => Limit::WriteStalled,
                    Overdue::Idle | Overdue::Close => Limit::CloseTimeout,
                });
                tracing::debug!(peer = %self.peer, ?overdue, "connection ended for taking too long");
                socket.forget_unsent();
            }
        }
    }

    /// Speaks HTTP until the connection has ended or taken too long.
    async fn drive(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> End {
        let opened = tokio::select! {
            biased;
            () = self.shared.drain.cancelled() => return End::Spoken { refused: false },
            overdue = self.overdue() => return End::Overdue(overdue),
            opened = opening::open(io) => opened,
        };
        let Ok((protocol, io)) = opened else { return End::Spoken { refused: false } };
        self.watched.speaks(protocol);
        let (shared, watched, peer) = (Arc::clone(&self.shared), Arc::clone(&self.watched), self.peer);
        let service = service_fn(move |request| answer(request, peer, &shared, &watched));
        // On the heap once: each async function on the way here would hold room for it twice.
        let mut spoken = Box::pin(self.shared.builders.of(protocol).serve_connection(TokioIo::new(io), service));
        let mut drain = pin!(self.shared.drain.cancelled());
        let mut draining = false;
        let mut timer = pin!(sleep_until(Instant::now() + self.shared.limits.header));
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = spoken.as_mut().poll(cx) {
                    return Poll::Ready(self.spoken(result));
                }
                if !draining && drain.as_mut().poll(cx).is_ready() {
                    draining = true;
                    spoken.as_mut().graceful_shutdown();
                    continue;
                }
                let Some((at, overdue)) = self.watched.deadline() else { return Poll::Pending };
                // A timer that fires too early is cheap; moving it with every byte is not.
                if at < timer.deadline() {
                    timer.as_mut().reset(at);
                }
                std::task::ready!(timer.as_mut().poll(cx));
                if at > Instant::now() {
                    timer.as_mut().reset(at);
                } else if overdue == Overdue::Idle {
                    self.watched.tell(Pace::close);
                    spoken.as_mut().graceful_shutdown();
                } else {
                    return Poll::Ready(End::Overdue(overdue));
                }
            }
        })
        .await
    }

    /// Waits until something has taken too long.
    async fn overdue(&self) -> Overdue {
        loop {
            let Some((at, overdue)) = self.watched.deadline() else { return pending().await };
            if at <= Instant::now() {
                return overdue;
            }
            sleep_until(at).await;
        }
    }

    fn spoken(&self, result: Result<(), Box<dyn std::error::Error + Send + Sync>>) -> End {
        let Err(error) = result else { return End::Spoken { refused: false } };
        tracing::debug!(peer = %self.peer, %error, "connection ended early");
        let parsing = error.downcast_ref::<hyper::Error>().filter(|error| error.is_parse());
        if parsing.is_some_and(hyper::Error::is_parse_too_large) {
            self.shared.metrics.limited(Limit::HeaderTooLarge);
        }
        End::Spoken { refused: parsing.is_some() }
    }
}

/// Answers one request of a connection.
fn answer<S, F, Fut>(
    mut request: Request<Incoming>,
    peer: SocketAddr,
    shared: &Shared<F>,
    watched: &Arc<Watched<S>>,
) -> impl Future<Output = Result<Response<Answer<S>>, Infallible>> + use<S, F, Fut>
where
    S: Socket,
    F: Fn(Request<Incoming>) -> Fut,
    Fut: Future<Output = Response<Body>> + Send + 'static,
{
    let underway = Underway::begin(Arc::clone(watched));
    let with_body = !request.body().is_end_stream();
    let own = if shared.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
    let (client, scheme) = shared.proxies.client(peer, own, request.headers());
    request.extensions_mut().insert(ConnectInfo(client));
    request.extensions_mut().insert(scheme);
    let hsts = shared.tls.as_ref().and_then(|tls| tls.hsts.clone());
    let watched = Arc::clone(watched);
    // A combinator, as an async block would hold room for the future twice.
    (shared.handle)(request).map(move |mut response| {
        watched.set_unread(with_body && response.status().as_u16() >= 400);
        add_hsts(&mut response, hsts);
        Ok(response.map(|body| Answer::new(body, underway)))
    })
}

fn add_hsts(response: &mut Response<Body>, hsts: Option<HeaderValue>) {
    if let Some(value) = hsts {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
}

/// Ends the sending side, and reads for a moment what the client still sends: closing at once would reset the
/// connection, and the client might never see why it was refused.
async fn linger(mut socket: impl Socket) {
    let discard = async {
        socket.shutdown().await?;
        let mut buffer = vec![0; 8 * 1024];
        let mut total = 0;
        while total < LINGER_BYTES_MAX {
            match socket.read(&mut buffer).await? {
                0 => break,
                count => total += count,
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // Whatever comes of it: the connection ends now.
    let _best_effort = timeout(LINGER, discard).await;
}
