//! The first look at a feed: which tracks are there, how large and how fast the pictures are.

use std::time::Duration;

use packager_transcode::wire::Coding;
use schema::feed::next;
use schema::ladder::{FrameRate, PictureSize};
use schema::{AccessUnit, Codec, Feed, FeedEvent, MediaTime, SessionEnd, TrackKind};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Cause, Tracks};
use crate::codecs::VideoConfig;
use crate::frame_rate;
use crate::picture_size;

/// How long pictures are counted.
const PICTURES_WAIT: Duration = Duration::from_secs(1);
/// How long an awaited audio track may stay away.
const AUDIO_WAIT: Duration = Duration::from_secs(2);
/// How long the first keyframe may stay away, while audio flows.
const VIDEO_WAIT: Duration = Duration::from_secs(5);
/// How often a missing keyframe is asked for.
const KEYFRAME_ASK: Duration = Duration::from_millis(500);
/// More units than this are not looked at; at 60 pictures and 100 packets a second they are six seconds.
const UNITS_MAX: usize = 1_000;
/// The size of a source that does not say it.
const SIZE_UNKNOWN: PictureSize = PictureSize { width: 1280, height: 720 };

/// What the look found.
#[derive(Debug)]
pub(super) struct Seen {
    /// The tracks that are there.
    pub(super) tracks: Tracks,
    /// The size of the pictures; `None` without video.
    pub(super) size: Option<PictureSize>,
    /// How its pictures are coded, where encoders can be given that too.
    pub(super) coding: Option<Coding>,
    /// The source's frame rate.
    pub(super) frame_rate: FrameRate,
    /// Where the output begins: at the first keyframe, or the first sound.
    pub(super) begins: MediaTime,
    /// All that was looked at, to be fed.
    pub(super) units: Vec<AccessUnit>,
}

/// How a look ended.
#[derive(Debug)]
pub(super) enum Looked {
    Seen(Seen),
    Ended(Cause),
}

/// Looks until the tracks and the frame rate are known, or the time for it is over.
pub(super) async fn look(feed: &mut dyn Feed, tracks: Tracks, wish: Option<u32>, cancel: &CancellationToken) -> Looked {
    let mut look = Look::new(tracks, wish.is_some());
    let mut asked: Option<Instant> = None;
    loop {
        let now = Instant::now();
        if look.is_done(now) {
            return Looked::Seen(look.seen());
        }
        if look.wants_keyframe() && asked.is_none_or(|last| now - last >= KEYFRAME_ASK) {
            feed.request_keyframe();
            asked = Some(now);
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Looked::Ended(Cause::Shutdown),
            event = next(feed) => match event {
                FeedEvent::Unit(unit) => look.push(unit, Instant::now()),
                FeedEvent::Ended(end) => return look.ended(end),
            },
            () = sleep_until(now + KEYFRAME_ASK / 5), if look.first.is_some() => {}
        }
    }
}

/// What was seen so far. Its clock is passed in.
struct Look {
    wanted: Tracks,
    rate_known: bool,
    units: Vec<AccessUnit>,
    first: Option<Instant>,
    /// When the first keyframe came, and its time.
    keyframe: Option<(Instant, MediaTime)>,
    /// The largest that any keyframe said: a publisher may begin small and grow.
    size: Option<PictureSize>,
    coding: Option<Coding>,
    audio: Option<MediaTime>,
    pictures: Vec<MediaTime>,
}

impl Look {
    fn new(wanted: Tracks, rate_known: bool) -> Self {
        Self {
            wanted,
            rate_known,
            units: Vec::new(),
            first: None,
            keyframe: None,
            size: None,
            coding: None,
            audio: None,
            pictures: Vec::new(),
        }
    }

