//! One UDP port for all peers: whose datagram is this?
//!
//! A peer is known by the ICE user fragment that we gave it. A source address belongs to a peer
//! once a connectivity check from there has proved to know the peer's password; everything else
//! from that address then follows. Knows no SDP and nothing of what the datagrams mean.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc::crypto::RTCCryptoProvider;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::mpsc;

use crate::stun::{self, Traffic};

/// Datagrams that may wait for one peer; 1,024 are a third of a second at 30 Mbit/s.
const INBOX: usize = 1_024;
/// Addresses that one peer may have; a browser on a machine with many interfaces checks from all of them.
const ADDRESSES_MAX: usize = 32;
/// The kernel's buffer: the peers' bursts have to fit while the runtime is busy, in bytes.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// A peer that was silent for this long has moved if it checks from elsewhere, though it nominates nothing.
/// Publishers check at least every five seconds.
const SILENCE: Duration = Duration::from_secs(1);
/// The longest datagram that is taken, in bytes; a longer one is cut and fails its checks.
const DATAGRAM_MAX: usize = 2_048;

/// What happened on the port since it was opened.
#[derive(Debug, Default)]
pub struct Counters {
    /// Datagrams received.
    pub datagrams: AtomicU64,
    /// Datagrams dropped because they belong to no peer, or are none of STUN, DTLS, SRTP and SRTCP.
    pub unmatched: AtomicU64,
    /// Datagrams dropped because their peer does not keep up.
    pub queue_full: AtomicU64,
    /// Packets and sender reports dropped because their reader does not keep up.
    pub events_dropped: AtomicU64,
    /// Datagrams that the kernel would not send.
    pub send_failed: AtomicU64,
    /// Peer connections that are open now.
    pub open_peers: AtomicU64,
    /// Times that a connected peer went on from another address.
    pub moves: AtomicU64,
    /// Peer connections given up because they never came up: answers that nobody used, and failed handshakes.
    pub unconnected: AtomicU64,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Locks; a panic elsewhere leaves nothing half done behind these locks.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One datagram and where it came from.
pub(crate) type Datagram = (Bytes, SocketAddr);

/// The reading ends of a peer's two inboxes, one for each IP version.
#[derive(Debug)]
pub(crate) struct Inboxes {
    /// From IPv4 addresses.
    pub(crate) v4: mpsc::Receiver<Datagram>,
    /// From IPv6 addresses.
    pub(crate) v6: mpsc::Receiver<Datagram>,
}

/// A peer as the port sees it.
struct Route {
    password: String,
    v4: mpsc::Sender<Datagram>,
    v6: mpsc::Sender<Datagram>,
    addresses: VecDeque<SocketAddr>,
    way: Option<Way>,
}

/// Where the peer is, once its connection has chosen one of its addresses.
///
/// The WebRTC crate holds on to the address that was nominated first, though a publisher may go on
/// from another one: after a NAT's rebinding, or on another network. So it goes on seeing the first
/// address, which stands for that where the peer is now.
struct Way {
    /// The address that the crate sends media and handshake to.
    chosen: SocketAddr,
    /// Where the peer is.
    actual: SocketAddr,
    /// When something last came from there.
    heard: Instant,
}

/// What becomes of a datagram.
struct Delivery {
    /// The inbox that it belongs into.
    inbox: mpsc::Sender<Datagram>,
    /// Where it comes from, as the peer's connection is to see it.
    from: SocketAddr,
    /// An early nomination that is due behind it.
    nomination: Option<Bytes>,
}

/// Who is known by which user fragment, and which address belongs to whom.
#[derive(Default)]
struct Routes {
    peers: HashMap<String, Route>,
    owners: HashMap<SocketAddr, Owner>,
}

/// Whose an address is.
struct Owner {
    ufrag: String,
    nomination: Nomination,
}

/// A nomination that came before our own check of the same way succeeded. It counts once that check
/// does (RFC 8445 7.3.1.5); the WebRTC crate waits for a second one instead, which a publisher
/// that goes on to DTLS at once never sends. So it is delivered again then.
#[derive(Default)]
enum Nomination {
    /// None came yet.
    #[default]
    Awaited,
    /// The request that nominated.
    Early(Bytes),
    /// It was delivered again.
    Repeated,
}

/// The port.
pub(crate) struct Mux {
    socket: std::net::UdpSocket,
    local: SocketAddr,
    routes: Mutex<Routes>,
    counters: Arc<Counters>,
    crypto: Arc<dyn RTCCryptoProvider>,
}

impl std::fmt::Debug for Mux {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mux").field("local", &self.local).finish_non_exhaustive()
    }
}

