//! The broadcast clock: RTP time, arrivals and sender reports to one [`MediaTime`] for all tracks.
//!
//! A track starts where its first unit arrived. Once two tracks have plausible sender reports, the
//! video track is slewed towards the offset that the publisher's wall clock gives, never stepped;
//! the audio track leads, as its samples cannot be stretched. Works without any report. Both follow our
//! clock together where the publisher's goes faster or slower.
//!
//! Reads no clock: arrivals and the wall-clock reading of zero are passed in. Expects no B-frames,
//! which no WHIP publisher sends: a timestamp that goes back is held at the last one.

use std::time::{Duration, Instant};

use schema::{MediaTime, TrackKind, Zero};

mod drift;
mod report;

use drift::Drift;
pub use report::{Ignored, Report};

/// The most that a track is slewed, in thousandths of its media time: 5 ms in a second.
pub const SLEW_PER_MILLE: i64 = 5;
/// A timestamp that goes this much another way than its arrival is a new start of the track's RTP clock.
pub const JUMP: MediaTime = MediaTime(10 * MediaTime::PER_SECOND);
/// A wished correction beyond this is not believed.
pub const CORRECTION_MAX: MediaTime = MediaTime(3 * MediaTime::PER_SECOND);

/// One clock for all tracks of a session.
#[derive(Debug)]
pub struct BroadcastClock {
    zero: Zero,
    /// The most that any unit came before its media time: the first packet was that late.
    lead: MediaTime,
    drift: Drift,
    tracks: Vec<TrackClock>,
}

/// The clock of one track.
#[derive(Debug)]
struct TrackClock {
    kind: TrackKind,
    rate: u32,
    /// `None` before the track's first unit.
    running: Option<Running>,
    /// The last report that was believed, in extended RTP time.
    report: Option<Believed>,
    /// The last report that was not believed for its jump; the next may confirm it.
    doubted: Option<Believed>,
}

/// A sender report that was believed.
#[derive(Debug, Clone, Copy)]
struct Believed {
    ntp: u64,
    /// In ticks since the track's first unit.
    ticks: i64,
}

/// A track that has begun.
#[derive(Debug)]
struct Running {
    /// The RTP timestamp of the last unit, and its ticks since the first.
    timestamp: u32,
    ticks: i64,
    arrival: Instant,
    /// The media time of tick 0, before any correction.
    base: MediaTime,
    correction: MediaTime,
    wished: MediaTime,
    /// The last time, without the correction of the publisher's clock.
    last: MediaTime,
    /// The last time given out.
    told: MediaTime,
}

impl BroadcastClock {
    /// A clock whose time starts at `zero`, the arrival of the first packet, for tracks of these kinds and RTP clock rates (ticks per second).
    #[must_use]
    pub fn new(zero: Zero, tracks: &[(TrackKind, u32)]) -> Self {
        let track = |&(kind, rate): &(TrackKind, u32)| TrackClock {
            kind,
            rate: rate.max(1),
            running: None,
            report: None,
            doubted: None,
        };
        Self { zero, lead: MediaTime::ZERO, drift: Drift::default(), tracks: tracks.iter().map(track).collect() }
    }

    /// When media time zero was captured, as early as the units so far allow: no unit can come before it
    /// was captured.
    #[must_use]
    pub fn zero(&self) -> Zero {
        let lead = Duration::from_micros(self.lead.to_micros().max(0).unsigned_abs());
        let instant = self.zero.instant.checked_sub(lead).unwrap_or(self.zero.instant);
        Zero { instant, wall: self.zero.wall.plus(-self.lead) }
    }

    /// The media time of a unit of `track`: never less than that of the one before. `None` for an unknown track.
    pub fn stamp(&mut self, track: usize, rtp: u32, arrival: Instant) -> Option<MediaTime> {
        let time = self.time(track, rtp, arrival)?;
        let now = MediaTime::between(self.zero.instant, arrival);
        if self.drift.is_learning() {
            self.lead = self.lead.max(time - now);
        }
        let running = self.tracks.get_mut(track)?.running.as_mut()?;
        let correction = self.drift.correct(time - running.correction, now);
        running.told = running.told.max(time + correction);
        Some(running.told)
    }

    fn time(&mut self, track: usize, rtp: u32, arrival: Instant) -> Option<MediaTime> {
        let zero = self.zero.instant;
        let track = self.tracks.get_mut(track)?;
        let since_zero = MediaTime::between(zero, arrival);
        let rate = track.rate;
        let Some(running) = &mut track.running else {
            track.running = Some(Running::start(rtp, arrival, since_zero));
            return Some(since_zero);
        };
        if running.advance(rtp, arrival, rate) {
            return Some(running.last);
        }
        let base = since_zero.max(running.last);
        track.running = Some(Running { told: running.told, ..Running::start(rtp, arrival, base) });
        track.report = None;
        track.doubted = None;
        Some(base)
    }

    /// The correction between video and audio that is still to be slewed, positive where the video must
    /// come later; `None` before both have reports that are believed.
    #[must_use]
    pub fn skew(&self) -> Option<MediaTime> {
        let [video, _] = self.pair()?;
        let wished = self.wished().filter(|wished| wished.abs() <= CORRECTION_MAX)?;
        Some(wished - video.running.as_ref()?.correction)
    }

    /// The video and the audio track, if there are both.
    fn pair(&self) -> Option<[&TrackClock; 2]> {
        let of = |kind| self.tracks.iter().find(|track| track.kind == kind);
        Some([of(TrackKind::Video)?, of(TrackKind::Audio)?])
    }
}

impl Running {
    fn start(timestamp: u32, arrival: Instant, base: MediaTime) -> Self {
        Self {
            timestamp,
            ticks: 0,
            arrival,
            base,
            correction: MediaTime::ZERO,
            wished: MediaTime::ZERO,
            last: base,
            told: base,
        }
    }

    /// Goes on to the next unit; false if its timestamp jumped, and nothing was changed.
    fn advance(&mut self, timestamp: u32, arrival: Instant, rate: u32) -> bool {
        let ticks = ticks_between(self.timestamp, timestamp);
        let elapsed = MediaTime::from_ticks(ticks, rate);
        if (elapsed - MediaTime::between(self.arrival, arrival)).abs() > JUMP {
            return false;
        }
        self.timestamp = timestamp;
        self.ticks += ticks;
        self.arrival = arrival;
        self.slew(elapsed);
        let time = self.base + MediaTime::from_ticks(self.ticks, rate) + self.correction;
        self.last = self.last.max(time);
        true
    }

    /// Moves the correction towards the wished one, as far as `elapsed` media time allows.
    fn slew(&mut self, elapsed: MediaTime) {
        let most = (elapsed.0 / 1_000).saturating_mul(SLEW_PER_MILLE).max(0);
        let rest = (self.wished - self.correction).0;
        self.correction += MediaTime(rest.clamp(-most, most));
    }
}

/// The way from one RTP timestamp to another, the shorter way round (RFC 3550 5.1).
fn ticks_between(from: u32, to: u32) -> i64 {
    i64::from(to.wrapping_sub(from).cast_signed())
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
