//! Which segment and part a time belongs to, through all turns of a broadcast.
//!
//! Between two turns one law holds: the grid of [`Timing`], or a source's keyframes. Every rendition has a schedule of
//! its own and hears the same turns and keyframes in the same order, so all say the same. Knows no units and no clock.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use packager_transcode::wire::Law;
use schema::MediaTime;

use crate::timing::{TOLERANCE, Timing};

/// More turns than this are not kept: who is that far behind gets no media.
const STRETCHES_MAX: usize = 64;
/// More segments of one law than this are not kept: half an hour of `ultra`.
const LED_MAX: usize = 2_048;

/// Where a time lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The media sequence number of its segment.
    pub msn: u64,
    /// The part's number within the segment.
    pub part: i64,
    /// The next instant at which a part, and perhaps a segment, is cut.
    pub next: MediaTime,
    /// True if a segment begins at `next`.
    pub next_is_segment: bool,
}

/// The time from one turn to the next.
#[derive(Debug, Clone)]
struct Stretch {
    start: MediaTime,
    /// The number of its first segment.
    first_msn: u64,
    cuts: Cuts,
}

#[derive(Debug, Clone)]
enum Cuts {
    Grid,
    /// Led by a source whose groups of pictures have so many slots at most; the slots at which segments begin, oldest first.
    Led {
        gop: i64,
        first: VecDeque<i64>,
    },
}

/// All cuts of a rendition.
#[derive(Debug, Clone)]
pub struct Schedule {
    timing: Arc<Timing>,
    /// Oldest first, never empty.
    stretches: VecDeque<Stretch>,
}

impl Schedule {
    /// The grid from `start` on, whose segment there has the number `first_msn`.
    #[must_use]
    pub fn new(timing: Arc<Timing>, start: MediaTime, first_msn: u64) -> Self {
        let first = Stretch { start, first_msn, cuts: Cuts::Grid };
        Self { timing, stretches: VecDeque::from([first]) }
    }

    /// The times it is made of.
    #[must_use]
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// From the slot at `at` on a new segment and `law` hold, the same as before if `None`; gives the number of that
    /// segment back. A turn at the last one's instant takes its place, and one before it is taken for one at it.
    pub fn turn(&mut self, at: MediaTime, law: Option<Law>) -> u64 {
        let at = at.max(self.last().start);
        let cuts = match (law, &self.last().cuts) {
            (Some(Law::Grid), _) | (None, Cuts::Grid) => Cuts::Grid,
            (Some(Law::Led { gop }), _) => self.led(at, i64::from(gop)),
            (None, Cuts::Led { gop, .. }) => self.led(at, *gop),
        };
        if at - self.last().start <= TOLERANCE {
            let last = self.stretches.len() - 1;
            self.stretches[last].cuts = cuts;
            return self.last().first_msn;
        }
        let frame = self.timing.frame_rate.frame();
        let first_msn = self.place(at - MediaTime(frame.0 / 2)).msn + 1;
        if self.stretches.len() >= STRETCHES_MAX {
            self.stretches.pop_front();
        }
        self.stretches.push_back(Stretch { start: at, first_msn, cuts });
        first_msn
    }

    fn led(&self, at: MediaTime, gop: i64) -> Cuts {
        Cuts::Led { gop: gop.max(1), first: VecDeque::from([self.timing.slot_at(at)]) }
    }

    /// True if a segment begins at this slot where the source that leads has a keyframe in it.
    #[must_use]
    pub fn is_cut(&self, at: MediaTime) -> bool {
        let slot = self.timing.slot_at(at);
        let Cuts::Led { gop, first } = &self.last().cuts else { return false };
        let origin = first.back().copied().unwrap_or(slot);
        slot > origin && slot + *gop > origin + self.timing.led_slots(*gop)
    }

    /// The source that leads has a keyframe at this slot; true if a segment begins there.
    pub fn keyframe(&mut self, at: MediaTime) -> bool {
        if !self.is_cut(at) {
            return false;
        }
        let (slot, last) = (self.timing.slot_at(at), self.stretches.len() - 1);
        let stretch = &mut self.stretches[last];
        let Cuts::Led { first, .. } = &mut stretch.cuts else { return false };
        first.push_back(slot);
        if first.len() > LED_MAX {
            first.pop_front();
            stretch.first_msn += 1;
        }
        true
    }

