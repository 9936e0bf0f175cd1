//! From RTP packets to whole units: order first, then one depacketiser for each codec.
//!
//! Knows no socket, no clock (`now` is an argument), no SDP and no media time: units leave with
//! the RTP timestamp that they came with.

use std::time::Instant;

use bytes::Bytes;

pub mod h264;
pub mod opus;
pub mod order;
#[cfg(test)]
pub(crate) mod packetise;

/// One RTP packet of one track, without its header extensions and padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The 16-bit sequence number.
    pub sequence: u16,
    /// The 32-bit timestamp, in ticks of the track's clock rate.
    pub timestamp: u32,
    /// The marker bit: for video, the last packet of a picture.
    pub marker: bool,
    /// The payload; may be empty (a probe).
    pub payload: Bytes,
    /// When it came to the socket.
    pub arrival: Instant,
}

/// One whole access unit, still in RTP time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// When its first packet came.
    pub arrival: Instant,
    /// True if decoding can start here.
    pub random_access: bool,
    /// The coded bytes, in the shape of [`schema::Codec`].
    pub data: Bytes,
}
