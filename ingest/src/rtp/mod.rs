//! From RTP packets to whole units: order first, then one depacketiser for each codec.
//!
//! Knows no socket, no clock (`now` is an argument), no SDP and no media time: units leave with
//! the RTP timestamp that they came with.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use schema::Codec;

pub mod assembler;
pub mod av1;
pub mod h264;
pub mod opus;
pub mod order;
#[cfg(test)]
pub(crate) mod packetise;
pub mod vp8;
pub mod vp9;

/// The longest access unit, in bytes; a longer one is dropped as damaged.
pub const UNIT_BYTES_MAX: usize = 4 << 20;

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

/// The depacketiser of a video track: packets in order to whole units.
///
/// Holds back whatever cannot be decoded: nothing leaves before the first random access point, nor after
/// a loss or a damaged unit before the next one.
pub trait Depacketise: fmt::Debug + Send {
    /// Takes the next packet in order; appends the units that it ends to `units`.
    fn push(&mut self, packet: &Packet, units: &mut Vec<Unit>);

    /// Says that packets are missing before the next one.
    fn gap(&mut self);

    /// True while a keyframe is wanted, as nothing else can be decoded, and none is coming in.
    fn wants_keyframe(&self) -> bool;

    /// What was lost since the last call.
    fn take_counts(&mut self) -> Counts;
}

/// The depacketiser for a video codec; `None` for audio.
#[must_use]
pub fn depacketiser(codec: Codec) -> Option<Box<dyn Depacketise>> {
    match codec {
        Codec::H264 => Some(Box::new(h264::Depacketiser::new())),
        Codec::Vp8 => Some(Box::new(vp8::Depacketiser::default())),
        Codec::Vp9 => Some(Box::new(vp9::Depacketiser::default())),
        Codec::Av1 => Some(Box::new(av1::Depacketiser::default())),
        Codec::Opus | Codec::Aac => None,
    }
}

/// What a video track lost since the counts were last taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Units dropped as damaged: a fragment lost or misplaced, a bad length, too long.
    pub corrupt: u64,
    /// Whole units withheld, as decoding cannot start at them.
    pub withheld: u64,
    /// Packets of a kind we never negotiate: of H.264, STAP-B, MTAP, FU-B and reserved types.
    pub refused: u64,
}

/// Why a unit is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Its content breaks the payload format or a bound.
    Corrupt,
    /// Its packet type was not negotiated.
    Refused,
}
