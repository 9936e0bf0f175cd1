//! Where a rendition is cut: coded units in, parts and segment ends out.
//!
//! Every rendition of a broadcast runs its own segmenter over the same [`Timing`] and the same turns, so all cut at the
//! same instants: video begins on them, audio at its first frame boundary at or after them. Knows no
//! container, no playlist and no clock.

use std::sync::Arc;

use bytes::Bytes;
use packager_transcode::wire::Law;
use schema::{AccessUnit, MediaTime, TrackKind};

use crate::schedule::{Place, Schedule};
use crate::timing::{AUDIO_FRAME_SAMPLES, AUDIO_RATE, TOLERANCE, Timing};

/// One coded unit on a timeline without rounding gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When it is decoded: where the one before ends, but for true holes.
    pub start: MediaTime,
    /// Where it ends.
    pub end: MediaTime,
    /// When it is shown, after `start`.
    pub shown_after: MediaTime,
    /// True if decoding can start here.
    pub random_access: bool,
    /// The coded bytes, as they came.
    pub data: Bytes,
}

/// One part, closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The media sequence number of its segment.
    pub msn: u64,
    /// Its number within the segment.
    pub index: u32,
    /// Its samples, at least one.
    pub samples: Vec<Sample>,
    /// True if it begins with a sample at which decoding can start.
    pub independent: bool,
}

impl Part {
    /// When it begins.
    #[must_use]
    pub fn start(&self) -> MediaTime {
        self.samples.first().map_or(MediaTime::ZERO, |sample| sample.start)
    }

    /// How long it is.
    #[must_use]
    pub fn duration(&self) -> MediaTime {
        self.samples.last().map_or(MediaTime::ZERO, |sample| sample.end) - self.start()
    }
}

/// Why a unit was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// Before the beginning of the output, such as the priming of an audio encoder.
    BeforeStart,
    /// A segment must begin with an IDR, and this is none.
    NotRandomAccess,
    /// It overlaps what came before, or lies beyond the end of a segment that nothing follows yet.
    Overlap,
}

impl Discard {
    /// The word used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeStart => "before_start",
            Self::NotRandomAccess => "not_random_access",
            Self::Overlap => "overlap",
        }
    }
}

/// What a segmenter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// A part is complete.
    Part(Part),
    /// The segment of that number is complete; its last part came just before.
    SegmentEnd(u64),
    /// A unit was left out.
    Discarded(Discard),
    /// The timeline has a hole of this length before the next sample.
    Hole(MediaTime),
}

/// The segmenter of one rendition.
#[derive(Debug)]
pub struct Segmenter {
    kind: TrackKind,
    timing: Arc<Timing>,
    schedule: Schedule,
    start: MediaTime,
    open: Option<Open>,
    /// The number above every one that was opened; `None` before the first.
    after: Option<u64>,
    samples: Vec<Sample>,
    end: Option<MediaTime>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    msn: u64,
    part: i64,
    parts: u32,
}

impl Segmenter {
    /// A segmenter for which the segment that `start` lies in has the number `first_msn`; nothing before `start` gets through.
    #[must_use]
    pub fn new(kind: TrackKind, timing: Arc<Timing>, first_msn: u64, start: MediaTime) -> Self {
        let start = start.max(MediaTime::ZERO);
        let schedule = Schedule::new(Arc::clone(&timing), start, first_msn);
        Self { kind, timing, schedule, start, open: None, after: None, samples: Vec::new(), end: None }
    }

    /// Takes the next unit. A part is said to be complete with its last unit, never later.
    pub fn push(&mut self, unit: &AccessUnit) -> Vec<Cut> {
        let mut cuts = Vec::new();
        match self.accept(unit, &mut cuts) {
            Ok(sample) => self.append(sample, &mut cuts),
            Err(reason) => cuts.push(Cut::Discarded(reason)),
        }
        cuts
    }

    /// A new segment begins at the slot `at`, and from there on `law` holds, the same as before if `None`; gives that
    /// segment's number, the same in all renditions. To be said before any video unit at or after `at`.
    pub fn turn(&mut self, at: MediaTime, law: Option<Law>) -> (u64, Vec<Cut>) {
        let msn = self.schedule.turn(at, law);
        (msn, self.close_reached(at, msn))
    }

