//! Which slots are IDRs: those of the grid, or, while the source leads, those of its keyframes.
//!
//! Pure: knows slots, no picture and no clock. Slots are asked about in order.

use std::collections::VecDeque;

use crate::grid::Grid;

/// So many of the newest slots are remembered that must be IDRs; the pictures of all others were handed on long ago.
const REMEMBERED_MAX: usize = 8;

/// How a slot stands to the IDRs around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) slot: i64,
    /// Its picture is an IDR.
    pub(super) is_key: bool,
    /// How many slots after the last IDR it is.
    pub(super) after_key: i64,
    /// The same of the next slot; `None` while a source leads, which nobody can foresee.
    pub(super) next_after_key: Option<i64>,
    /// A rendition may begin or cease to have an encoder here: no source leads, nor has one just ceased to.
    pub(super) may_turn: bool,
}

/// The IDRs of all renditions that are encoded.
#[derive(Debug, Default)]
pub(super) struct Keys {
    is_led: bool,
    /// The newest slots that must be IDRs whatever the grid says.
    forced: VecDeque<i64>,
    /// The newest IDR.
    last: Option<i64>,
}

impl Keys {
    /// From here on the keyframes of the source are where IDRs lie.
    pub(super) fn lead(&mut self) {
        self.is_led = true;
        self.forced.clear();
    }

    /// From `slot`, which is an IDR itself, on the grid tells where IDRs lie.
    pub(super) fn follow_grid(&mut self, slot: i64) {
        self.is_led = false;
        self.forced = VecDeque::from([slot]);
    }

    /// The source has a keyframe in this slot.
    pub(super) fn keyframe(&mut self, slot: i64) {
        if self.is_led {
            self.forced.push_back(slot);
            if self.forced.len() > REMEMBERED_MAX {
                self.forced.pop_front();
            }
        }
    }

    /// How `slot` stands to them.
    pub(super) fn beat(&mut self, slot: i64, grid: &Grid) -> Beat {
        let is_key = self.is_key(slot, grid);
        if is_key {
            self.last = Some(slot);
        }
        let of_grid = grid.key_before(slot);
        let from = match self.last {
            Some(last) if self.is_led => last,
            last => of_grid.max(last.unwrap_or(of_grid)),
        };
        let next_after_key = if self.is_key(slot + 1, grid) { 0 } else { slot + 1 - from };
        Beat {
            slot,
            is_key,
            after_key: slot - from,
            next_after_key: (!self.is_led).then_some(next_after_key),
            may_turn: !self.is_led && !self.forced.contains(&slot),
        }
    }

    fn is_key(&self, slot: i64, grid: &Grid) -> bool {
        self.forced.contains(&slot) || (!self.is_led && grid.is_key(slot))
    }
}

#[cfg(test)]
mod tests {
    use schema::MediaTime;
    use schema::ladder::FrameRate;

    use super::*;

    fn grid() -> Grid {
        Grid::new(FrameRate::THIRTY, MediaTime::SECOND, MediaTime::ZERO)
    }

    fn found(keys: &mut Keys, slots: std::ops::Range<i64>) -> Vec<i64> {
        slots.filter(|&slot| keys.beat(slot, &grid()).is_key).collect()
    }

    #[test]
    fn the_grid_tells_until_a_source_leads_and_again_from_where_it_ceases() {
        let mut keys = Keys::default();
        keys.keyframe(7);
        assert_eq!(found(&mut keys, 0..61), [0, 30, 60]);
        keys.lead();
        keys.keyframe(64);
        keys.keyframe(100);
        assert_eq!(found(&mut keys, 61..120), [64, 100]);
        keys.follow_grid(125);
        assert_eq!(found(&mut keys, 120..200), [120, 125, 150, 180]);
    }

    #[test]
    fn slots_are_counted_from_the_last_key_of_either_kind() {
        let mut keys = Keys::default();
        assert_eq!(
            keys.beat(29, &grid()),
            Beat { slot: 29, is_key: false, after_key: 29, next_after_key: Some(0), may_turn: true }
        );
        keys.lead();
        keys.keyframe(37);
        assert!(keys.beat(37, &grid()).is_key);
        assert_eq!(
            keys.beat(61, &grid()),
            Beat { slot: 61, is_key: false, after_key: 24, next_after_key: None, may_turn: false }
        );
        keys.follow_grid(67);
        assert_eq!(
            keys.beat(67, &grid()),
            Beat { slot: 67, is_key: true, after_key: 0, next_after_key: Some(1), may_turn: false }
        );
        assert_eq!(
            keys.beat(89, &grid()),
            Beat { slot: 89, is_key: false, after_key: 22, next_after_key: Some(0), may_turn: true }
        );
    }
}
