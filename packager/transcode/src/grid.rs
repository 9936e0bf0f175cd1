//! The constant output frame rate: which picture stands in which slot, and which slots are IDRs.
//!
//! Slot `k` lies at `k` frames from media time zero. A picture belongs to the slot within half a
//! frame of its time; the first one of a slot is shown, at once; a slot without one repeats the
//! picture before it. Pure arithmetic on media time: knows no picture and no clock.

use std::ops::Range;

use schema::MediaTime;
use schema::ladder::FrameRate;

/// What becomes of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// It is the first of all: every one of these slots shows it, those before its own too, so that
    /// pictures and sound begin at the same instant.
    Begin {
        /// The slots, its own the last.
        slots: Range<i64>,
    },
    /// The slots `repeat` show the picture before, then `slot` shows this one.
    Show {
        /// The empty ones before it.
        repeat: Range<i64>,
        /// Its own.
        slot: i64,
    },
    /// It comes before the first slot: nothing is put out, but it is what an empty first slot repeats.
    Hold,
    /// Its slot is taken; it is left out.
    Skip,
    /// It is more than [`Grid::GAP_MAX`] ahead.
    TooFar,
}

/// The slots of an output, and which of them are taken.
#[derive(Debug)]
pub struct Grid {
    rate: FrameRate,
    keyframe_interval: MediaTime,
    /// The first slot of all.
    first: i64,
    /// The first slot that is still empty.
    next: i64,
    /// Whether a picture is there to be repeated.
    held: bool,
    /// The time of the last picture that got a slot.
    placed: Option<MediaTime>,
}

impl Grid {
    /// The longest hole that is filled with repeated pictures. Longer ones are no hole but a broken clock.
    pub const GAP_MAX: MediaTime = MediaTime(60 * MediaTime::PER_SECOND);

    /// The most that a first picture is shown before its time. A later one leaves the beginning empty.
    const LEAD_MAX: MediaTime = MediaTime::SECOND;

    /// A grid whose first slot is the first at or after `start`.
    #[must_use]
    pub fn new(rate: FrameRate, keyframe_interval: MediaTime, start: MediaTime) -> Self {
        let mut grid = Self { rate, keyframe_interval, first: 0, next: 0, held: false, placed: None };
        grid.first = grid.slots_before(start);
        grid.next = grid.first;
        grid
    }

    /// What was shown before is held, and the first empty slot is the first at or after `start`: pictures before it are
    /// not shown any more.
    pub fn begin_at(&mut self, start: MediaTime) {
        self.first = self.slots_before(start).max(self.next);
        self.next = self.first;
        self.held = true;
    }

    /// The first slot that is still empty.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Where a picture of time `pts` goes.
    pub fn place(&mut self, pts: MediaTime) -> Placement {
        let slot = self.slot_of(pts);
        if slot < self.first {
            self.held = true;
            return Placement::Hold;
        }
        let slot = if slot < self.next && self.is_due(pts) { self.next } else { slot };
        if slot < self.next {
            return Placement::Skip;
        }
        self.placed = Some(pts);
        if self.held && self.time_of(slot) - self.time_of(self.next) > Self::GAP_MAX {
            return Placement::TooFar;
        }
        let from = self.next;
        self.next = slot + 1;
        if std::mem::replace(&mut self.held, true) {
            return Placement::Show { repeat: from..slot, slot };
        }
        let late = self.time_of(slot) - self.time_of(from) > Self::LEAD_MAX;
        Placement::Begin { slots: if late { slot } else { from }..slot + 1 }
    }

    /// Whether a picture whose slot is taken gets the next one: nearly a frame after the one before, and nearly
    /// there. Pictures midway between slots would else be left out and repeated by turns, as their times tremble.
    fn is_due(&self, pts: MediaTime) -> bool {
        let due = |time: MediaTime| (pts - time).0 >= self.rate.frame().0 / 4 * 3;
        self.placed.is_some_and(due) && (self.time_of(self.next) - pts).0 <= self.rate.frame().0 / 4 * 3
    }

