//! A broadcast without a transcoder, for the tests of crates that read [`crate::live`]: the real
//! windows and playlists, over made-up bodies, driven part by part.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use schema::id::RenditionName;
use schema::ladder::{FrameRate, LatencyProfile, PictureSize};
use schema::{BroadcastId, ChannelName, Incarnation, MediaTime, TrackKind, UnixMicros};
use tokio::sync::watch;

use crate::ladder::Bandwidth;
use crate::live::{LiveBroadcast, LiveRendition, Snapshot, Thumbnail};
use crate::playlist::multivariant::{self, Listed, Lists};
use crate::playlist::{self, NewPart, Report, Window};
use crate::timing::{Timing, Tracks};

/// A broadcast whose media is made up: two renditions, `720p` and `audio`, at 30 pictures a second.
#[derive(Debug)]
pub struct ScriptedBroadcast {
    /// As readers see it.
    pub live: Arc<LiveBroadcast>,
    timing: Arc<Timing>,
    tracks: Vec<Scripted>,
    thumbnails: watch::Sender<Option<Thumbnail>>,
    msn: u64,
    part: u32,
    at: MediaTime,
}

#[derive(Debug)]
struct Scripted {
    name: RenditionName,
    window: Window,
    sender: watch::Sender<Arc<Snapshot>>,
}

impl ScriptedBroadcast {
    /// A broadcast of `channel` without any media, whose id is `b1`.
    ///
    /// # Panics
    /// Where `channel` is no channel name.
    #[must_use]
    pub fn new(channel: &str, profile: LatencyProfile) -> Self {
        let channel: ChannelName = channel.parse().expect("a channel name");
        Self::numbered(channel, profile, Incarnation(1), 0)
    }

    /// The same with an incarnation and a first media sequence number.
    #[must_use]
    pub fn numbered(channel: ChannelName, profile: LatencyProfile, incarnation: Incarnation, msn: u64) -> Self {
        let both = Tracks { video: true, audio: true };
        let timing = Arc::new(Timing::new(profile, FrameRate::THIRTY, both));
        let zero = UnixMicros(1_700_000_000_000_000);
        let (tracks, renditions): (Vec<_>, Vec<_>) = [("720p", TrackKind::Video), ("audio", TrackKind::Audio)]
            .map(|(name, kind)| {
                let name: RenditionName = name.parse().expect("a rendition name");
                let empty = playlist::empty(&timing, msn, Instant::now());
                let (sender, snapshot) = watch::channel(Arc::new(empty));
                let mut window = Window::new(Arc::clone(&timing), incarnation, zero, msn);
                window.set_init(0, Bytes::from(format!("init of {name}")));
                let track = Scripted { name: name.clone(), window, sender };
                (track, LiveRendition { name, kind, snapshot, dvr: None })
            })
            .into_iter()
            .unzip();
        let (thumbnails, thumbnail) = watch::channel(None);
        let live = LiveBroadcast {
            id: "b1".parse().expect("a broadcast id"),
            channel,
            title: "A test".into(),
            incarnation,
            profile,
            started_at: zero,
            renditions,
            multivariant: OnceLock::new(),
            dvr_multivariant: OnceLock::new(),
            dvr_s: 0,
            thumbnail,
        };
        Self { live: Arc::new(live), timing, tracks, thumbnails, msn, part: 0, at: MediaTime::ZERO }
    }

    /// The id of every such broadcast.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn id() -> BroadcastId {
        "b1".parse().expect("a broadcast id")
    }

    /// The bytes of a part, as text that names it.
    #[must_use]
    pub fn body(rendition: &str, msn: u64, part: u32) -> String {
        format!("{rendition} {msn} {part};")
    }

    /// Publishes the next part in all renditions; the last of a segment completes it.
    pub fn part(&mut self) {
        let at = self.timing.position(self.at);
        for track in &mut self.tracks {
            let body = Self::body(track.name.as_str(), self.msn, self.part);
            track.window.append(NewPart {
                msn: self.msn,
                start: self.at,
                duration: at.next - self.at,
                independent: self.part == 0,
                bytes: body.into(),
            });
            if at.next_is_segment {
                track.window.complete_segment();
            }
        }
        self.at = at.next;
        if at.next_is_segment {
            (self.msn, self.part) = (self.msn + 1, 0);
        } else {
            self.part += 1;
        }
        self.publish();
    }

    /// Publishes parts until `count` more segments are complete.
    pub fn segments(&mut self, count: u64) {
        let last = self.msn + count;
        while self.msn < last {
            self.part();
        }
    }

    /// Shows a thumbnail of 640 by 360 pixels whose bytes are this text.
    pub fn thumbnail(&mut self, text: &str) {
        let thumbnail = Thumbnail {
            jpeg: Bytes::from(text.to_owned()),
            size: PictureSize { width: 640, height: 360 },
            captured_at: self.live.started_at.plus(self.at),
            tag: format!("{}-{text}", self.live.id),
        };
        self.thumbnails.send_replace(Some(thumbnail));
    }

    /// Sets the end mark in all renditions.
    pub fn end(&mut self) {
        for track in &mut self.tracks {
            track.window.end_list();
        }
        self.publish();
    }

    fn publish(&mut self) {
        let reports: Vec<Report> = self.tracks.iter().filter_map(|track| track.window.report(&track.name)).collect();
        for track in &mut self.tracks {
            let others: Vec<Report> = reports.iter().filter(|report| report.name != track.name).cloned().collect();
            let snapshot = track.window.snapshot(&others, Instant::now());
            track.sender.send_replace(Arc::new(snapshot));
        }
        self.live.multivariant.get_or_init(|| {
            let listed = self.live.renditions.iter().map(listed).collect::<Vec<_>>();
            multivariant::render(&self.live.id, &listed, FrameRate::THIRTY, Lists::Live)
        });
    }
}

fn listed(rendition: &LiveRendition) -> Listed {
    let video = rendition.kind == TrackKind::Video;
    Listed {
        name: rendition.name.clone(),
        codecs: if video { "avc1.64001f" } else { "mp4a.40.2" }.into(),
        bandwidth: Bandwidth { peak: 2_000_000, average: 1_500_000 },
        size: video.then_some(PictureSize { width: 1280, height: 720 }),
    }
}
