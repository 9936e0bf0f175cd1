//! Which sender reports are believed, and the offset between tracks that they give.

use std::time::Instant;

use schema::MediaTime;

use super::{Believed, BroadcastClock, CORRECTION_MAX, Running, TrackClock, ticks_between};

/// How far a report's RTP time may lie from where the track's media are.
const DISTANCE_MAX: MediaTime = MediaTime(5 * MediaTime::PER_SECOND);
/// How much RTP time and wall clock may part from one report to the next.
const JUMP_MAX: MediaTime = MediaTime(MediaTime::PER_SECOND / 5);
/// What some publishers send in a first report, before they have an RTP time.
const NO_RTP_TIME: u32 = u32::MAX;

/// One sender report of a track (RFC 3550 6.4.1).
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// The track's number.
    pub track: usize,
    /// The publisher's wall clock in NTP format (32.32 bits); 0 if it has none.
    pub ntp: u64,
    /// The track's RTP timestamp at that moment.
    pub rtp: u32,
    /// When it came.
    pub arrival: Instant,
}

/// Why a report was ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// Of a track that is unknown or has no media yet.
    Early,
    /// Without RTP time or wall clock.
    Empty,
    /// Its RTP time is nowhere near the track's media.
    Far,
    /// Its wall clock jumped against the report before; believed if the next agrees.
    Jump,
    /// With it, video and audio would be further apart than [`CORRECTION_MAX`].
    Apart,
}

impl Ignored {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Early, Self::Empty, Self::Far, Self::Jump, Self::Apart];

    /// The word used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::Empty => "empty",
            Self::Far => "far",
            Self::Jump => "jump",
            Self::Apart => "apart",
        }
    }
}

impl BroadcastClock {
    /// Takes a sender report in, or says why not.
    pub fn sender_report(&mut self, report: Report) -> Result<(), Ignored> {
        let track = self.tracks.get_mut(report.track).ok_or(Ignored::Early)?;
        let candidate = track.candidate(&report)?;
        let began_anew = track.believe(candidate)?;
        if began_anew {
            self.forget_others(report.track);
        }
        self.wish()
    }

    /// The publisher's wall clock was set: reports of other tracks from before do not compare with it.
    fn forget_others(&mut self, kept: usize) {
        let others = |(index, _): &(usize, &mut TrackClock)| *index != kept;
        for (_, track) in self.tracks.iter_mut().enumerate().filter(others) {
            track.report = None;
        }
    }

    /// The correction that the reports of both tracks ask for; `None` while one has none.
    pub(super) fn wished(&self) -> Option<MediaTime> {
        let [video, audio] = self.pair()?;
        let publisher = offset(video.report?, video.rate, audio.report?, audio.rate);
        let ours = video.running.as_ref()?.base - audio.running.as_ref()?.base;
        Some(publisher - ours)
    }

    /// Slews to what the reports of both tracks ask for.
    fn wish(&mut self) -> Result<(), Ignored> {
        let Some(wished) = self.wished() else {
            return Ok(());
        };
        if wished.abs() > CORRECTION_MAX {
            return Err(Ignored::Apart);
        }
        let is_video = |track: &&mut TrackClock| track.kind == schema::TrackKind::Video;
        let video = self.tracks.iter_mut().find(is_video);
        if let Some(running) = video.and_then(|track| track.running.as_mut()) {
            running.wished = wished;
        }
        Ok(())
    }
}

impl TrackClock {
    /// The report in the track's own ticks, if it is near the track's media.
    fn candidate(&self, report: &Report) -> Result<Believed, Ignored> {
        let running = self.running.as_ref().ok_or(Ignored::Early)?;
        if report.rtp == NO_RTP_TIME || report.ntp == 0 {
            return Err(Ignored::Empty);
        }
        let ticks = ticks_between(running.timestamp, report.rtp);
        if distance(running, ticks, self.rate, report.arrival) > DISTANCE_MAX {
            return Err(Ignored::Far);
        }
        Ok(Believed { ntp: report.ntp, ticks: running.ticks + ticks })
    }

    /// Believes a report that fits the last one, or the doubted one; true in the second case.
    fn believe(&mut self, candidate: Believed) -> Result<bool, Ignored> {
        let fits = |other: &Believed| offset(candidate, self.rate, *other, self.rate).abs() <= JUMP_MAX;
        let goes_on = self.report.as_ref().is_none_or(fits);
        if !goes_on && !self.doubted.as_ref().is_some_and(fits) {
            self.doubted = Some(candidate);
            return Err(Ignored::Jump);
        }
        self.report = Some(candidate);
        self.doubted = None;
        Ok(!goes_on)
    }
}

/// How far `ticks` after the last unit is from where the track should be at `arrival`.
fn distance(running: &Running, ticks: i64, rate: u32, arrival: Instant) -> MediaTime {
    (MediaTime::from_ticks(ticks, rate) - MediaTime::between(running.arrival, arrival)).abs()
}

/// By how much the publisher's time of tick 0 of `left` is later than that of `right`.
fn offset(left: Believed, left_rate: u32, right: Believed, right_rate: u32) -> MediaTime {
    let wall = ntp_between(right.ntp, left.ntp);
    wall - MediaTime::from_ticks(left.ticks, left_rate) + MediaTime::from_ticks(right.ticks, right_rate)
}

/// The media time between two readings in NTP format, across the end of the era in 2036.
fn ntp_between(from: u64, to: u64) -> MediaTime {
    let ahead = i128::from(to.wrapping_sub(from).cast_signed());
    let media = (ahead * i128::from(MediaTime::PER_SECOND)) >> 32;
    MediaTime(i64::try_from(media).unwrap_or(i64::MAX))
}
