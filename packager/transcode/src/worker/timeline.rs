//! The gapless audio timeline: where a decoded block goes, how much silence before it, how much of it.
//!
//! Counts samples at 48 kHz. Knows no samples, only their numbers.

/// What becomes of a block of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    /// So many samples of silence come first.
    pub(super) silence: u64,
    /// So many samples are taken off its front; all of it if that many or more.
    pub(super) trim: u64,
    /// What remains is stretched or squeezed to so many samples.
    pub(super) length: u64,
}

/// The block is further ahead than [`Timeline::GAP_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooFar;

#[derive(Debug)]
pub(super) struct Timeline {
    /// The number of the next sample to be put out.
    next: i64,
}

impl Timeline {
    /// The longest hole that is filled with silence, in samples: one minute.
    pub(super) const GAP_MAX: u64 = 60 * 48_000;
    /// Differences up to this are the publisher's clock against ours and are stretched away: 5 ms.
    const DRIFT_MAX: i64 = 240;
    /// A block is stretched or squeezed by one part in so many at most, which nobody hears.
    const STRETCH: i64 = 200;

    /// A timeline whose first sample has the number `start`.
    pub(super) fn new(start: i64) -> Self {
        Self { next: start }
    }

    /// The number of the next sample to be put out.
    #[cfg(test)]
    fn next(&self) -> i64 {
        self.next
    }

    /// How many samples of silence it takes to reach the sample number `at`; they are put out by this call.
    pub(super) fn fill_up_to(&mut self, at: i64) -> u64 {
        let missing = u64::try_from(at.saturating_sub(self.next)).unwrap_or(0);
        if missing > Self::GAP_MAX {
            return 0;
        }
        self.next = self.next.max(at);
        missing
    }

    /// Where `length` samples that say they begin at `at` go.
    pub(super) fn place(&mut self, at: i64, length: u64) -> Result<Placement, TooFar> {
        let off = at.saturating_sub(self.next);
        let placement = if off.unsigned_abs() <= Self::DRIFT_MAX.unsigned_abs() {
            Placement { silence: 0, trim: 0, length: stretched(length, off) }
        } else if off > 0 {
            Placement { silence: off.unsigned_abs(), trim: 0, length }
        } else {
            Placement { silence: 0, trim: off.unsigned_abs(), length: length.saturating_sub(off.unsigned_abs()) }
        };
        if placement.silence > Self::GAP_MAX {
            return Err(TooFar);
        }
        let samples = placement.silence.saturating_add(placement.length);
        self.next = self.next.saturating_add(i64::try_from(samples).unwrap_or(i64::MAX));
        Ok(placement)
    }
}

/// `length` with as much of the difference `off` worked in as nobody hears.
fn stretched(length: u64, off: i64) -> u64 {
    let whole = i64::try_from(length).unwrap_or(i64::MAX);
    let most = whole / Timeline::STRETCH;
    u64::try_from(whole.saturating_add(off.clamp(-most, most))).unwrap_or(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(silence: u64, trim: u64, length: u64) -> Result<Placement, TooFar> {
        Ok(Placement { silence, trim, length })
    }

    #[test]
    fn blocks_that_follow_each_other_pass_untouched() {
        let mut timeline = Timeline::new(0);
        for index in 0..10 {
            assert_eq!(timeline.place(index * 960, 960), block(0, 0, 960));
        }
        assert_eq!(timeline.next(), 9600);
    }

    #[test]
    fn a_gap_is_filled_with_silence_and_an_overlap_trimmed() {
        let mut timeline = Timeline::new(0);
        assert_eq!(timeline.place(960, 960), block(960, 0, 960));
        assert_eq!(timeline.place(1440, 960), block(0, 480, 480));
        assert_eq!(timeline.place(0, 960), block(0, 2400, 0));
        assert_eq!(timeline.next(), 2400);
    }

    #[test]
    fn silence_is_put_out_once_and_what_comes_late_for_it_is_trimmed() {
        let mut timeline = Timeline::new(0);
        assert_eq!(timeline.fill_up_to(4_800), 4_800);
        assert_eq!(timeline.fill_up_to(4_800), 0);
        assert_eq!(timeline.fill_up_to(100), 0);
        assert_eq!(timeline.place(4_000, 960), block(0, 800, 160));
        assert_eq!(timeline.fill_up_to(i64::MAX), 0, "no clock goes on for more than a minute at once");
        assert_eq!(timeline.next(), 4_960);
    }

    #[test]
    fn what_lies_before_the_start_is_trimmed() {
        let mut timeline = Timeline::new(48_000);
        assert_eq!(timeline.place(47_520, 960), block(0, 480, 480));
    }

    #[test]
    fn a_jump_of_more_than_a_minute_is_no_gap_to_fill() {
        let mut timeline = Timeline::new(0);
        assert_eq!(timeline.place(61 * 48_000, 960), Err(TooFar));
        assert_eq!(timeline.place(i64::MAX, 960), Err(TooFar));
        assert_eq!(timeline.place(0, 960), block(0, 0, 960));
        assert!(timeline.place(i64::MIN, 960).is_ok());
    }

    proptest! {
        #[test]
        fn a_drifting_clock_is_followed_without_silence_or_cuts(ppm in -1000_i64..1000) {
            let mut timeline = Timeline::new(0);
            for index in 0..5000_i64 {
                let at = index * 960 * (1_000_000 + ppm) / 1_000_000;
                let placement = timeline.place(at, 960).unwrap();
                prop_assert_eq!((placement.silence, placement.trim), (0, 0));
                prop_assert!((timeline.next() - at - 960).abs() <= 8);
            }
        }
    }
}
