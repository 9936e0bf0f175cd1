//! Which of a section's codings we take.
//!
//! Pure; knows one `m=` section at a time.

use schema::Codec;

use crate::OfferError;
use crate::sdp::Block;

/// A coding with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    /// RFC 6184.
    H264 {
        /// `packetization-mode`.
        mode: PacketizationMode,
        /// `profile-level-id`, six hexadecimal digits.
        profile: Option<String>,
        /// `level-asymmetry-allowed`, repeated as offered.
        asymmetry: Option<u8>,
    },
    /// RFC 7587.
    Opus,
}

/// RFC 6184 6.2 and 6.3; the interleaved mode is not for real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacketizationMode {
    /// One packet is one NAL unit.
    Single,
    /// NAL units may be aggregated or split.
    NonInterleaved,
}

impl Format {
    /// The codec's name in our own words.
    pub(crate) fn codec(&self) -> Codec {
        match self {
            Self::H264 { .. } => Codec::H264,
            Self::Opus => Codec::Opus,
        }
    }

    /// Ticks of the RTP clock in one second.
    pub(crate) fn clock_rate(&self) -> u32 {
        match self {
            Self::H264 { .. } => 90_000,
            Self::Opus => 48_000,
        }
    }
}

/// The first H.264 with packetization-mode 1, else the first with mode 0 (RFC 6184 8.1).
pub(super) fn h264(block: &Block<'_>, payloads: &[u8]) -> Result<(u8, Format), OfferError> {
    let of_mode = |wanted: &str| {
        payloads.iter().copied().find(|payload| {
            block.is_mapped(*payload, "h264/90000")
                && block.parameter(*payload, "packetization-mode").unwrap_or("0") == wanted
        })
    };
    let (payload, mode) = of_mode("1")
        .map(|payload| (payload, PacketizationMode::NonInterleaved))
        .or_else(|| of_mode("0").map(|payload| (payload, PacketizationMode::Single)))
        .ok_or_else(|| OfferError::Codec("video: H.264 is needed".to_owned()))?;
    let hex = |id: &&str| id.len() == 6 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let format = Format::H264 {
        mode,
        profile: block.parameter(payload, "profile-level-id").filter(hex).map(str::to_ascii_lowercase),
        asymmetry: match block.parameter(payload, "level-asymmetry-allowed") {
            Some("1") => Some(1),
            Some("0") => Some(0),
            _ => None,
        },
    };
    Ok((payload, format))
}

pub(super) fn opus(block: &Block<'_>, payloads: &[u8]) -> Result<(u8, Format), OfferError> {
    payloads
        .iter()
        .copied()
        .find(|payload| block.is_mapped(*payload, "opus/48000"))
        .map(|payload| (payload, Format::Opus))
        .ok_or_else(|| OfferError::Codec("audio: Opus is needed".to_owned()))
}

/// The payload type under which `media` is sent again (RFC 4588 8.6).
pub(super) fn retransmission(block: &Block<'_>, payloads: &[u8], media: u8) -> Option<u8> {
    payloads.iter().copied().find(|payload| {
        *payload != media
            && block.is_mapped(*payload, "rtx/")
            && block.parameter(*payload, "apt").and_then(|apt| apt.parse().ok()) == Some(media)
    })
}
