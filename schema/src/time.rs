//! Media time: one unit inside the whole server, exact for every clock that a publisher uses.
//!
//! Knows no wall clock: [`UnixMicros`] only carries a reading that somebody else took.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in, or a length of, a broadcast's time, in 1/705,600,000 s.
///
/// The unit divides 90 kHz, 48 kHz, 44.1 kHz, 1 ms and every usual frame rate without a rest, so
/// that a sum of frame durations never drifts. It is converted at the edges only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaTime(pub i64);

impl MediaTime {
    /// Units of media time in one second.
    pub const PER_SECOND: i64 = 705_600_000;
    /// The start of a broadcast.
    pub const ZERO: Self = Self(0);
    /// One second.
    pub const SECOND: Self = Self(Self::PER_SECOND);

    /// From `ticks` of a clock that counts `rate` times a second, rounded to the nearest unit.
    #[must_use]
    pub fn from_ticks(ticks: i64, rate: u32) -> Self {
        Self(scale(ticks, Self::PER_SECOND, i64::from(rate.max(1))))
    }

    /// From whole milliseconds.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(Self::PER_SECOND / 1000))
    }

    /// From whole microseconds, rounded to the nearest unit.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(scale(micros, Self::PER_SECOND, 1_000_000))
    }

    /// In ticks of a clock that counts `rate` times a second, rounded to the nearest tick.
    #[must_use]
    pub fn to_ticks(self, rate: u32) -> i64 {
        scale(self.0, i64::from(rate), Self::PER_SECOND)
    }

    /// In whole milliseconds, rounded to the nearest.
    #[must_use]
    pub fn to_millis(self) -> i64 {
        self.to_ticks(1000)
    }

    /// In whole microseconds, rounded to the nearest.
    #[must_use]
    pub fn to_micros(self) -> i64 {
        self.to_ticks(1_000_000)
    }

    /// In seconds, for people and playlists; never for arithmetic.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // 2^53 units are 147 days to the last bit
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / Self::PER_SECOND as f64
    }

    /// The way from one local instant to another; negative if `to` is earlier.
    #[must_use]
    pub fn between(from: Instant, to: Instant) -> Self {
        match to.checked_duration_since(from) {
            Some(ahead) => Self::of(ahead),
            None => -Self::of(from.saturating_duration_since(to)),
        }
    }

    fn of(duration: Duration) -> Self {
        Self::from_ticks(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX), 1_000_000_000)
    }

    /// The absolute value.
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }
}

/// `value * numerator / denominator`, rounded to the nearest, saturating at the ends of `i64`.
fn scale(value: i64, numerator: i64, denominator: i64) -> i64 {
    let product = i128::from(value) * i128::from(numerator);
    let denominator = i128::from(denominator);
    let rounded = (product + denominator.signum() * denominator / 2).div_euclid(denominator);
    i64::try_from(rounded).unwrap_or(if rounded > 0 { i64::MAX } else { i64::MIN })
}

impl fmt::Debug for MediaTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}s", self.as_seconds())
    }
}

impl Add for MediaTime {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for MediaTime {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for MediaTime {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for MediaTime {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Neg for MediaTime {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for MediaTime {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

/// A reading of the wall clock, in microseconds since 1970-01-01T00:00:00Z.
///
/// Only `EXT-X-PROGRAM-DATE-TIME` and records use it; nothing is ever timed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMicros(pub i64);

impl From<SystemTime> for UnixMicros {
    /// A reading from before 1970 becomes 1970.
    fn from(reading: SystemTime) -> Self {
        let since = reading.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

impl UnixMicros {
    /// The wall-clock reading `media` after (or before) this one.
    #[must_use]
    pub fn plus(self, media: MediaTime) -> Self {
        Self(self.0.saturating_add(media.to_micros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_clocks_and_frame_rates_divide_the_unit_without_a_rest() {
        for rate in [90_000, 48_000, 44_100, 1_000, 24, 25, 30, 50, 60] {
            assert_eq!(MediaTime::PER_SECOND % rate, 0, "{rate}");
        }
        for (num, den) in [(24_000, 1001), (30_000, 1001), (60_000, 1001)] {
            assert_eq!(MediaTime::PER_SECOND * den % num, 0, "{num}/{den}");
        }
    }

    proptest! {
        #[test]
        fn ticks_come_back_as_they_went_in(ticks in -1_i64 << 40..1_i64 << 40, rate in prop_oneof![Just(90_000_u32), Just(48_000), Just(44_100), Just(1_000)]) {
            prop_assert_eq!(MediaTime::from_ticks(ticks, rate).to_ticks(rate), ticks);
        }
    }

    #[test]
    fn rounding_goes_to_the_nearest_tick_on_both_sides_of_zero() {
        assert_eq!(MediaTime(1).to_ticks(90_000), 0);
        assert_eq!(MediaTime(7_839).to_ticks(90_000), 1);
        assert_eq!(MediaTime(-7_839).to_ticks(90_000), -1);
        assert_eq!(MediaTime(-1).to_ticks(90_000), 0);
    }
}
