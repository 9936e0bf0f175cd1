//! Access units: one coded picture or audio frame with its time.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::time::MediaTime;

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// The coding of a track, and with it the shape of [`AccessUnit::data`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// H.264: Annex B with start codes; SPS and PPS precede each IDR in the same unit.
    H264,
    /// VP8: one frame (RFC 6386).
    Vp8,
    /// VP9: one superframe, all spatial layers of one picture.
    Vp9,
    /// AV1: one temporal unit in the low-overhead format, each OBU with its size and without temporal
    /// delimiters; a sequence header precedes each key frame.
    Av1,
    /// Opus: one packet (RFC 6716), 48 kHz.
    Opus,
    /// AAC-LC: one raw frame of 1,024 samples, without ADTS.
    Aac,
}

impl Codec {
    /// The kind of track this coding belongs to.
    #[must_use]
    pub fn kind(self) -> TrackKind {
        match self {
            Self::H264 | Self::Vp8 | Self::Vp9 | Self::Av1 => TrackKind::Video,
            Self::Opus | Self::Aac => TrackKind::Audio,
        }
    }
}

/// One coded picture or audio frame on the clock of its broadcast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessUnit {
    /// How `data` is coded.
    pub codec: Codec,
    /// When it is shown or heard.
    pub pts: MediaTime,
    /// When it is decoded; equals `pts` where there are no B-frames.
    pub dts: MediaTime,
    /// How long it lasts, where the sender of the unit knows: always from an encoder, never from a publisher.
    pub duration: Option<MediaTime>,
    /// True if decoding can start here: a key frame (of H.264, an IDR with its parameter sets), or any
    /// audio frame.
    pub random_access: bool,
    /// The coded bytes, in the shape that `codec` names.
    #[serde(skip)]
    pub data: Bytes,
}
