//! One WebRTC peer connection behind a small seam, and one UDP port for all of them.
//!
//! Knows SDP, ICE, DTLS, SRTP and RTCP through the `webrtc` crate, which nobody else names. Knows
//! no HTTP, no keys, no codecs beyond their SDP, and no media clock: packets and sender reports
//! leave with the local instant at which they came.

mod answer;
mod bound;
mod candidates;
mod chain;
mod crypto;
mod desk;
mod endpoint;
mod media_engine;
mod mux;
mod offer;
mod peer;
mod phase;
mod reception;
mod restore;
mod runtime;
mod sdp;
pub mod send;
mod stun;
mod tap;

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;
use schema::{Codec, TrackKind};
use thiserror::Error;

pub use endpoint::{Endpoint, EndpointConfig};
pub use mux::Counters;
pub use reception::TrackFigures;

/// One media track of a publisher, as negotiated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Its number in the peer connection, as carried by [`PeerEvent`].
    pub index: usize,
    /// Video or audio.
    pub kind: TrackKind,
    /// What was negotiated.
    pub codec: Codec,
    /// Ticks of its RTP timestamp in one second.
    pub clock_rate: u32,
}

/// One RTP packet, decrypted; retransmissions are already given back their own sequence number.
#[derive(Debug, Clone)]
pub struct RtpPacket {
    /// The track's number.
    pub track: usize,
    /// The 16-bit sequence number.
    pub sequence: u16,
    /// The 32-bit timestamp, in ticks of the track's clock rate.
    pub timestamp: u32,
    /// The marker bit: for video, the last packet of a picture.
    pub marker: bool,
    /// The payload, without header extensions and padding; may be empty (probes).
    pub payload: Bytes,
    /// When it came to the socket.
    pub arrival: Instant,
}

/// One RTCP sender report: the pairing of the publisher's wall clock with a track's RTP clock (RFC 3550 6.4.1).
#[derive(Debug, Clone, Copy)]
pub struct SenderReport {
    /// The track's number.
    pub track: usize,
    /// The publisher's wall clock, NTP format: seconds since 1900 in the upper, fraction in the lower 32 bits.
    pub ntp: u64,
    /// The track's RTP timestamp at that moment.
    pub rtp: u32,
    /// When it came to the socket.
    pub arrival: Instant,
}

/// How a peer connection does, as measured on this side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// The round-trip time, where known.
    pub round_trip: Option<std::time::Duration>,
    /// For each track, in the order of [`Receiver::tracks`].
    pub tracks: Vec<TrackFigures>,
}

/// What a publisher's peer connection yields.
#[derive(Debug, Clone)]
pub enum PeerEvent {
    /// ICE and DTLS are up; media may follow.
    Connected,
    /// A packet of a track: as it came, so perhaps late, out of order or twice (a browser tests
    /// the bandwidth with retransmissions that nobody asked for).
    Rtp(RtpPacket),
    /// A sender report of a track.
    SenderReport(SenderReport),
    /// The peer closed (DTLS close) or the transport failed; nothing follows.
    Ended(PeerEnd),
}

/// How a peer connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerEnd {
    /// Closed by one of both ends.
    Closed,
    /// ICE or DTLS failed, or consent expired (RFC 7675).
    Failed,
}

/// The publisher's half of a peer connection, as the server sees it: receive only.
///
/// Dropping it closes the connection as [`Receiver::close`] does, but without waiting.
pub trait Receiver: Send {
    /// The negotiated tracks, at most one of each kind.
    fn tracks(&self) -> &[Track];

    /// The next event; pending while nothing comes. Dropping the future loses nothing.
    fn next_event(&mut self) -> Pin<Box<dyn Future<Output = PeerEvent> + Send + '_>>;

    /// Asks for a keyframe of `track` by PLI; at most one leaves per 500 ms.
    fn request_keyframe(&mut self, track: usize);

    /// Asks for the retransmission of lost packets of `track` (generic NACK). A no-op where the
    /// connection does so by itself.
    fn request_retransmission(&mut self, track: usize, sequences: &[u16]);

    /// The round-trip time to the publisher, where known.
    fn round_trip(&self) -> Option<std::time::Duration>;

    /// How the connection does, since its beginning.
    fn figures(&self) -> Figures;

    /// Closes DTLS and ICE and waits until it is done, at most one second.
    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Why an offer was refused. Each is a client's fault but the last.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OfferError {
    /// Not SDP, or SDP without what every offer must have.
    #[error("the offer is not valid SDP: {0}")]
    Malformed(String),
    /// Valid SDP, but not one we can serve (RFC 9725 4.2, 4.4): wrong direction, no tracks, too many tracks.
    #[error("the offer cannot be accepted: {0}")]
    Unacceptable(String),
    /// No codec in common for a track.
    #[error("no supported codec for {0}")]
    Codec(String),
    /// The server failed.
    #[error("the peer connection could not be made: {0}")]
    Internal(String),
}