    /// True if a segment begins at a keyframe of the source that leads in the slot at `at`.
    #[must_use]
    pub fn is_cut(&self, at: MediaTime) -> bool {
        self.schedule.is_cut(at)
    }

    /// The source that leads has a keyframe at `at`, where a segment may begin. To be said before any video unit at or after it.
    pub fn keyframe(&mut self, at: MediaTime) -> Vec<Cut> {
        if self.schedule.keyframe(at) { self.close_reached(at, self.schedule.place(at).msn) } else { Vec::new() }
    }

    /// Closes what reaches up to `at`, where the segment of the number `msn` begins.
    fn close_reached(&mut self, at: MediaTime, msn: u64) -> Vec<Cut> {
        let mut cuts = Vec::new();
        let is_before = self.open.is_some_and(|open| open.msn < msn);
        if is_before && self.end.is_some_and(|end| end + TOLERANCE >= at) {
            self.close_segment(&mut cuts);
        }
        cuts
    }

    /// The encoder is gone: closes what is open of segments below the number `msn`. What is open of a later
    /// one is dropped: this rendition was the first to reach it, and nothing of it is listed.
    pub fn close_below(&mut self, msn: u64) -> Vec<Cut> {
        if self.open.is_some_and(|open| open.msn >= msn) {
            self.open = None;
            self.samples.clear();
        }
        self.finish()
    }

    /// An encoder begins anew: the next unit from `start` on begins the segment of the number `msn`, the
    /// same in all renditions, behind a discontinuity. The grid holds again.
    pub fn begin_anew(&mut self, start: MediaTime, msn: u64) {
        self.start = start.max(MediaTime::ZERO);
        self.schedule = Schedule::new(Arc::clone(&self.timing), self.start, msn);
        self.after = None;
        self.end = None;
    }

    /// Closes the open part, and leaves its segment open.
    pub fn flush_part(&mut self) -> Vec<Cut> {
        let mut cuts = Vec::new();
        self.close_part(&mut cuts);
        cuts
    }

    /// Closes the open part and its segment.
    pub fn finish(&mut self) -> Vec<Cut> {
        let mut cuts = Vec::new();
        self.close_segment(&mut cuts);
        cuts
    }

    /// Where the last sample ends.
    #[must_use]
    pub fn end(&self) -> Option<MediaTime> {
        self.end
    }

    /// Puts the unit on the timeline, and closes what it does not belong to any more.
    fn accept(&mut self, unit: &AccessUnit, cuts: &mut Vec<Cut>) -> Result<Sample, Discard> {
        let duration = unit.duration.unwrap_or_else(|| self.usual_duration());
        if unit.dts + TOLERANCE < self.start {
            return Err(Discard::BeforeStart);
        }
        let start = self.position(unit.dts, duration, cuts)?;
        let end = (unit.dts + duration).max(start + MediaTime(1));
        self.close_before(start, end, cuts);
        if self.open.is_none() {
            if self.kind == TrackKind::Video && !unit.random_access {
                return Err(Discard::NotRandomAccess);
            }
            if self.after.is_some_and(|after| self.place(start).msn < after) {
                return Err(Discard::Overlap);
            }
        }
        let delayed = if (unit.dts - start).0 * 2 > duration.0 { unit.dts - start } else { MediaTime::ZERO };
        Ok(Sample {
            start,
            end,
            shown_after: unit.pts - unit.dts + delayed,
            random_access: unit.random_access || self.kind == TrackKind::Audio,
            data: unit.data.clone(),
        })
    }

