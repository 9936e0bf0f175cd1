//! The newest media of a publisher, from a keyframe on: what a new decoder needs to go on at once.

use std::collections::VecDeque;

use schema::{AccessUnit, MediaTime, TrackKind};

/// More bytes than this are not kept: some ten seconds at the highest bit rates.
const BYTES_MAX: usize = 16 << 20;
/// More units than this are not kept.
const UNITS_MAX: usize = 4_096;
/// How much sound is kept where there are no pictures.
const SOUND_KEPT: MediaTime = MediaTime(5 * MediaTime::PER_SECOND);

/// What came since the keyframe before the last: a decoder may be that far behind.
#[derive(Debug, Default)]
pub(super) struct Recent {
    units: VecDeque<AccessUnit>,
    bytes: usize,
    /// How many keyframes are among them.
    keyframes: usize,
}

impl Recent {
    pub(super) fn push(&mut self, unit: &AccessUnit) {
        let is_keyframe = is_keyframe(unit);
        if self.keyframes == 0 && !is_keyframe && unit.codec.kind() == TrackKind::Video {
            return; // nobody could decode it
        }
        while is_keyframe && self.keyframes >= 2 {
            self.pop();
            self.pop_to_keyframe();
        }
        self.bytes += unit.data.len();
        self.keyframes += usize::from(is_keyframe);
        self.units.push_back(unit.clone());
        let is_old = |first: &AccessUnit| first.pts + SOUND_KEPT < unit.pts;
        while self.keyframes == 0 && self.units.front().is_some_and(is_old) {
            self.pop();
        }
        while self.bytes > BYTES_MAX || self.units.len() > UNITS_MAX {
            self.pop();
            self.pop_to_keyframe();
        }
    }

    /// Drops units up to the next keyframe, all of them if there is none.
    fn pop_to_keyframe(&mut self) {
        while self.units.front().is_some_and(|unit| !is_keyframe(unit)) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(unit) = self.units.pop_front() {
            self.bytes -= unit.data.len();
            self.keyframes -= usize::from(is_keyframe(&unit));
        }
    }

    /// All of it.
    pub(super) fn all(&self) -> Vec<AccessUnit> {
        self.units.iter().cloned().collect()
    }

    /// The pictures from the last keyframe on.
    pub(super) fn pictures(&self) -> Vec<AccessUnit> {
        let from = self.units.iter().rposition(is_keyframe).unwrap_or(self.units.len());
        let pictures = self.units.iter().skip(from).filter(|unit| unit.codec.kind() == TrackKind::Video);
        pictures.cloned().collect()
    }
}

fn is_keyframe(unit: &AccessUnit) -> bool {
    unit.codec.kind() == TrackKind::Video && unit.random_access
}

#[cfg(test)]
mod tests {
    use schema::Codec;

    use super::*;

    fn unit(codec: Codec, millis: i64, key: bool, bytes: usize) -> AccessUnit {
        let pts = MediaTime::from_millis(millis);
        AccessUnit { codec, pts, dts: pts, duration: None, random_access: key, data: vec![0; bytes].into() }
    }

    fn times(units: &[AccessUnit]) -> Vec<i64> {
        units.iter().map(|unit| unit.pts.to_millis()).collect()
    }

    #[test]
    fn two_groups_of_pictures_are_kept_with_their_sound() {
        let mut recent = Recent::default();
        for millis in (0..500).step_by(50) {
            recent.push(&unit(Codec::H264, millis, millis % 200 == 0, 10));
            recent.push(&unit(Codec::Opus, millis + 1, true, 10));
        }
        let all = times(&recent.all());
        assert_eq!((all.first(), all.last(), all.len()), (Some(&200), Some(&451), 12));
        assert_eq!(times(&recent.pictures()), [400, 450]);
    }

    #[test]
    fn it_has_a_limit_and_never_begins_within_a_group() {
        let mut recent = Recent::default();
        for index in 0..40 {
            recent.push(&unit(Codec::H264, index, index == 0 || index == 10, 1 << 20));
        }
        assert!(recent.all().is_empty(), "the groups are too long");
        recent.push(&unit(Codec::H264, 50, true, 1));
        recent.push(&unit(Codec::Opus, 51, true, 1));
        assert_eq!(times(&recent.all()), [50, 51]);
    }

    #[test]
    fn of_sound_alone_some_seconds_are_kept() {
        let mut recent = Recent::default();
        for index in 0..600 {
            recent.push(&unit(Codec::Opus, index * 20, true, 100));
        }
        assert_eq!(recent.all().len(), 251);
        assert!(recent.pictures().is_empty());
    }
}
