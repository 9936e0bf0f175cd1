//! The source's frame rate, guessed from its first pictures.

use schema::MediaTime;
use schema::ladder::FrameRate;

/// The rates that a source is snapped to.
pub const USUAL: [FrameRate; 9] = [
    FrameRate::new(24_000, 1_001),
    FrameRate::new(24, 1),
    FrameRate::new(25, 1),
    FrameRate::new(30_000, 1_001),
    FrameRate::new(30, 1),
    FrameRate::new(48, 1),
    FrameRate::new(50, 1),
    FrameRate::new(60_000, 1_001),
    FrameRate::new(60, 1),
];

/// Pictures to look at before a rate is taken.
pub const PICTURES: usize = 30;
/// So many even intervals are enough without waiting for [`PICTURES`].
const STEADY_INTERVALS: usize = 10;
/// So many uneven ones are, where their unevenness cannot change what they are taken for.
const CLEAR_INTERVALS: usize = 14;
/// An interval is even if it lies this close to the middle one.
const STEADY: MediaTime = MediaTime(MediaTime::PER_SECOND / 1000);
/// How far from a usual rate a source may be, in thousandths.
const REACH_PER_MILLE: i64 = 20;

/// The usual rate nearest to these picture intervals, else 30: a source below 23 frames a second
/// may just be starting slowly, and one that jitters widely says nothing.
///
/// Intervals of dropped pictures are left out. The fractional rates differ from the whole ones by
/// a thousandth only, so they need intervals without jitter.
#[must_use]
pub fn snap(intervals: &[MediaTime]) -> FrameRate {
    let usable = usable(intervals);
    mean(&usable).map_or(FrameRate::THIRTY, |mean| nearest(mean, is_steady(intervals)))
}

/// Those between two pictures of which none was dropped.
fn usable(intervals: &[MediaTime]) -> Vec<i64> {
    let middle = middle(intervals).unwrap_or_default();
    let is_usable = |&interval: &i64| interval > 0 && interval * 4 < middle.0 * 7;
    intervals.iter().map(|interval| interval.0).filter(is_usable).collect()
}

fn mean(intervals: &[i64]) -> Option<i64> {
    let count = i64::try_from(intervals.len()).ok().filter(|&count| count > 0)?;
    Some(intervals.iter().sum::<i64>() / count)
}

/// What an interval is taken for.
fn nearest(mean: i64, exact: bool) -> FrameRate {
    USUAL
        .into_iter()
        .filter(|rate| exact || rate.denominator == 1)
        .min_by_key(|rate| (rate.frame().0 - mean).abs())
        .filter(|rate| (rate.frame().0 - mean).abs() * 1000 <= rate.frame().0 * REACH_PER_MILLE)
        .unwrap_or(FrameRate::THIRTY)
}

/// True if these intervals leave no doubt, so that nobody needs to wait for more of them.
#[must_use]
pub fn is_plain(intervals: &[MediaTime]) -> bool {
    intervals.len() >= STEADY_INTERVALS && is_steady(intervals) || is_clear(intervals)
}

/// True if the jitter is too small to make these intervals those of another rate.
///
/// A picture that came early or late by at most `off` can have moved the mean of `n` intervals by `2 * off / n`.
fn is_clear(intervals: &[MediaTime]) -> bool {
    let usable = usable(intervals);
    let (Some(mean), Ok(count)) = (mean(&usable), i64::try_from(usable.len())) else {
        return false;
    };
    if usable.len() < CLEAR_INTERVALS || usable.len() != intervals.len() {
        return false;
    }
    let off = usable.iter().scan(0, |late, interval| {
        *late += interval - mean;
        Some(late.abs())
    });
    let moved = 2 * off.max().unwrap_or(0) / count;
    let rate = nearest(mean, false);
    nearest(mean - moved, false) == rate && nearest(mean + moved, false) == rate
}

fn is_steady(intervals: &[MediaTime]) -> bool {
    middle(intervals).is_some_and(|middle| intervals.iter().all(|&interval| (interval - middle).abs() <= STEADY))
}

fn middle(intervals: &[MediaTime]) -> Option<MediaTime> {
    let mut sorted = intervals.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Intervals of `rate` on a 90 kHz clock.
    fn intervals(rate: FrameRate, count: i64) -> Vec<MediaTime> {
        let tick = |index| MediaTime::from_ticks(rate.time_of(index).to_ticks(90_000), 90_000);
        (0..count).map(|index| tick(index + 1) - tick(index)).collect()
    }

    #[test]
    fn every_usual_rate_is_found_from_its_first_pictures() {
        for rate in USUAL {
            assert_eq!(snap(&intervals(rate, 29)), rate);
            assert!(is_plain(&intervals(rate, 10)));
        }
    }

    #[test]
    fn jitter_and_dropped_pictures_do_not_hide_the_rate() {
        let mut jittered = intervals(FrameRate::THIRTY, 29);
        for (index, interval) in jittered.iter_mut().enumerate() {
            *interval += MediaTime::from_millis(if index % 2 == 0 { 6 } else { -6 });
        }
        jittered[7] = MediaTime::from_millis(100);
        assert_eq!(snap(&jittered), FrameRate::THIRTY);
        assert!(!is_plain(&jittered), "a picture was dropped");
    }

    /// Those of `rate`, each picture up to `millis` early or late by turns.
    fn uneven(rate: FrameRate, millis: i64, count: usize) -> Vec<MediaTime> {
        let late = |index: usize| MediaTime::from_millis(if index % 4 < 2 { millis } else { -millis });
        intervals(rate, 40)[..count]
            .iter()
            .enumerate()
            .map(|(index, &even)| even + late(index + 1) - late(index))
            .collect()
    }

    #[test]
    fn a_rate_is_clear_once_jitter_cannot_make_it_another() {
        let sixty = FrameRate::new(60, 1);
        for (rate, millis, enough) in [(FrameRate::THIRTY, 8, 14), (FrameRate::THIRTY, 1, 14), (sixty, 2, 24)] {
            let first = (1..=40).find(|&count| is_plain(&uneven(rate, millis, count)));
            assert!(first.is_some_and(|first| (14..=enough).contains(&first)), "{rate:?}: {first:?}");
            assert_eq!(snap(&uneven(rate, millis, first.unwrap())), rate);
        }
        assert!(!is_plain(&uneven(FrameRate::new(25, 1), 8, 20)), "it may be 24");
    }

    #[test]
    fn unusual_and_unknown_rates_become_30() {
        assert_eq!(snap(&[]), FrameRate::THIRTY);
        assert_eq!(snap(&[MediaTime::ZERO; 20]), FrameRate::THIRTY);
        assert_eq!(snap(&intervals(FrameRate::new(7, 1), 20)), FrameRate::THIRTY);
        assert_eq!(snap(&intervals(FrameRate::new(15, 1), 20)), FrameRate::THIRTY);
        assert_eq!(snap(&intervals(FrameRate::new(240, 1), 20)), FrameRate::THIRTY);
    }
}
