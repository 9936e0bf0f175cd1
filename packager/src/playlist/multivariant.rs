//! The multivariant playlist (rfc8216bis 4.4.6), written by `m3u8-rs`. URIs are relative to
//! `/live/{channel}/index.m3u8`.

use std::collections::HashMap;

use bytes::Bytes;
use m3u8_rs::{
    AlternativeMedia, AlternativeMediaType, ClosedCaptionGroupId, MasterPlaylist, QuotedOrUnquoted, Resolution,
    VariantStream,
};
use schema::BroadcastId;
use schema::id::RenditionName;
use schema::ladder::{FrameRate, PictureSize};

use crate::ladder::Bandwidth;

/// A player begins with the first variant; the authoring rules (9.8) want it near this, in bits per second.
const FIRST_VARIANT_BPS: u64 = 2_000_000;
/// The one audio group.
const GROUP: &str = "audio";

/// A rendition as the multivariant playlist names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, as in URLs.
    pub name: RenditionName,
    /// Its `CODECS`, from its sample entry.
    pub codecs: String,
    /// What it costs alone.
    pub bandwidth: Bandwidth,
    /// The size of its pictures; `None` for audio.
    pub size: Option<PictureSize>,
}

/// Which lists a multivariant playlist names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lists {
    /// The live ones.
    Live,
    /// Those for rewinding.
    Dvr,
}

impl Lists {
    /// The file name of each.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Live => "index.m3u8",
            Self::Dvr => "dvr.m3u8",
        }
    }
}

/// Renders the multivariant playlist of these renditions, at most one of which is audio.
///
/// `EXT-X-VERSION` is absent: nothing here needs one above 1 (rfc8216bis 8).
#[must_use]
pub fn render(broadcast: &BroadcastId, renditions: &[Listed], rate: FrameRate, lists: Lists) -> Bytes {
    let uri = |listed: &Listed| format!("{broadcast}/{}/{}", listed.name, lists.file());
    let audio = renditions.iter().find(|listed| listed.size.is_none());
    let mut video: Vec<&Listed> = renditions.iter().filter(|listed| listed.size.is_some()).collect();
    first_variant_to_front(&mut video);
    let playlist = if video.is_empty() {
        MasterPlaylist {
            variants: audio.map(|audio| variant(uri(audio), audio, None, rate)).into_iter().collect(),
            independent_segments: true,
            ..MasterPlaylist::default()
        }
    } else {
        MasterPlaylist {
            variants: video.into_iter().map(|listed| variant(uri(listed), listed, audio, rate)).collect(),
            alternatives: audio.map(|audio| alternative(uri(audio))).into_iter().collect(),
            independent_segments: true,
            ..MasterPlaylist::default()
        }
    };
    let mut out = Vec::new();
    playlist.write_to(&mut out).expect("writing to memory does not fail");
    out.into()
}

fn first_variant_to_front(video: &mut [&Listed]) {
    let nearest = (0..video.len()).min_by_key(|&index| video[index].bandwidth.average.abs_diff(FIRST_VARIANT_BPS));
    if let Some(nearest) = nearest {
        video[..=nearest].rotate_right(1);
    }
}

fn variant(uri: String, listed: &Listed, audio: Option<&Listed>, rate: FrameRate) -> VariantStream {
    let bandwidth = audio.map_or(listed.bandwidth, |audio| listed.bandwidth.plus(audio.bandwidth));
    let codecs = audio.map_or_else(|| listed.codecs.clone(), |audio| format!("{},{}", listed.codecs, audio.codecs));
    // As text, for exactly three decimals.
    let frame_rate = listed.size.map(|_| {
        let text = QuotedOrUnquoted::Unquoted(format!("{:.3}", rate.as_f64()));
        HashMap::from([("FRAME-RATE".to_owned(), text)])
    });
    VariantStream {
        uri,
        bandwidth: bandwidth.peak,
        average_bandwidth: Some(bandwidth.average),
        codecs: Some(codecs),
        resolution: listed.size.map(|size| Resolution { width: u64::from(size.width), height: u64::from(size.height) }),
        audio: audio.map(|_| GROUP.to_owned()),
        closed_captions: Some(ClosedCaptionGroupId::None),
        other_attributes: frame_rate,
        ..VariantStream::default()
    }
}

fn alternative(uri: String) -> AlternativeMedia {
    AlternativeMedia {
        media_type: AlternativeMediaType::Audio,
        uri: Some(uri),
        group_id: GROUP.to_owned(),
        language: Some("und".to_owned()),
        name: "Audio".to_owned(),
        default: true,
        autoselect: true,
        channels: Some("2".to_owned()),
        ..AlternativeMedia::default()
    }
}