    /// Where `time` lies. What lies before the oldest that is known belongs to that.
    #[must_use]
    pub fn place(&self, time: MediaTime) -> Place {
        let index = self.stretches.iter().rposition(|stretch| stretch.start <= time + TOLERANCE).unwrap_or(0);
        let stretch = &self.stretches[index];
        let msn = match &stretch.cuts {
            Cuts::Grid => stretch.msn_of(self.timing.segment_at(time) - self.timing.segment_at(stretch.start)),
            Cuts::Led { first, .. } => {
                let slot = self.timing.slot_at(time);
                let index = first.iter().rposition(|&cut| cut <= slot).unwrap_or(0);
                stretch.msn_of(i64::try_from(index).unwrap_or(i64::MAX))
            }
        };
        self.place_in(msn, time)
    }

    /// Where `time` lies in the segment of that number, though it may lie beyond its end.
    #[must_use]
    pub fn place_in(&self, msn: u64, time: MediaTime) -> Place {
        let slots = self.slots_of(msn);
        let last = self.timing.frame_rate.time_of(slots.end - 1);
        let at = self.timing.within(0, &slots, time.min(last));
        Place { msn, part: at.part, next: at.next, next_is_segment: at.next_is_segment }
    }

    /// The slots of the segment of that number, as far as its end is known; else the most that it may have.
    fn slots_of(&self, msn: u64) -> Range<i64> {
        let index = self.stretches.iter().rposition(|stretch| stretch.first_msn <= msn).unwrap_or(0);
        let stretch = &self.stretches[index];
        let begin = self.timing.slot_at(stretch.start);
        let slots = match &stretch.cuts {
            Cuts::Grid => {
                let first = self.timing.segment_at(stretch.start);
                self.timing.slots_of(first.saturating_add(stretch.index_of(msn)))
            }
            Cuts::Led { gop, first } => {
                let at = |index: i64| usize::try_from(index).ok().and_then(|index| first.get(index)).copied();
                let from = at(stretch.index_of(msn)).or(first.back().copied()).unwrap_or(begin);
                let longest = from + self.timing.led_slots(*gop);
                from..at(stretch.index_of(msn) + 1).unwrap_or(longest).min(longest)
            }
        };
        let next = self.stretches.get(index + 1).map_or(i64::MAX, |next| self.timing.slot_at(next.start));
        let from = self.counted_from(stretch, &slots, begin);
        from..slots.end.min(next).max(from + 1)
    }

    /// From where the parts of a segment are counted: its own first slot. Where an output begins in the midst of
    /// the grid's segment, on one of its parts, that is the grid's.
    fn counted_from(&self, stretch: &Stretch, slots: &Range<i64>, begin: i64) -> i64 {
        let is_on_a_part = (begin - slots.start) % self.timing.part_frames == 0;
        if matches!(stretch.cuts, Cuts::Grid) && is_on_a_part { slots.start } else { slots.start.max(begin) }
    }

    /// Forgets what lies before the segment of that number.
    pub fn forget_before(&mut self, msn: u64) {
        while self.stretches.get(1).is_some_and(|next| next.first_msn <= msn) {
            self.stretches.pop_front();
        }
        let stretch = &mut self.stretches[0];
        if let Cuts::Led { first, .. } = &mut stretch.cuts {
            while first.len() > 1 && stretch.first_msn < msn {
                first.pop_front();
                stretch.first_msn += 1;
            }
        }
    }

    fn last(&self) -> &Stretch {
        &self.stretches[self.stretches.len() - 1]
    }
}

impl Stretch {
    fn msn_of(&self, index: i64) -> u64 {
        self.first_msn.saturating_add(u64::try_from(index).unwrap_or(0))
    }

    fn index_of(&self, msn: u64) -> i64 {
        i64::try_from(msn.saturating_sub(self.first_msn)).unwrap_or(i64::MAX)
    }
}
