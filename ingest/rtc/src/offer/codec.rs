//! Which of a section's codings we take.
//!
//! Pure; knows one `m=` section at a time.

use schema::{Codec, TrackKind};

use crate::OfferError;
use crate::sdp::Block;

/// Profiles of H.264 (`profile_idc`, hexadecimal) with more than 8 bits or more than 4:2:0.
const H264_PROFILES_RARE: [&str; 4] = ["2c", "6e", "7a", "f4"];

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
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9 {
        /// `profile-id`; 0 where there is none.
        profile: Option<u8>,
    },
    /// RTP Payload Format for AV1 7.2.
    Av1 {
        /// `profile`; 0 where there is none.
        profile: Option<u8>,
        /// `level-idx`.
        level: Option<u8>,
        /// `tier`.
        tier: Option<u8>,
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
            Self::Vp8 => Codec::Vp8,
            Self::Vp9 { .. } => Codec::Vp9,
            Self::Av1 { .. } => Codec::Av1,
            Self::Opus => Codec::Opus,
        }
    }

    /// Its name in `a=rtpmap`.
    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            Self::H264 { .. } => "H264",
            Self::Vp8 => "VP8",
            Self::Vp9 { .. } => "VP9",
            Self::Av1 { .. } => "AV1",
            Self::Opus => "opus",
        }
    }

    /// Ticks of the RTP clock in one second.
    pub(crate) fn clock_rate(&self) -> u32 {
        match self {
            Self::H264 { .. } | Self::Vp8 | Self::Vp9 { .. } | Self::Av1 { .. } => 90_000,
            Self::Opus => 48_000,
        }
    }

    /// 8 bits and 4:2:0, which every decoder takes and every screen shows.
    fn is_usual(&self) -> bool {
        match self {
            Self::H264 { profile, .. } => {
                let rare = |id: &str| H264_PROFILES_RARE.iter().any(|rare| id.starts_with(rare));
                !profile.as_deref().is_some_and(rare)
            }
            Self::Vp9 { profile } | Self::Av1 { profile, .. } => profile.is_none_or(|profile| profile == 0),
            Self::Vp8 | Self::Opus => true,
        }
    }

    /// The usual ones before the rare ones, and of H.264 that which cuts large pictures by itself.
    fn rank(&self) -> u8 {
        let single = matches!(self, Self::H264 { mode: PacketizationMode::Single, .. });
        u8::from(single) + 2 * u8::from(!self.is_usual())
    }
}

/// The coding that we take of a section, with its payload type.
pub(super) fn choose(block: &Block<'_>, kind: TrackKind, payloads: &[u8]) -> Result<(u8, Format), OfferError> {
    let format = match kind {
        TrackKind::Video => video_format,
        TrackKind::Audio => audio_format,
    };
    let offered: Vec<(u8, Format)> =
        payloads.iter().filter_map(|payload| Some((*payload, format(block, *payload)?))).collect();
    let codec = preferred(&offered).ok_or_else(|| refusal(block, kind, payloads))?;
    let of_codec = offered.into_iter().filter(|(_, format)| format.codec() == codec);
    of_codec.min_by_key(|(_, format)| format.rank()).ok_or_else(|| refusal(block, kind, payloads))
}

/// The publisher's first choice (RFC 3264 6.1) among the usual profiles, else among the rare ones.
///
/// With one exception: where VP8 comes first and H.264 is there, H.264. All browsers list VP8 first
/// when nobody has chosen, so that its place says nothing; and H.264 is what they encode in
/// hardware and what can be passed on without being encoded again. Who wants VP8 offers no H.264;
/// whatever else comes first was put there by somebody.
fn preferred(offered: &[(u8, Format)]) -> Option<Codec> {
    let usual = || offered.iter().filter(|(_, format)| format.is_usual()).map(|(_, format)| format.codec());
    let first = usual().next().or_else(|| offered.first().map(|(_, format)| format.codec()))?;
    let is_default_order = first == Codec::Vp8 && usual().any(|codec| codec == Codec::H264);
    Some(if is_default_order { Codec::H264 } else { first })
}

fn refusal(block: &Block<'_>, kind: TrackKind, payloads: &[u8]) -> OfferError {
    let is_offered = |name: &str| payloads.iter().any(|payload| block.is_mapped(*payload, name));
    let needed = match kind {
        TrackKind::Audio => "audio: Opus is needed",
        TrackKind::Video if is_offered("h265/") => "video: HEVC is not taken; H.264, VP8, VP9 or AV1 is needed",
        TrackKind::Video => "video: H.264, VP8, VP9 or AV1 is needed",
    };
    OfferError::Codec(needed.to_owned())
}

fn audio_format(block: &Block<'_>, payload: u8) -> Option<Format> {
    block.is_mapped(payload, "opus/48000").then_some(Format::Opus)
}

fn video_format(block: &Block<'_>, payload: u8) -> Option<Format> {
    let number = |name: &str| block.parameter(payload, name).and_then(|value| value.parse().ok());
    if block.is_mapped(payload, "h264/90000") {
        h264(block, payload)
    } else if block.is_mapped(payload, "vp8/90000") {
        Some(Format::Vp8)
    } else if block.is_mapped(payload, "vp9/90000") {
        Some(Format::Vp9 { profile: number("profile-id") })
    } else if block.is_mapped(payload, "av1/90000") {
        Some(Format::Av1 { profile: number("profile"), level: number("level-idx"), tier: number("tier") })
    } else {
        None
    }
}

/// RFC 6184 8.1.
fn h264(block: &Block<'_>, payload: u8) -> Option<Format> {
    let mode = match block.parameter(payload, "packetization-mode").unwrap_or("0") {
        "0" => PacketizationMode::Single,
        "1" => PacketizationMode::NonInterleaved,
        _ => return None,
    };
    let hex = |id: &&str| id.len() == 6 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let profile = block.parameter(payload, "profile-level-id").filter(hex).map(str::to_ascii_lowercase);
    let asymmetry = match block.parameter(payload, "level-asymmetry-allowed") {
        Some("1") => Some(1),
        Some("0") => Some(0),
        _ => None,
    };
    Some(Format::H264 { mode, profile, asymmetry })
}

/// The payload type under which `media` is sent again (RFC 4588 8.6).
pub(super) fn retransmission(block: &Block<'_>, payloads: &[u8], media: u8) -> Option<u8> {
    payloads.iter().copied().find(|payload| {
        *payload != media
            && block.is_mapped(*payload, "rtx/")
            && block.parameter(*payload, "apt").and_then(|apt| apt.parse().ok()) == Some(media)
    })
}
