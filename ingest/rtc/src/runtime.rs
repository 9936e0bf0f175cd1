//! What the WebRTC crate gets instead of sockets and tasks of its own.
//!
//! Its tasks belong to a set that ends with the connection; its socket is a pair of inboxes of
//! the shared port, or a real one for the publishing side.

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime, TokioRuntime,
    Transmit,
};

use crate::PeerEnd;
use crate::desk::Desk;
use crate::mux::{Datagram, Inboxes, Mux, locked};
use crate::phase::PhaseSender;
use crate::stun::{Traffic, traffic};

/// A DTLS message that leaves this long after the last one is that one again.
const REPEATED: Duration = Duration::from_millis(200);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a connection's datagrams come from.
#[derive(Debug)]
pub(crate) enum Network {
    /// A socket of its own.
    Own,
    /// The shared port.
    Shared(SharedPort),
}

/// One connection's share of the port.
#[derive(Debug)]
pub(crate) struct SharedPort {
    mux: Arc<Mux>,
    ufrag: String,
    v4: Mutex<Option<mpsc::Receiver<Datagram>>>,
    v6: Mutex<Option<mpsc::Receiver<Datagram>>>,
    hooks: Hooks,
}

/// Who is told of what comes by.
#[derive(Debug, Clone)]
pub(crate) struct Hooks {
    /// Told of each DTLS alert.
    pub(crate) alert: Arc<Notify>,
    /// Told how long the handshake's answers take.
    pub(crate) desk: Arc<Desk>,
}

impl SharedPort {
    /// The share of the peer `ufrag`, that reads `inboxes`.
    pub(crate) fn new(mux: Arc<Mux>, ufrag: String, inboxes: Inboxes, hooks: Hooks) -> Self {
        Self { mux, ufrag, v4: Mutex::new(Some(inboxes.v4)), v6: Mutex::new(Some(inboxes.v6)), hooks }
    }

    fn socket(&self, local: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let slot = if local.is_ipv4() { &self.v4 } else { &self.v6 };
        let inbox = locked(slot).take().ok_or(io::ErrorKind::AddrInUse)?;
        Ok(Arc::new(SharedSocket {
            local,
            mux: Arc::clone(&self.mux),
            ufrag: self.ufrag.clone(),
            inbox: Mutex::new(inbox),
            hooks: self.hooks.clone(),
            asked: Mutex::new(None),
        }))
    }
}

/// The runtime of one connection.
#[derive(Debug)]
pub(crate) struct PeerRuntime {
    network: Network,
    tasks: Mutex<JoinSet<()>>,
    phase: PhaseSender,
}

impl PeerRuntime {
    /// A runtime without tasks; `phase` ends when one of its tasks does.
    pub(crate) fn new(network: Network, phase: PhaseSender) -> Arc<Self> {
        Arc::new(Self { network, tasks: Mutex::default(), phase })
    }

    /// Ends all tasks.
    pub(crate) fn abort(&self) {
        // The tasks own the runtime and may fall with it: not under its lock.
        let tasks = std::mem::take(&mut *locked(&self.tasks));
        drop(tasks);
    }
}

/// Ends the phase when the connection's driver stops, whether by return, abort or panic.
struct StopGuard(PhaseSender);

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.0.end(PeerEnd::Failed);
    }
}

struct TaskHandle(AbortHandle);

impl JoinHandle for TaskHandle {
    fn detach(&self) {}

    fn abort(&self) {
        self.0.abort();
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Runtime for PeerRuntime {
    fn spawn(&self, future: Task) -> Box<dyn JoinHandle> {
        let guard = StopGuard(self.phase.clone());
        let task = async move {
            let _guard = guard;
            future.await;
        };
        Box::new(TaskHandle(locked(&self.tasks).spawn(task)))
    }

    /// The crate binds a socket before it asks; only its address is of use when the port is shared.
    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        match &self.network {
            Network::Own => TokioRuntime.wrap_udp_socket(socket),
            Network::Shared(port) => port.socket(socket.local_addr()?),
        }
    }

    fn wrap_tcp_listener(&self, _listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn connect_tcp<'a>(
        &'a self,
        _remote: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    /// No name is ever resolved: candidates are addresses, and there are no ICE servers.
    fn resolve_host<'a>(
        &'a self,
        _host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }

    fn name(&self) -> &'static str {
        "headwater"
    }
}

/// A socket of the WebRTC crate that is an inbox of the shared port.
struct SharedSocket {
    local: SocketAddr,
    mux: Arc<Mux>,
    ufrag: String,
    inbox: Mutex<mpsc::Receiver<Datagram>>,
    hooks: Hooks,
    /// When the last DTLS message of the handshake left that was not answered yet.
    asked: Mutex<Option<Instant>>,
}

impl SharedSocket {
    /// Measures the round trip by the handshake: the first figure there is, and the only one where
    /// nobody checks the way from this end (ICE-lite). What answers a repeated message tells nothing.
    fn note(&self, traffic: Traffic, direction: Direction) {
        match (traffic, direction) {
            (Traffic::Dtls, Direction::Out) => {
                let mut asked = locked(&self.asked);
                let is_repeated = asked.is_some_and(|at| at.elapsed() >= REPEATED);
                *asked = (!is_repeated).then(Instant::now);
            }
            (Traffic::Dtls, Direction::In) => {
                if let Some(asked) = locked(&self.asked).take() {
                    self.hooks.desk.estimated(asked.elapsed());
                }
            }
            (Traffic::DtlsAlert, Direction::In) => self.hooks.alert.notify_one(),
            _ => {}
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    In,
    Out,
}

impl std::fmt::Debug for SharedSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedSocket").field("local", &self.local).finish_non_exhaustive()
    }
}

impl AsyncUdpSocket for SharedSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    /// Never pending and never an error: either would stop the connection's driver.
    fn poll_send(&self, _: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.note(traffic(transmit.contents), Direction::Out);
        self.mux.send(&self.ufrag, transmit.contents, transmit.destination);
        Poll::Ready(Ok(transmit.contents.len()))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (buffers.first_mut(), meta.first_mut()) else {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        };
        let Poll::Ready(Some((datagram, from))) = locked(&self.inbox).poll_recv(cx) else {
            // An inbox without a route stays silent; the connection is being closed.
            return Poll::Pending;
        };
        self.note(traffic(&datagram), Direction::In);
        let length = datagram.len().min(buffer.len());
        buffer[..length].copy_from_slice(&datagram[..length]);
        *meta = RecvMeta::default();
        meta.addr = from;
        meta.len = length;
        meta.stride = length.max(1);
        Poll::Ready(Ok(1))
    }
}
