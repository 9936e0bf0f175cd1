//! WHIP (RFC 9725): publishing by WebRTC, from the HTTP request to the feed.
//!
//! Knows no SDP, ICE or DTLS ([`Answering`] does) and no accounts ([`Admission`] does).
//!
//! A channel has one live session, and one of its backup key. A second one takes it over when its first access
//! unit exists, not before, so that a publisher that cannot connect never ends one that plays; until then both
//! are open. A third replaces the second. A channel may refuse second ones while media flow.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ingest_rtc::{Endpoint, OfferError, Receiver};
use prometheus::Registry;
use schema::api::{AdmitRequest, PublishGrant};
use schema::{Codec, Feed, SessionEnd, SessionId};
use thiserror::Error;
use tokio::sync::mpsc;

use crate::feed::QueueLimits;
use rate::Rates;
use register::Register;

mod http;
mod ice_server;
mod metrics;
mod rate;
mod refusal;
mod register;
mod session;
mod timers;

pub use http::router;
pub use ice_server::{IceServer, IceServerError};
pub use metrics::Metrics;
pub use rate::RequestRate;

/// A future that can be named in a trait object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An SDP answer and the connection behind it.
pub type Answered = (String, Box<dyn Receiver>);

/// What answers offers with peer connections.
pub trait Answering: Send + Sync {
    /// Answers an SDP offer; gives the SDP answer, its candidates complete, and the connection.
    fn answer<'a>(&'a self, offer: &'a str) -> Pending<'a, Result<Answered, OfferError>>;
}

impl Answering for Endpoint {
    fn answer<'a>(&'a self, offer: &'a str) -> Pending<'a, Result<Answered, OfferError>> {
        Box::pin(self.receive(offer))
    }
}

/// What decides who may publish.
pub trait Admission: Send + Sync {
    /// May this key publish?
    fn admit(&self, request: AdmitRequest) -> Pending<'_, Result<Admitted, AdmitError>>;
}

/// What is kept for a publisher from its admission on, and given back when dropped; what it is, admission knows.
pub type Place = Box<dyn Any + Send>;

/// What a publisher was admitted with.
pub struct Admitted {
    /// What it may do.
    pub grant: PublishGrant,
    /// What is kept for it; handed over with its media, and dropped where its session ends before.
    pub place: Option<Place>,
}

impl From<PublishGrant> for Admitted {
    fn from(grant: PublishGrant) -> Self {
        Self { grant, place: None }
    }
}

/// Why a key may not publish.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AdmitError {
    /// No channel has this key.
    #[error("the stream key is unknown")]
    Unknown,
    /// The key was taken back.
    #[error("the stream key was revoked")]
    Revoked,
    /// A publish token came after its time; a session that it began goes on.
    #[error("the publish token has expired; get a new one")]
    Expired,
    /// The key is good, but its channel may not publish now.
    #[error("{}", reason.as_deref().unwrap_or("this channel may not publish"))]
    Forbidden {
        /// Why, in the operator's words.
        reason: Option<String>,
    },
    /// The key is good, but another server is to take its media.
    #[error("this publisher belongs to another server")]
    Elsewhere {
        /// The absolute URL of that server's WHIP endpoint.
        location: String,
    },
    /// The key is good, but the machine has no room for another broadcast.
    #[error("the server has no room for another broadcast now")]
    NoRoom {
        /// When to ask again, in seconds.
        retry_after_s: u32,
    },
    /// Nobody can tell now.
    #[error("stream keys cannot be checked now")]
    Unavailable {
        /// When to ask again, in seconds.
        retry_after_s: u32,
    },
}

/// The limits of the endpoint and its sessions.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Sessions at a time, those being made included.
    pub sessions: usize,
    /// The longest offer, in bytes.
    pub offer_bytes: usize,
    /// The longest wait for an offer's body.
    pub offer: Duration,
    /// The longest wait for admission.
    pub admission: Duration,
    /// The longest wait for an answer. With `admission` it stays below the 8 s that OBS waits.
    pub answer: Duration,
    /// The longest time from the answer to the connection.
    pub connect: Duration,
    /// The longest time without media once connected.
    pub silence: Duration,
    /// How often one address may publish and end sessions (RFC 9725 5).
    pub requests: RequestRate,
    /// The queue of each feed.
    pub queue: QueueLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 100,
            offer_bytes: 64 << 10,
            offer: Duration::from_secs(5),
            admission: Duration::from_secs(6),
            answer: Duration::from_millis(1_500),
            connect: Duration::from_secs(15),
            silence: Duration::from_secs(10),
            requests: RequestRate { burst: 40, interval: Duration::from_millis(500) },
            queue: QueueLimits::default(),
        }
    }
}

/// A publisher whose media have begun.
pub struct Arrival {
    /// What it was admitted with.
    pub grant: PublishGrant,
    /// What is kept for it since its admission.
    pub place: Option<Place>,
    /// Its session.
    pub session: SessionId,
    /// The negotiated tracks; some may not have media yet.
    pub tracks: Vec<Codec>,
    /// Its access units.
    pub feed: Box<dyn Feed>,
}

/// The WHIP endpoint and all its sessions. Clones are the same endpoint.
#[derive(Clone)]
pub struct Whip {
    shared: Arc<Shared>,
    ice_servers: Arc<[IceServer]>,
}

/// What all requests and sessions share.
struct Shared {
    endpoint: Arc<dyn Answering>,
    admission: Arc<dyn Admission>,
    arrivals: mpsc::Sender<Arrival>,
    limits: Limits,
    metrics: Metrics,
    register: Arc<Register>,
    rates: Rates,
}

impl Whip {
    /// An endpoint that sends each new publisher to `arrivals` when its first access unit exists.
    /// While `arrivals` is full, a publisher waits and its feed's queue fills.
    ///
    /// # Errors
    /// If `registry` has metrics of the same names already.
    pub fn new(
        endpoint: Arc<dyn Answering>,
        admission: Arc<dyn Admission>,
        arrivals: mpsc::Sender<Arrival>,
        limits: Limits,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let shared = Shared {
            endpoint,
            admission,
            arrivals,
            limits,
            metrics: Metrics::new(registry)?,
            register: Register::new(limits.sessions),
            rates: Rates::new(limits.requests),
        };
        Ok(Self { shared: Arc::new(shared), ice_servers: Arc::default() })
    }

    /// Tells publishers of STUN and TURN servers, by `Link` headers of the answer (RFC 9725 4.6).
    #[must_use]
    pub fn with_ice_servers(self, servers: Vec<IceServer>) -> Self {
        Self { ice_servers: servers.into(), ..self }
    }

    /// Ends a session for the reason given; false if it is not open.
    pub fn end_session(&self, id: &SessionId, end: SessionEnd) -> bool {
        self.shared.register.end(id, end)
    }

    /// How many sessions are open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.shared.register.count()
    }

    /// Refuses new sessions with 503, ends all with [`SessionEnd::Shutdown`] and waits for their
    /// tasks, each of which closes its connection within a second.
    pub async fn shutdown(&self) {
        self.shared.register.close().await;
    }
}

#[cfg(test)]
mod tests;
