//! Which pictures a rendition encodes and which it leaves out, by what it was told to give up.
//!
//! Pure: knows slots, no picture and no clock. Whatever is told takes effect with an IDR, where a segment begins.

use super::keys::Beat;
use crate::wire::{Origin, Step};

/// What becomes of one slot in one rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turnout {
    /// It is encoded, and shown up to the slot `until`.
    Encode {
        /// The slot of the next picture that is encoded.
        until: i64,
    },
    /// It is left out.
    Omit,
    /// It is the first that has no encoder: the encoder ends.
    Rest,
}

/// What one rendition gives up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pacing {
    wanted: Step,
    step: Step,
    /// True once a slot came.
    begun: bool,
}

impl Pacing {
    /// From the next IDR on, so much is given up.
    pub(super) fn want(&mut self, step: Step) {
        self.wanted = step;
    }

    /// What is given up at the slot asked about last.
    pub(super) fn step(&self) -> Step {
        self.step
    }

    /// What becomes of the slot of `beat`; slots come in order. Parts of `part_frames` slots are counted from each key.
    pub(super) fn turn_out(&mut self, beat: Beat, part_frames: u32) -> Turnout {
        let before = self.step;
        let begins = !std::mem::replace(&mut self.begun, true);
        if begins || beat.is_key {
            self.step = if beat.may_turn || begins { self.wanted } else { self.within(before) };
        }
        let is_odd = |after_key: i64| after_key % i64::from(part_frames.max(1)) % 2 == 1;
        let slot = beat.slot;
        match self.step {
            Step::Whole | Step::Faster | Step::Fastest => Turnout::Encode { until: slot + 1 },
            Step::HalfRate if is_odd(beat.after_key) => Turnout::Omit,
            Step::HalfRate => Turnout::Encode { until: slot + 1 + i64::from(beat.next_after_key.is_some_and(is_odd)) },
            Step::LowerRung if before == Step::LowerRung => Turnout::Omit,
            Step::LowerRung => Turnout::Rest,
        }
    }

    /// What is given up where no rendition may begin or cease to have an encoder.
    fn within(&self, before: Step) -> Step {
        if before == Step::LowerRung { before } else { self.wanted.min(Step::HalfRate) }
    }

    /// It has an encoder again, whatever was told.
    pub(super) fn wake(&mut self) {
        self.step = self.step.min(Step::HalfRate);
    }
}

/// Where each rendition's units come from, by what each gives up, the largest first: the next lower one that has an
/// encoder stands in for one that has none. The last has its own, whatever it is told.
pub(super) fn origins(steps: &[(u8, Step)]) -> Vec<Origin> {
    let mut lower = None;
    let mut origins: Vec<Origin> = steps
        .iter()
        .rev()
        .map(|&(rendition, step)| match (step, lower) {
            (Step::LowerRung, Some(lower)) => Origin::Rendition(lower),
            _ => {
                lower = Some(rendition);
                Origin::Own
            }
        })
        .collect();
    origins.reverse();
    origins
}

#[cfg(test)]
mod tests {
    use schema::MediaTime;
    use schema::ladder::FrameRate;

    use super::super::keys::Keys;
    use super::*;
    use crate::grid::Grid;

    fn grid(rate: FrameRate) -> Grid {
        Grid::new(rate, MediaTime::from_millis(2_000), MediaTime::ZERO)
    }

    /// Slot and length of all pictures that are encoded among the first `slots`.
    fn encoded(pacing: &mut Pacing, grid: &Grid, part_frames: u32, slots: std::ops::Range<i64>) -> Vec<(i64, i64)> {
        let mut keys = Keys::default();
        let turnout = |slot| match pacing.turn_out(keys.beat(slot, grid), part_frames) {
            Turnout::Encode { until } => Some((slot, until - slot)),
            Turnout::Omit | Turnout::Rest => None,
        };
        slots.filter_map(turnout).collect()
    }