    /// The slots up to and including `time` that are still empty; they are taken by this call, for a
    /// picture that is there already.
    pub fn fill_up_to(&mut self, time: MediaTime) -> Range<i64> {
        let from = self.next;
        if time - self.time_of(from) > Self::GAP_MAX {
            return from..from;
        }
        self.next = from.max(self.slots_before(time + MediaTime(1)));
        self.held |= self.next > from;
        from..self.next
    }

    /// Whether `slot` is the first at or after a multiple of the keyframe interval.
    #[must_use]
    pub fn is_key(&self, slot: i64) -> bool {
        let interval = self.keyframe_interval.0.max(1);
        let time = self.time_of(slot).0;
        self.time_of(slot - 1).0 < time - time.rem_euclid(interval)
    }

    /// The newest slot up to and including `slot` that is a key.
    #[must_use]
    pub fn key_before(&self, slot: i64) -> i64 {
        let interval = self.keyframe_interval.0.max(1);
        let time = self.time_of(slot).0;
        let first = self.slots_before(MediaTime(time - time.rem_euclid(interval)));
        if first <= slot { first } else { self.slots_before(MediaTime(time - time.rem_euclid(interval) - interval)) }
    }

    /// When `slot` is shown.
    #[must_use]
    pub fn time_of(&self, slot: i64) -> MediaTime {
        self.rate.time_of(slot)
    }

    /// The slot within half a frame of `pts`; of two equally near ones the earlier.
    #[must_use]
    pub fn slot_of(&self, pts: MediaTime) -> i64 {
        let frame = i128::from(MediaTime::PER_SECOND) * i128::from(self.rate.denominator.max(1));
        let twice = 2 * i128::from(pts.0) * i128::from(self.rate.numerator.max(1));
        clamped(ceiling(twice - frame, 2 * frame))
    }

    /// The number of the first slot at or after `time`.
    fn slots_before(&self, time: MediaTime) -> i64 {
        let frame = i128::from(MediaTime::PER_SECOND) * i128::from(self.rate.denominator.max(1));
        let scaled = i128::from(time.0) * i128::from(self.rate.numerator.max(1));
        clamped(ceiling(scaled, frame))
    }
}

fn ceiling(dividend: i128, divisor: i128) -> i128 {
    -(-dividend).div_euclid(divisor)
}

