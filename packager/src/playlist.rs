//! The live window of one rendition: appends parts, completes and retires segments, and renders
//! itself once per revision (rfc8216bis 6.2.1, 6.2.2).
//!
//! Reads no clock: what a removed segment is still owed is measured in the media time that follows it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use schema::id::RenditionName;
use schema::{Incarnation, MediaTime, UnixMicros};

use crate::live::{InitSection, Name, Object, Objects, SegmentObjects, Snapshot, Text, Update};
use crate::outage::Outage;
use crate::timing::Timing;

mod date_ranges;
pub mod dvr;
mod finished;
pub mod multivariant;
mod render;

use date_ranges::{DateRanges, Place};
pub use finished::Finished;

/// A part to be listed.
#[derive(Debug, Clone)]
pub struct NewPart {
    /// The media sequence number of its segment.
    pub msn: u64,
    /// When it begins.
    pub start: MediaTime,
    /// How long it is.
    pub duration: MediaTime,
    /// True if it begins with a sample at which decoding can start.
    pub independent: bool,
    /// Its bytes.
    pub bytes: Bytes,
}

/// How far another rendition is, for `EXT-X-RENDITION-REPORT` (rfc8216bis 4.4.5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The rendition.
    pub name: RenditionName,
    /// The media sequence number of its last listed segment, complete or not.
    pub last_msn: u64,
    /// The number of that segment's last listed part; `None` where the profile has no parts.
    pub last_part: Option<u32>,
}

#[derive(Debug)]
struct Segment {
    msn: u64,
    /// How often the encoder had begun anew before it: its discontinuity sequence number.
    epoch: u64,
    /// How many `EXT-X-DISCONTINUITY` stand before it.
    discontinuities: u64,
    init: u32,
    start: MediaTime,
    duration: MediaTime,
    parts: Vec<ListedPart>,
    /// True if there is no media for it (`EXT-X-GAP`).
    is_gap: bool,
    objects: Arc<SegmentObjects>,
}

#[derive(Debug, Clone, Copy)]
struct ListedPart {
    duration: MediaTime,
    independent: bool,
}

#[derive(Debug)]
struct Retired {
    segment: Segment,
    /// Kept until the broadcast's media reaches this.
    until: MediaTime,
}

/// The live window of one rendition.
#[derive(Debug)]
pub struct Window {
    timing: Arc<Timing>,
    incarnation: Incarnation,
    zero: UnixMicros,
    inits: VecDeque<InitSection>,
    next_init: u32,
    /// True while the encoder that comes next has not begun.
    awaits_init: bool,
    epoch: u64,
    segments: VecDeque<Segment>,
    open: Option<Segment>,
    retired: VecDeque<Retired>,
    ranges: DateRanges,
    next_msn: u64,
    longest: MediaTime,
    revision: u64,
    ended: bool,
    /// What is complete and waits for the archive; `None` where there is none.
    finished: Option<Vec<Finished>>,
}

impl Window {
    /// An empty window whose first segment will have the number `first_msn`; media time zero was captured at `zero`.
    #[must_use]
    pub fn new(timing: Arc<Timing>, incarnation: Incarnation, zero: UnixMicros, first_msn: u64) -> Self {
        Self {
            timing,
            incarnation,
            zero,
            inits: VecDeque::new(),
            next_init: 0,
            awaits_init: false,
            epoch: 0,
            segments: VecDeque::new(),
            open: None,
            retired: VecDeque::new(),
            ranges: DateRanges::new(incarnation, zero),
            next_msn: first_msn,
            longest: MediaTime::ZERO,
            revision: 0,
            ended: false,
            finished: None,
        }
    }

    /// All that follows is decoded with this init section; `epoch` counts how often the encoder began anew.
    pub fn set_init(&mut self, epoch: u64, bytes: Bytes) {
        self.epoch = epoch;
        self.inits.push_back(InitSection { index: self.next_init, object: Object::new([bytes]) });
        self.next_init += 1;
        self.awaits_init = false;
    }

    /// All that follows stands behind a discontinuity, and is decoded with the same init section as before.
    pub fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    /// What comes next is of another encoder, and needs an init section of its own.
    pub fn expect_init(&mut self) {
        self.awaits_init = true;
    }

    /// Lists a part. A part of a new segment opens it.
    pub fn append(&mut self, part: NewPart) {
        if self.open.as_ref().is_some_and(|open| open.msn != part.msn) {
            self.complete_segment();
        }
        let segment = match self.open.take() {
            Some(open) => open,
            None => {
                self.fill_gap(part.msn);
                self.open_segment(part.msn, part.start)
            }
        };
        self.open = Some(grow(segment, part));
    }