    /// Joins the unit to the one before where they are less than half a unit apart.
    fn position(&mut self, dts: MediaTime, duration: MediaTime, cuts: &mut Vec<Cut>) -> Result<MediaTime, Discard> {
        let dts = dts.max(self.start);
        let Some(expected) = self.end else {
            return Ok(dts);
        };
        let apart = dts - expected;
        if apart.abs().0 * 2 <= duration.0 {
            return Ok(expected);
        }
        if apart.0 < 0 {
            return Err(Discard::Overlap);
        }
        if self.kind == TrackKind::Video
            && apart.0 * 2 <= duration.0 * 3
            && let Some(start) = self.bridge(expected, dts, cuts)
        {
            return Ok(start);
        }
        cuts.push(Cut::Hole(apart));
        Ok(dts)
    }

    /// One picture is missing: the one before is shown for longer, up to the end of its part, and the next one is
    /// decoded there though it is shown later. `None` where a segment begins between them.
    fn bridge(&mut self, end: MediaTime, next: MediaTime, cuts: &mut Vec<Cut>) -> Option<MediaTime> {
        let Some(first) = self.samples.first() else {
            let together = self.after.is_some() && self.place(end).msn == self.place(next).msn;
            return together.then_some(end);
        };
        let longest = self.timing.part_target.map_or(next, |target| first.start + target);
        let part = self.place(end - TOLERANCE - TOLERANCE);
        let to = next.min(part.next).min(longest).max(end);
        if let Some(last) = self.samples.last_mut() {
            last.end = to;
        }
        self.end = Some(to);
        if to + TOLERANCE >= part.next {
            if part.next_is_segment {
                self.close_segment(cuts);
                return (to + TOLERANCE >= next).then_some(next);
            }
            self.close_part(cuts);
        }
        Some(to)
    }

    /// Where a sample lies. Sound has at least one frame in every segment, however short that is.
    fn place(&self, start: MediaTime) -> Place {
        let at = self.schedule.place(start);
        let joined = self.kind == TrackKind::Audio && self.end == Some(start);
        match self.after.filter(|&after| joined && self.open.is_none() && after < at.msn) {
            Some(skipped) => self.schedule.place_in(skipped, start),
            None => at,
        }
    }

    /// Closes what the sample from `start` to `end` lies beyond, or would make too long.
    fn close_before(&mut self, start: MediaTime, end: MediaTime, cuts: &mut Vec<Cut>) {
        let Some(open) = self.open else { return };
        let at = self.place(start);
        let too_long = |first: &Sample| {
            let target = self.timing.part_target;
            target.is_some_and(|target| end - first.start > target)
        };
        if at.msn != open.msn {
            self.close_segment(cuts);
        } else if at.part != open.part || self.samples.first().is_some_and(too_long) {
            self.close_part(cuts);
        }
    }

    fn append(&mut self, sample: Sample, cuts: &mut Vec<Cut>) {
        let at = self.place(sample.start);
        if self.open.is_none() {
            self.schedule.forget_before(at.msn);
            self.after = Some(at.msn + 1);
        }
        let open = self.open.get_or_insert(Open { msn: at.msn, part: at.part, parts: 0 });
        if self.samples.is_empty() {
            open.part = at.part;
        }
        if let Some(before) = self.samples.last_mut() {
            before.end = sample.start;
        }
        let end = sample.end;
        self.end = Some(end);
        self.samples.push(sample);
        if end + TOLERANCE >= at.next {
            if at.next_is_segment {
                self.close_segment(cuts);
            } else {
                self.close_part(cuts);
            }
        }
    }

    fn close_part(&mut self, cuts: &mut Vec<Cut>) {
        let Some(open) = &mut self.open else { return };
        let samples = std::mem::take(&mut self.samples);
        let Some(first) = samples.first() else { return };
        cuts.push(Cut::Part(Part { msn: open.msn, index: open.parts, independent: first.random_access, samples }));
        open.parts += 1;
    }

    fn close_segment(&mut self, cuts: &mut Vec<Cut>) {
        self.close_part(cuts);
        if let Some(open) = self.open.take() {
            cuts.push(Cut::SegmentEnd(open.msn));
        }
    }

    fn usual_duration(&self) -> MediaTime {
        match self.kind {
            TrackKind::Video => self.timing.frame_rate.frame(),
            TrackKind::Audio => MediaTime::from_ticks(AUDIO_FRAME_SAMPLES, AUDIO_RATE),
        }
    }
}