    fn push(&mut self, unit: AccessUnit, now: Instant) {
        self.first.get_or_insert(now);
        match unit.codec.kind() {
            TrackKind::Audio => {
                self.audio.get_or_insert(unit.pts);
            }
            TrackKind::Video => {
                if self.keyframe.is_none() && !unit.random_access {
                    return;
                }
                self.pictures.push(unit.pts);
                self.keyframe.get_or_insert((now, unit.pts));
                if unit.random_access {
                    self.coding = VideoConfig::of(&unit.data)
                        .ok()
                        .filter(|_| unit.codec == Codec::H264)
                        .and_then(|config| config.coding());
                    self.size = self.size.into_iter().chain(picture_size::of(&unit)).max_by_key(|size| size.area());
                }
            }
        }
        self.units.push(unit);
    }

    fn wants_keyframe(&self) -> bool {
        self.wanted.video && self.keyframe.is_none() && self.first.is_some()
    }

    fn is_done(&self, now: Instant) -> bool {
        let Some(first) = self.first else {
            return false;
        };
        if self.units.len() >= UNITS_MAX {
            return true;
        }
        let passed = |limit: Duration| now - first >= limit;
        let video = match self.keyframe {
            Some((since, ..)) => self.rate_is_plain() || now - since >= PICTURES_WAIT,
            None => !self.wanted.video || (self.audio.is_some() && passed(VIDEO_WAIT)),
        };
        let audio = self.audio.is_some() || !self.wanted.audio || passed(AUDIO_WAIT);
        video && audio && !self.units.is_empty()
    }

    fn rate_is_plain(&self) -> bool {
        self.rate_known || self.pictures.len() >= frame_rate::PICTURES || frame_rate::is_plain(&self.intervals())
    }

    fn intervals(&self) -> Vec<MediaTime> {
        let mut shown = self.pictures.clone();
        shown.sort_unstable();
        shown.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// A session that ended before the look is over may still have media to show.
    fn ended(self, end: SessionEnd) -> Looked {
        if self.units.is_empty() {
            return Looked::Ended(Cause::Session(end));
        }
        Looked::Seen(self.seen())
    }

    fn seen(self) -> Seen {
        let keyframe = self.keyframe.map(|(_, at)| at);
        Seen {
            tracks: Tracks { video: keyframe.is_some(), audio: self.audio.is_some() },
            size: keyframe.map(|_| self.size.unwrap_or(SIZE_UNKNOWN)),
            coding: self.coding,
            frame_rate: frame_rate::snap(&self.intervals()),
            begins: keyframe.or(self.audio).unwrap_or_default().max(MediaTime::ZERO),
            units: self.units,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(index: i64, late_millis: i64) -> AccessUnit {
        let pts = MediaTime::from_ticks(index, 30) + MediaTime::from_millis(late_millis);
        let data = bytes::Bytes::from_static(&[0]);
        AccessUnit { codec: Codec::Vp8, pts, dts: pts, duration: None, random_access: index == 0, data }
    }

    /// How many pictures are looked at, all of which come at once.
    fn looked_at(late_millis: impl Fn(i64) -> i64) -> Option<i64> {
        let now = Instant::now();
        let mut look = Look::new(Tracks { video: true, audio: false }, false);
        (0..60).find(|&index| {
            look.push(picture(index, late_millis(index)), now);
            look.is_done(now)
        })
    }

    #[test]
    fn a_plain_rate_ends_the_look_and_one_in_doubt_does_not() {
        assert_eq!(looked_at(|_| 0), Some(10));
        assert_eq!(looked_at(|index| index % 2 * 5), Some(14));
        assert_eq!(looked_at(|index| if index < 5 { 0 } else { 100 }), Some(29), "some are missing");
    }

    #[test]
    fn pictures_are_waited_for_no_longer_than_a_second() {
        let now = Instant::now();
        let mut look = Look::new(Tracks { video: true, audio: false }, false);
        look.push(picture(0, 0), now);
        assert!(!look.is_done(now + PICTURES_WAIT - Duration::from_millis(1)));
        assert!(look.is_done(now + PICTURES_WAIT));
    }
}