/// Far enough inside `i64` that slots can be counted on from it.
fn clamped(slot: i128) -> i64 {
    let limit = i128::from(i64::MAX / 4);
    i64::try_from(slot.clamp(-limit, limit)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grid(rate: FrameRate) -> Grid {
        Grid::new(rate, MediaTime::SECOND, MediaTime::ZERO)
    }

    fn begin(slots: Range<i64>) -> Placement {
        Placement::Begin { slots }
    }

    fn show(repeat: Range<i64>, slot: i64) -> Placement {
        Placement::Show { repeat, slot }
    }

    fn ms(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    #[test]
    fn each_picture_goes_to_its_nearest_slot_at_once() {
        let mut grid = grid(FrameRate::THIRTY);
        assert_eq!(grid.place(ms(5)), begin(0..1));
        for (at, slot) in [(30, 1), (70, 2), (96, 3)] {
            assert_eq!(grid.place(ms(at)), show(slot..slot, slot), "{at} ms");
        }
    }

    #[test]
    fn a_missing_picture_repeats_the_one_before_and_a_second_in_a_slot_is_skipped() {
        let mut grid = grid(FrameRate::THIRTY);
        assert_eq!(grid.place(ms(0)), begin(0..1));
        assert_eq!(grid.place(ms(100)), show(1..3, 3));
        assert_eq!(grid.place(ms(105)), Placement::Skip);
        assert_eq!(grid.place(ms(33)), Placement::Skip);
    }

    #[test]
    fn nothing_comes_out_before_the_start_but_an_early_picture_can_be_repeated() {
        let mut grid = Grid::new(FrameRate::THIRTY, MediaTime::SECOND, ms(1000));
        assert_eq!(grid.place(ms(900)), Placement::Hold);
        assert_eq!(grid.place(ms(933)), Placement::Hold);
        assert_eq!(grid.place(ms(1067)), show(30..32, 32));
    }

    #[test]
    fn a_first_picture_that_comes_late_is_shown_from_the_start_on_for_at_most_a_second() {
        let grid = || Grid::new(FrameRate::THIRTY, MediaTime::SECOND, ms(1000));
        assert_eq!(grid().place(ms(1067)), begin(30..33));
        assert_eq!(grid().place(ms(2000)), begin(30..61));
        assert_eq!(grid().place(ms(2034)), begin(61..62));
    }

    #[test]
    fn a_jump_of_more_than_a_minute_is_no_gap_to_fill() {
        let mut grid = grid(FrameRate::THIRTY);
        grid.place(ms(0));
        assert_eq!(grid.place(ms(61_000)), Placement::TooFar);
        assert!(grid.fill_up_to(MediaTime(i64::MAX)).is_empty());
        assert!(grid.fill_up_to(MediaTime(i64::MIN)).is_empty());
        assert_eq!(grid.place(MediaTime(i64::MAX)), Placement::TooFar);
        assert_eq!(grid.place(MediaTime(i64::MIN)), Placement::Hold);
    }

    #[test]
    fn slots_are_filled_as_time_goes_on_before_the_first_picture_and_after() {
        let mut slate = grid(FrameRate::THIRTY);
        assert_eq!(slate.fill_up_to(ms(100)), 0..4);
        assert_eq!(slate.place(ms(200)), show(4..6, 6));
        let mut grid = grid(FrameRate::THIRTY);
        grid.place(ms(0));
        assert_eq!(grid.fill_up_to(ms(100)), 1..4);
        assert!(grid.fill_up_to(ms(100)).is_empty());
        assert_eq!(grid.place(ms(133)), show(4..4, 4));
    }

    #[test]
    fn pictures_midway_between_slots_that_tremble_all_get_one() {
        for phase in [0, 8, 16, 17, 25] {
            let mut grid = grid(FrameRate::THIRTY);
            let (mut shown, mut noise) = (0, 1_u64);
            for index in 0..1_000 {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let tremble = i64::try_from(noise >> 33).unwrap() % 7_000 - 3_500;
                let time = MediaTime::from_ticks(index, 30) + ms(phase) + MediaTime::from_micros(tremble);
                shown += usize::from(!matches!(grid.place(time), Placement::Skip));
            }
            assert!(shown >= 999, "{shown} at {phase} ms");
        }
    }

    #[test]
    fn of_twice_the_pictures_every_other_one_is_shown_at_its_time() {
        let mut grid = grid(FrameRate::THIRTY);
        for index in 0..100 {
            let placement = grid.place(MediaTime::from_ticks(index, 60));
            assert_eq!(matches!(placement, Placement::Skip), index % 2 == 1, "{index}: {placement:?}");
        }
    }

    #[test]
    fn keys_are_the_first_slots_at_or_after_the_multiples() {
        let ntsc = grid(FrameRate::new(30_000, 1001));
        let keys: Vec<i64> = (-31..100).filter(|slot| ntsc.is_key(*slot)).collect();
        assert_eq!(keys, [-29, 0, 30, 60, 90]);
        let exact = grid(FrameRate::THIRTY);
        let keys: Vec<i64> = (-31..100).filter(|slot| exact.is_key(*slot)).collect();
        assert_eq!(keys, [-30, 0, 30, 60, 90]);
    }

    proptest! {
        #[test]
        fn slots_come_out_once_and_in_order_whatever_comes_in(times in proptest::collection::vec(-500_i64..4000, 1..200), rate in prop_oneof![Just(FrameRate::THIRTY), Just(FrameRate::new(30_000, 1001)), Just(FrameRate::new(60, 1))]) {
            let mut grid = grid(rate);
            let mut slots = Vec::new();
            for time in times {
                match grid.place(ms(time)) {
                    Placement::Begin { slots: first } => slots.extend(first),
                    Placement::Show { repeat, slot } => slots.extend(repeat.chain([slot])),
                    Placement::Hold | Placement::Skip | Placement::TooFar => {}
                }
            }
            prop_assert!(slots.windows(2).all(|pair| pair[1] == pair[0] + 1));
        }
    }
}