impl Mux {
    /// Opens the port; the second value is what [`Mux::run`] reads from.
    pub(crate) fn bind(
        listen: SocketAddr,
        crypto: Arc<dyn RTCCryptoProvider>,
    ) -> io::Result<(Self, tokio::net::UdpSocket)> {
        let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
        if listen.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_nonblocking(true)?;
        socket.bind(&listen.into())?;
        let socket: std::net::UdpSocket = socket.into();
        let reader = tokio::net::UdpSocket::from_std(socket.try_clone()?)?;
        let mux =
            Self { local: socket.local_addr()?, socket, routes: Mutex::default(), counters: Arc::default(), crypto };
        Ok((mux, reader))
    }

    /// The address it is bound to.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What happened so far.
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Receives for ever. A failed receive (an ICMP answer to one of our datagrams) is no end.
    pub(crate) async fn run(&self, reader: &tokio::net::UdpSocket) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            match reader.recv_from(&mut buffer).await {
                Ok((length, from)) => self.deliver(&buffer[..length], from),
                Err(error) => {
                    tracing::debug!(%error, "receiving on the media port");
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Opens the way for a peer that will be known by `ufrag`.
    pub(crate) fn register(&self, ufrag: &str, password: &str) -> Inboxes {
        let (v4, v4_inbox) = mpsc::channel(INBOX);
        let (v6, v6_inbox) = mpsc::channel(INBOX);
        let route = Route { password: password.to_owned(), v4, v6, addresses: VecDeque::new(), way: None };
        locked(&self.routes).peers.insert(ufrag.to_owned(), route);
        count(&self.counters.open_peers);
        Inboxes { v4: v4_inbox, v6: v6_inbox }
    }

    /// Forgets a peer and its addresses.
    pub(crate) fn unregister(&self, ufrag: &str) {
        let mut routes = locked(&self.routes);
        if routes.peers.remove(ufrag).is_some() {
            routes.owners.retain(|_, owner| owner.ufrag != ufrag);
            self.counters.open_peers.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Sends to the peer `ufrag`, now or never: what the kernel refuses is lost, as on any network.
    pub(crate) fn send(&self, ufrag: &str, datagram: &[u8], to: SocketAddr) {
        let to = self.way_to(ufrag, to, stun::traffic(datagram));
        let to = match (self.local, to.ip()) {
            (SocketAddr::V6(_), IpAddr::V4(ip)) => (ip.to_ipv6_mapped(), to.port()).into(),
            _ => to,
        };
        if self.socket.send_to(datagram, to).is_err() {
            count(&self.counters.send_failed);
        }
    }

    /// Where the peer is now that had the address `to`. What is not STUN shows which address was chosen.
    fn way_to(&self, ufrag: &str, to: SocketAddr, traffic: Traffic) -> SocketAddr {
        let mut routes = locked(&self.routes);
        let Some(route) = routes.peers.get_mut(ufrag) else {
            return to;
        };
        if traffic != Traffic::Stun && route.way.as_ref().is_none_or(|way| way.chosen != to) {
            route.way = Some(Way { chosen: to, actual: to, heard: Instant::now() });
        }
        route.way.as_ref().filter(|way| way.chosen == to).map_or(to, |way| way.actual)
    }

    fn deliver(&self, datagram: &[u8], from: SocketAddr) {
        count(&self.counters.datagrams);
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let Some(delivery) = self.delivery(datagram, from) else {
            count(&self.counters.unmatched);
            return;
        };
        for datagram in [Some(Bytes::copy_from_slice(datagram)), delivery.nomination].into_iter().flatten() {
            if delivery.inbox.try_send((datagram, delivery.from)).is_err() {
                count(&self.counters.queue_full);
            }
        }
    }

    fn delivery(&self, datagram: &[u8], from: SocketAddr) -> Option<Delivery> {
        let mut routes = locked(&self.routes);
        let traffic = stun::traffic(datagram);
        let request = match traffic {
            Traffic::Unknown => return None,
            Traffic::Stun => stun::request_ufrag(datagram),
            Traffic::Dtls | Traffic::DtlsAlert | Traffic::Rtp => None,
        };
        if let Some(ufrag) = request {
            self.admit(&mut routes, datagram, from, ufrag)?;
        }
        let owner = routes.owners.get_mut(&from)?;
        let nomination = match traffic {
            Traffic::Stun => owner.due(datagram, request.is_some()),
            _ => None,
        };
        let Routes { peers, owners } = &mut *routes;
        let route = peers.get_mut(&owners.get(&from)?.ufrag)?;
        if route.follow(from, request.map(|_| datagram)) {
            count(&self.counters.moves);
            tracing::debug!("a publisher goes on from another address");
        }
        let from = route.as_seen(from);
        let inbox = if from.is_ipv4() { &route.v4 } else { &route.v6 };
        Some(Delivery { inbox: inbox.clone(), from, nomination })
    }

    /// Gives the sender's address to the peer that its request names, if it proves to know the password.
    fn admit(&self, routes: &mut Routes, request: &[u8], from: SocketAddr, ufrag: &str) -> Option<()> {
        if routes.owners.get(&from).is_some_and(|owner| owner.ufrag == ufrag) {
            return Some(());
        }
        let password = &routes.peers.get(ufrag)?.password;
        if !stun::is_authentic(request, password, self.crypto.crypto()) {
            return None;
        }
        routes.bind(from, ufrag);
        Some(())
    }
}

impl Route {
    /// Takes note of where the peer is; true if it has moved. It has if it nominates the address
    /// `from` by its authentic `request`, or asks from there and is silent elsewhere.
    fn follow(&mut self, from: SocketAddr, request: Option<&[u8]>) -> bool {
        let Some(way) = &mut self.way else {
            return false;
        };
        let now = Instant::now();
        let moves =
            from != way.actual && request.is_some_and(|request| stun::nominates(request) || way.heard + SILENCE <= now);
        if moves {
            way.actual = from;
        }
        if from == way.actual {
            way.heard = now;
        }
        moves
    }

    /// Takes out the oldest address but those that the connection rests on.
    fn oldest_unused(&mut self) -> Option<SocketAddr> {
        let in_use = self.way.as_ref().map_or([None; 2], |way| [Some(way.chosen), Some(way.actual)]);
        let place = self.addresses.iter().position(|address| !in_use.contains(&Some(*address)))?;
        self.addresses.remove(place)
    }

    /// The address from which the peer's connection is to see what comes from `from`.
    fn as_seen(&self, from: SocketAddr) -> SocketAddr {
        self.way.as_ref().filter(|way| way.actual == from).map_or(from, |way| way.chosen)
    }
}

impl Owner {
    /// Keeps an early nomination, and gives it back when our own check has succeeded.
    fn due(&mut self, stun: &[u8], is_request: bool) -> Option<Bytes> {
        match &self.nomination {
            Nomination::Awaited if is_request && stun::nominates(stun) => {
                self.nomination = Nomination::Early(Bytes::copy_from_slice(stun));
                None
            }
            Nomination::Early(_) if stun::is_success(stun) => {
                match std::mem::replace(&mut self.nomination, Nomination::Repeated) {
                    Nomination::Early(request) => Some(request),
                    Nomination::Awaited | Nomination::Repeated => None,
                }
            }
            _ => None,
        }
    }
}

impl Routes {
    /// Gives `address` to a peer; its oldest address goes when it has too many.
    fn bind(&mut self, address: SocketAddr, ufrag: &str) {
        let owner = Owner { ufrag: ufrag.to_owned(), nomination: Nomination::default() };
        if let Some(former) = self.owners.insert(address, owner)
            && let Some(route) = self.peers.get_mut(&former.ufrag)
        {
            route.addresses.retain(|own| *own != address);
        }
        let Some(route) = self.peers.get_mut(ufrag) else {
            return;
        };
        route.addresses.push_back(address);
        if route.addresses.len() > ADDRESSES_MAX
            && let Some(oldest) = route.oldest_unused()
        {
            self.owners.remove(&oldest);
        }
    }
}

#[cfg(test)]
#[path = "mux_tests.rs"]
mod tests;