    #[test]
    fn what_is_told_begins_with_the_next_key_and_a_beginning_is_one() {
        let grid = grid(FrameRate::THIRTY);
        let mut pacing = Pacing::default();
        assert_eq!(encoded(&mut pacing, &grid, 10, 0..30).len(), 30);
        pacing.want(Step::LowerRung);
        assert_eq!(encoded(&mut pacing, &grid, 10, 30..60).len(), 30);
        assert_eq!(pacing.turn_out(Keys::default().beat(60, &grid), 10), Turnout::Rest);
        assert!(encoded(&mut pacing, &grid, 10, 61..120).is_empty());
        pacing.want(Step::Whole);
        assert_eq!(encoded(&mut pacing, &grid, 10, 120..180).len(), 60);
        let mut late = Pacing::default();
        late.want(Step::HalfRate);
        assert_eq!(encoded(&mut late, &grid, 10, 30..60).len(), 15);
    }

    #[test]
    fn while_a_source_leads_no_encoder_ends_or_begins_and_half_the_pictures_are_still_left_out() {
        let grid = grid(FrameRate::THIRTY);
        let (mut pacing, mut resting, mut keys) = (Pacing::default(), Pacing::default(), Keys::default());
        resting.want(Step::LowerRung);
        assert_eq!(resting.turn_out(keys.beat(0, &grid), 10), Turnout::Rest);
        pacing.turn_out(keys.beat(0, &grid), 10);
        keys.lead();
        keys.keyframe(33);
        pacing.want(Step::LowerRung);
        resting.want(Step::Whole);
        let beat = keys.beat(33, &grid);
        assert_eq!(
            (pacing.turn_out(beat, 10), resting.turn_out(beat, 10)),
            (Turnout::Encode { until: 34 }, Turnout::Omit)
        );
        assert_eq!(pacing.step(), Step::HalfRate);
        assert_eq!(pacing.turn_out(keys.beat(34, &grid), 10), Turnout::Omit);
        resting.wake();
        keys.follow_grid(40);
        let beat = keys.beat(40, &grid);
        assert_eq!(pacing.turn_out(beat, 10), Turnout::Encode { until: 42 });
        assert_eq!(resting.turn_out(beat, 10), Turnout::Encode { until: 41 });
        assert_eq!(pacing.turn_out(keys.beat(60, &grid), 10), Turnout::Rest, "as soon as the grid's next key comes");
    }

    #[test]
    fn the_next_lower_rendition_with_an_encoder_stands_in() {
        let of = |steps: &[Step]| origins(&(0..).zip(steps.iter().copied()).collect::<Vec<_>>());
        let (own, from) = (Origin::Own, Origin::Rendition);
        assert_eq!(of(&[Step::Whole, Step::HalfRate, Step::Fastest]), [own, own, own]);
        assert_eq!(of(&[Step::LowerRung, Step::HalfRate, Step::Whole]), [from(1), own, own]);
        assert_eq!(of(&[Step::LowerRung, Step::LowerRung, Step::Whole]), [from(2), from(2), own]);
        assert_eq!(of(&[Step::LowerRung, Step::Whole, Step::LowerRung]), [from(1), own, own]);
    }

    #[test]
    fn at_half_the_rate_every_part_begins_with_a_picture_and_nothing_is_missing() {
        for (rate, part_frames) in [
            (FrameRate::THIRTY, 10),
            (FrameRate::new(30_000, 1001), 10),
            (FrameRate::new(25, 1), 5),
            (FrameRate::new(24, 1), 8),
            (FrameRate::new(50, 1), 17),
            (FrameRate::new(60, 1), 20),
            (FrameRate::new(5, 1), 1),
        ] {
            let grid = grid(rate);
            let mut pacing = Pacing::default();
            pacing.want(Step::HalfRate);
            let pictures = encoded(&mut pacing, &grid, part_frames, 0..1_000);
            assert!(pictures.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0), "{rate:?}");
            let shown: Vec<i64> = pictures.iter().map(|(slot, _)| *slot).collect();
            let mut key = 0;
            for slot in 0..1_000 {
                key = if grid.is_key(slot) { slot } else { key };
                let begins_part = (slot - key) % i64::from(part_frames) == 0;
                assert!(!begins_part || shown.contains(&slot), "{rate:?}: {slot}");
            }
            let most = if part_frames == 1 { 1_000 } else { 605 };
            assert!(shown.len() <= most, "{rate:?}: {}", shown.len());
        }
    }
}
