//! Accepts connections and drives HTTP/1.1 and HTTP/2 on them, with or without TLS, within limits of number,
//! size and time.

mod answer;
pub(crate) mod connection;
pub(crate) mod line;
mod opening;
pub(crate) mod pace;
mod places;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::connection::{Builders, Shared};
use self::places::{Place, Places};
use super::metrics::Metrics;
use super::proxies::Proxies;
use super::tls::Tls;

/// After so long without a byte the system asks whether the other side is still there, so often, and so many times.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMES: u32 = 3;

/// What a server grants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The most connections at a time.
    pub(crate) connections: usize,
    /// The most from one address, proxies and this machine excepted.
    pub(crate) connections_per_address: usize,
    /// Time limits of each connection.
    pub(crate) pace: pace::Limits,
}

/// A bound server that does not accept yet.
pub(crate) struct Server {
    listener: TcpListener,
    places: Places,
    limits: Limits,
    metrics: Metrics,
    proxies: Proxies,
    tls: Option<Tls>,
}

impl Server {
    /// Binds `listen`.
    ///
    /// # Errors
    /// The port is taken or not allowed.
    pub(crate) async fn bind(listen: SocketAddr, limits: Limits, metrics: Metrics) -> io::Result<Self> {
        Ok(Self::on(TcpListener::bind(listen).await?, limits, metrics))
    }

    /// A server on a bound port.
    pub(crate) fn on(listener: TcpListener, limits: Limits, metrics: Metrics) -> Self {
        let places = Places::new(limits.connections, limits.connections_per_address);
        Self { listener, places, limits, metrics, proxies: Proxies::default(), tls: None }
    }

    /// The same, believing what `proxies` say of their clients.
    pub(crate) fn behind(self, proxies: Proxies) -> Self {
        Self { proxies, ..self }
    }

    /// The same, over TLS if there is any.
    pub(crate) fn over(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// The address it listens on.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `cancel`, then lets open requests finish. Dropping the future ends them at once.
    pub(crate) async fn run<F, Fut>(self, cancel: CancellationToken, handle: F)
    where
        F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        let Self { listener, places, limits, metrics, proxies, tls } = self;
        let drain = CancellationToken::new();
        let shared = Arc::new(Shared {
            handle,
            limits: limits.pace,
            metrics,
            proxies,
            tls,
            builders: Builders::new(),
            drain: drain.clone(),
        });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(_ended) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        if let Some(place) = admit(&stream, peer, &places, &shared) {
                            connections.spawn(connection(stream, peer, place, Arc::clone(&shared)));
                        }
                    }
                    Err(error) => accept_failed(&error).await,
                }
            }
        }
        drop(listener);
        drain.cancel();
        while connections.join_next().await.is_some() {}
    }
}

async fn connection<F, Fut>(stream: TcpStream, peer: SocketAddr, place: Place, shared: Arc<Shared<F>>)
where
    F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<Body>> + Send + 'static,
{
    connection::serve(stream, peer, shared).await;
    drop(place);
}

/// A place for a new connection, or none and a count.
fn admit<F>(stream: &TcpStream, peer: SocketAddr, places: &Places, shared: &Shared<F>) -> Option<Place> {
    let place = places.take(peer.ip(), may_have_many(peer.ip(), &shared.proxies));
    let place = place.inspect_err(|limit| shared.metrics.limited(*limit)).ok()?;
    shared.metrics.accepted.inc();
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY).with_retries(KEEPALIVE_TIMES);
    // It fails only where the client is gone already.
    let prepared = stream.set_nodelay(true).and_then(|()| SockRef::from(stream).set_tcp_keepalive(&keepalive));
    prepared.ok().map(|()| place)
}

/// A proxy or a program on this machine may stand for any number of clients.
fn may_have_many(peer: IpAddr, proxies: &Proxies) -> bool {
    peer.to_canonical().is_loopback() || proxies.trusts(peer)
}

/// Out of descriptors or memory: give open connections a moment to end before the next try.
async fn accept_failed(error: &io::Error) {
    tracing::warn!(%error, "could not accept a connection");
    tokio::time::sleep(Duration::from_millis(50)).await;
}