    fn open_segment(&mut self, msn: u64, start: MediaTime) -> Segment {
        let before = self.segments.back().map(|segment| segment.epoch);
        Segment {
            msn,
            epoch: self.epoch,
            discontinuities: before.map_or(0, |before| self.epoch.saturating_sub(before)),
            init: self.next_init.saturating_sub(1),
            start,
            duration: MediaTime::ZERO,
            parts: Vec::new(),
            is_gap: false,
            objects: Arc::new(SegmentObjects { msn, parts: Vec::new(), whole: None }),
        }
    }

    /// Lists the numbers up to `msn` for which this rendition got no media, as the others have media
    /// under them (rfc8216bis 4.4.4.7, 6.2.1).
    fn fill_gap(&mut self, msn: u64) {
        while self.next_msn < msn
            && let Some(last) = self.segments.back()
        {
            let (start, epoch, init) = (last.start + last.duration, last.epoch, last.init);
            let gap = self.open_segment(self.next_msn, start);
            self.segments.push_back(Segment {
                duration: self.timing.segment,
                is_gap: true,
                epoch,
                discontinuities: 0,
                init,
                ..gap
            });
            self.next_msn += 1;
        }
        self.retire();
    }

    /// The open segment is complete: it gets its `EXTINF`, and the oldest may leave the list.
    pub fn complete_segment(&mut self) {
        let Some(mut segment) = self.open.take() else {
            return;
        };
        self.next_msn = segment.msn + 1;
        let parts = &segment.objects.parts;
        let chunks: Vec<Bytes> = parts.iter().flat_map(|part| part.chunks.iter().cloned()).collect();
        let listed = self.timing.part_target.is_some();
        segment.objects = Arc::new(SegmentObjects {
            msn: segment.msn,
            parts: if listed { parts.clone() } else { Vec::new() },
            whole: Some(Object::new(chunks)),
        });
        self.note_finished(&segment);
        self.segments.push_back(segment);
        let length = self.segments.iter().map(|segment| segment.duration).sum();
        self.longest = self.longest.max(length);
        self.retire();
    }

    /// Takes the oldest off the list, and forgets what was removed long ago: a removed segment stays
    /// for its own duration and that of the longest playlist, and a target duration more (rfc8216bis 6.2.2).
    fn retire(&mut self) {
        let now = self.end();
        while self.segments.len() > self.timing.listed_segments {
            let Some(segment) = self.segments.pop_front() else {
                break;
            };
            let until = now + segment.duration + self.longest + self.timing.segment;
            self.retired.push_back(Retired { segment, until });
        }
        while self.retired.front().is_some_and(|old| old.until <= now) {
            self.retired.pop_front();
        }
        let oldest = self.owed().next().map(|segment| segment.init);
        self.inits.retain(|init| oldest.is_none_or(|oldest| init.index >= oldest));
        let first_msn = self.segments.front().map_or(self.next_msn, |first| first.msn);
        self.ranges.retire(first_msn, now, self.timing.skip_until.unwrap_or_default());
    }

    /// Lists an outage, or the end of one, as a date range behind what is listed; true if that changed the list. One
    /// that is over stays listed as long as a segment up to the number `last_msn` is.
    pub fn mark(&mut self, outage: &Outage, last_msn: u64) -> bool {
        let open = self.open.as_ref().filter(|_| self.lists_parts());
        let place = Place { msn: self.next_msn(), parts: open.map_or(0, |open| open.parts.len()) };
        let listed_to = self.end();
        self.ranges.mark(outage, place, listed_to, last_msn)
    }

    /// Nothing follows: completes what is open, and sets the end mark.
    pub fn end_list(&mut self) {
        self.complete_segment();
        self.ended = true;
    }

    /// True once a player could begin: something is listed.
    #[must_use]
    pub fn has_media(&self) -> bool {
        let open = self.timing.part_target.is_some() && self.open.is_some();
        open || !self.segments.is_empty()
    }

    /// True if a closed part changes what is listed, and not only a complete segment.
    #[must_use]
    pub fn lists_parts(&self) -> bool {
        self.timing.part_target.is_some()
    }

    /// How long removed objects stay owed once the list has ended: the longest playlist, and a segment more.
    #[must_use]
    pub fn retention(&self) -> MediaTime {
        self.longest + MediaTime(self.timing.segment.0 * 2)
    }

    /// The number of the segment that is growing or comes next.
    #[must_use]
    pub fn next_msn(&self) -> u64 {
        self.open.as_ref().map_or(self.next_msn, |open| open.msn)
    }

