//! What a viewer can see of a broadcast: immutable snapshots behind a `watch`, the same for everybody.

use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use schema::id::RenditionName;
use schema::ladder::LatencyProfile;
use schema::{BroadcastId, ChannelName, Incarnation, MediaTime, TrackKind, UnixMicros};
use tokio::sync::watch;

mod dvr;
mod objects;
mod thumbnail;
mod update;

pub use dvr::{DvrFile, LiveDvr};
pub use objects::{InitSection, Name, Object, Objects, SegmentObjects};
pub use thumbnail::Thumbnail;
pub use update::{Old, Update};

/// One broadcast as viewers see it. Shared, and immutable but for its `watch`es.
#[derive(Debug)]
pub struct LiveBroadcast {
    /// Its id, as in URLs.
    pub id: BroadcastId,
    /// Its channel.
    pub channel: ChannelName,
    /// The channel's title.
    pub title: String,
    /// Its fencing number.
    pub incarnation: Incarnation,
    /// Its latency profile.
    pub profile: LatencyProfile,
    /// Wall-clock capture time of its first media.
    pub started_at: UnixMicros,
    /// Video renditions best first, then audio.
    pub renditions: Vec<LiveRendition>,
    /// The multivariant playlist; set as soon as one part of each rendition exists, never changed after.
    pub multivariant: OnceLock<Bytes>,
    /// The multivariant playlist of the DVR lists, set with the other; never where nothing is kept for rewinding.
    pub dvr_multivariant: OnceLock<Bytes>,
    /// How much of it is kept for rewinding, in seconds; 0 is nothing.
    pub dvr_s: u32,
    /// The newest small picture; `None` before the first, and for sound alone. The last one stays after the end.
    pub thumbnail: watch::Receiver<Option<Thumbnail>>,
}

impl LiveBroadcast {
    /// True once no rendition will get more media.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.renditions.iter().all(|rendition| rendition.snapshot.borrow().ended)
    }
}

/// One rendition as viewers see it.
#[derive(Debug)]
pub struct LiveRendition {
    /// Its name, as in URLs.
    pub name: RenditionName,
    /// Video or audio.
    pub kind: TrackKind,
    /// The newest revision of its playlist; the sender is dropped when the window is gone.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// What viewers can rewind to; `None` where nothing is kept.
    pub dvr: Option<LiveDvr>,
}

/// A playlist as it is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// As it is.
    pub plain: Bytes,
    /// The same, gzip-encoded; empty if `plain` is.
    pub gzip: Bytes,
}

impl Text {
    /// True if nothing is listed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }
}

impl From<String> for Text {
    /// Compresses at the lowest level: a revision lives for a part, and most of a playlist repeats itself.
    fn from(text: String) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let gzip = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
        Self { gzip: gzip.expect("writing to memory does not fail").into(), plain: text.into() }
    }
}

/// One immutable revision of a media playlist, with everything that it advertises or once advertised
/// and still owes (rfc8216bis 6.2.2).
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Counts revisions from 0: the empty window.
    pub revision: u64,
    /// The rendered playlist; empty before the first part.
    pub playlist: Text,
    /// The same as a delta update (rfc8216bis 6.2.5.1); `None` while there is nothing to skip.
    pub delta: Option<Update>,
    /// `EXT-X-TARGETDURATION`, in seconds.
    pub target_duration_s: u32,
    /// `PART-TARGET`; `None` where the profile has no parts.
    pub part_target: Option<MediaTime>,
    /// The media sequence number of the first listed segment.
    pub first_msn: u64,
    /// The media sequence number of the segment that is growing or comes next: all listed ones below are complete.
    pub next_msn: u64,
    /// How many parts of the segment `next_msn` are listed.
    pub open_parts: u32,
    /// How many parts the segment `next_msn - 1` has, for the roll-over of rfc8216bis 6.2.5.2; 0 if there is none.
    pub last_parts: u32,
    /// True once `EXT-X-ENDLIST` stands: nothing will be added.
    pub ended: bool,
    /// The name that `EXT-X-PRELOAD-HINT` promises, if any.
    pub hint: Option<Arc<str>>,
    /// The name of the init section that the hinted part will need, where that is not there yet.
    pub hinted_init: Option<Arc<str>>,
    /// Everything that can be fetched by name.
    pub objects: Objects,
    /// When it was published.
    pub published: Instant,
}
