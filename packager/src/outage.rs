//! When a broadcast's publishers bring nothing that could be shown: spans on its clock, which viewers are told of
//! as date ranges (rfc8216bis 4.4.5.1).
//!
//! Knows no clock and no playlist: it is told what came, and what time it is.

use packager_transcode::wire::SLATE_AFTER;
use schema::{AccessUnit, MediaTime, TrackKind};

/// Nothing came for so long: an outage, and the slate is shown. What is shorter is a hiccup, or a shared screen on which
/// nothing moves; and as none is shorter, a playlist lists few of them.
pub const OUTAGE_MIN: MediaTime = SLATE_AFTER;
/// The length of a unit that does not say its own, where nothing else is known.
const UNIT_UNSAID: MediaTime = MediaTime(MediaTime::PER_SECOND / 50);

/// One outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// Counts the outages of a broadcast's run, from 0.
    pub number: u64,
    /// Where the last media before it end: what is shown from here on is made up.
    pub start: MediaTime,
    /// Where media came again; `None` while it lasts.
    pub end: Option<MediaTime>,
}

/// Notices outages. Pictures count, and sound where there are none: a sound that is missing is silence.
#[derive(Debug)]
pub struct Outages {
    leads: TrackKind,
    unsaid: MediaTime,
    /// Where what came last ends.
    media_to: MediaTime,
    open: Option<Outage>,
    next_number: u64,
}

impl Outages {
    /// For a broadcast whose output begins at `begins`; `frame` is the length of a picture, `None` for sound alone.
    #[must_use]
    pub fn new(begins: MediaTime, frame: Option<MediaTime>) -> Self {
        Self {
            leads: if frame.is_some() { TrackKind::Video } else { TrackKind::Audio },
            unsaid: frame.unwrap_or(UNIT_UNSAID),
            media_to: begins,
            open: None,
            next_number: 0,
        }
    }

    /// A unit came; what has ended with it, if anything.
    pub fn came(&mut self, unit: &AccessUnit) -> Option<Outage> {
        if unit.codec.kind() != self.leads {
            return None;
        }
        self.media_to = self.media_to.max(unit.pts + unit.duration.unwrap_or(self.unsaid));
        let open = self.open.take()?;
        Some(Outage { end: Some(unit.pts.max(open.start)), ..open })
    }

    /// None came, and if one of this kind came now it would have this time; what has begun, if anything.
    pub fn is(&mut self, video: MediaTime, audio: MediaTime) -> Option<Outage> {
        let now = if self.leads == TrackKind::Video { video } else { audio };
        if self.open.is_some() || now - self.media_to < OUTAGE_MIN {
            return None;
        }
        let outage = Outage { number: self.next_number, start: self.media_to, end: None };
        self.next_number += 1;
        self.open = Some(outage);
        Some(outage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use schema::Codec;

    const FRAME: MediaTime = MediaTime(MediaTime::PER_SECOND / 25);

    fn millis(value: i64) -> MediaTime {
        MediaTime::from_millis(value)
    }

    fn unit(codec: Codec, at: i64) -> AccessUnit {
        let pts = millis(at);
        AccessUnit { codec, pts, dts: pts, duration: None, random_access: true, data: Bytes::new() }
    }

    #[test]
    fn an_outage_begins_where_the_last_picture_ended_and_ends_with_the_next() {
        let mut outages = Outages::new(MediaTime::ZERO, Some(FRAME));
        assert_eq!(outages.came(&unit(Codec::H264, 1_000)), None);
        assert_eq!(outages.is(millis(4_039), millis(4_039)), None, "shorter than three seconds");
        let begun = Outage { number: 0, start: millis(1_040), end: None };
        assert_eq!(outages.is(millis(4_040), millis(9_000)), Some(begun));
        assert_eq!(outages.is(millis(5_000), millis(5_000)), None, "told once");
        assert_eq!(outages.came(&unit(Codec::Opus, 5_000)), None, "pictures are missing still");
        assert_eq!(outages.came(&unit(Codec::H264, 6_000)), Some(Outage { end: Some(millis(6_000)), ..begun }));
        let next = Outage { number: 1, start: millis(6_040), end: None };
        assert_eq!(outages.is(millis(9_040), MediaTime::ZERO), Some(next));
    }

    #[test]
    fn sound_alone_has_outages_of_its_own_and_a_resumed_broadcast_begins_with_one() {
        let mut outages = Outages::new(millis(60_000), None);
        let begun = Outage { number: 0, start: millis(60_000), end: None };
        assert_eq!(outages.is(MediaTime::ZERO, millis(63_000)), Some(begun));
        assert_eq!(outages.came(&unit(Codec::Opus, 63_500)), Some(Outage { end: Some(millis(63_500)), ..begun }));
        assert_eq!(outages.is(MediaTime::ZERO, millis(66_519)), None);
        assert_eq!(outages.is(MediaTime::ZERO, millis(66_520)).map(|next| next.start), Some(millis(63_520)));
    }

    #[test]
    fn a_publisher_that_goes_on_with_earlier_times_ends_it_where_it_began() {
        let mut outages = Outages::new(millis(5_000), Some(FRAME));
        let begun = outages.is(millis(8_000), millis(8_000)).unwrap();
        assert_eq!(outages.came(&unit(Codec::Vp8, 4_000)), Some(Outage { end: Some(millis(5_000)), ..begun }));
    }
}