    /// The lowest number that was never listed.
    #[must_use]
    pub fn msn_after(&self) -> u64 {
        self.open.as_ref().map_or(self.next_msn, |open| open.msn + 1)
    }

    /// How far this rendition is, for the others' lists; `None` before its first part.
    #[must_use]
    pub fn report(&self, name: &RenditionName) -> Option<Report> {
        let open = self.open.as_ref().filter(|_| self.lists_parts());
        let last = open.or(self.segments.back())?;
        let last_part = count(&last.parts).saturating_sub(1);
        Some(Report { name: name.clone(), last_msn: last.msn, last_part: self.lists_parts().then_some(last_part) })
    }

    /// The next revision, rendered; `reports` are those of the other renditions.
    #[must_use]
    pub fn snapshot(&mut self, reports: &[Report], now: Instant) -> Snapshot {
        self.revision += 1;
        let listed = self.timing.part_target.is_some();
        let hint = (listed && !self.ended && self.has_media()).then(|| self.next_part());
        let hint: Option<Arc<str>> = hint.map(|name| name.to_string().into());
        let init = (hint.is_some() && self.awaits_init).then_some(Name::Init(self.incarnation, self.next_init));
        let hinted_init: Option<Arc<str>> = init.map(|name| name.to_string().into());
        let tail = render::Tail { reports, hint: hint.as_deref(), hinted_init: hinted_init.as_deref() };
        let playlist = if self.has_media() { render::full(self, &tail) } else { String::new() };
        let delta = render::delta(self, &tail).map(|text| self.update(text));
        let parts = |segment: Option<&Segment>| segment.filter(|_| listed).map_or(0, |segment| count(&segment.parts));
        let first = self.segments.front().or(self.open.as_ref());
        Snapshot {
            revision: self.revision,
            playlist: playlist.into(),
            delta,
            target_duration_s: self.timing.target_duration_s,
            part_target: self.timing.part_target,
            first_msn: first.map_or(self.next_msn, |first| first.msn),
            next_msn: self.next_msn(),
            open_parts: parts(self.open.as_ref()),
            last_parts: parts(self.segments.back()),
            ended: self.ended,
            hint,
            hinted_init,
            objects: self.objects(),
            published: now,
        }
    }

    fn update(&self, text: String) -> Update {
        let boundary = self.timing.skip_until.unwrap_or_default();
        Update::new(text, self.ranges.old(self.end(), boundary))
    }

    /// The name of the part that comes next if the segmentation goes on as planned.
    fn next_part(&self) -> Name {
        let parts = self.open.as_ref().map_or(0, |open| count(&open.parts));
        Name::Part(self.incarnation, self.next_msn(), parts)
    }

    fn objects(&self) -> Objects {
        let segments: Vec<Arc<SegmentObjects>> = self
            .owed()
            .filter(|segment| self.lists_parts() || segment.is_gap || segment.objects.whole.is_some())
            .map(|segment| Arc::clone(&segment.objects))
            .collect();
        let inits: Vec<InitSection> = self.inits.iter().cloned().collect();
        Objects::new(self.incarnation, inits, segments)
    }

    /// Everything that can be fetched, oldest first.
    fn owed(&self) -> impl Iterator<Item = &Segment> {
        let retired = self.retired.iter().map(|old| &old.segment);
        retired.chain(&self.segments).chain(&self.open)
    }

    /// Where the listed media ends.
    fn end(&self) -> MediaTime {
        let last = self.open.as_ref().or(self.segments.back());
        last.map_or(MediaTime::ZERO, |last| last.start + last.duration)
    }
}

fn grow(mut segment: Segment, part: NewPart) -> Segment {
    segment.duration += part.duration;
    segment.parts.push(ListedPart { duration: part.duration, independent: part.independent });
    let mut parts = segment.objects.parts.clone();
    parts.push(Object::new([part.bytes]));
    segment.objects = Arc::new(SegmentObjects { msn: segment.msn, parts, whole: None });
    segment
}

fn count(parts: &[ListedPart]) -> u32 {
    u32::try_from(parts.len()).unwrap_or(u32::MAX)
}

/// The snapshot of a rendition that has no media yet.
#[must_use]
pub fn empty(timing: &Timing, first_msn: u64, now: Instant) -> Snapshot {
    Snapshot {
        revision: 0,
        playlist: Text::default(),
        delta: None,
        target_duration_s: timing.target_duration_s,
        part_target: timing.part_target,
        first_msn,
        next_msn: first_msn,
        open_parts: 0,
        last_parts: 0,
        ended: false,
        hint: None,
        hinted_init: None,
        objects: Objects::default(),
        published: now,
    }
}
