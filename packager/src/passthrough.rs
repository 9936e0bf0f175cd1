//! Whether a publisher's pictures can be passed through as the top rung, and from which keyframe on.
//!
//! Fitness is proved, not guessed: a source is encoded until some whole groups of its pictures have kept every rule of a
//! passed rendition, and again from the first picture on that breaks one. Reads no clock: pure but for its own memory.

use std::collections::VecDeque;
use std::sync::Arc;

use packager_transcode::grid::{Grid, Placement};
use schema::ladder::PictureSize;
use schema::{AccessUnit, Codec, MediaTime};

use crate::annexb::{self, ParameterSets};
use crate::codecs::VideoConfig;
use crate::fmp4::{FRAGMENT_OVERHEAD_BYTES, SAMPLE_OVERHEAD_BYTES};
use crate::ladder::Bandwidth;
use crate::sps::Sps;
use crate::timing::Timing;

/// So many keyframes in a row that keep every rule prove a source fit: two whole groups of pictures.
const PROOF: u32 = 3;
/// The longest proof: it doubles whenever what was proved did not hold for long.
const PROOF_MAX: u32 = 24;
/// What held for so long is not held against a source.
const HELD_LONG: MediaTime = MediaTime(60 * MediaTime::PER_SECOND);
/// The average rate is measured over so long, and over the proof before that.
const AVERAGE_OVER: MediaTime = MediaTime(30 * MediaTime::PER_SECOND);
/// How far the measured figures may lie above those that are listed, in percent (authoring rules, 1.26 to 1.30).
const HALF_PEAK_PERCENT: u64 = 120;
const AVERAGE_PERCENT: u64 = 108;

/// What a source must keep to.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The times of the live window.
    pub timing: Arc<Timing>,
    /// The size of the top rung.
    pub size: PictureSize,
    /// What the top rung is listed to cost.
    pub bandwidth: Bandwidth,
}

/// Why a source is not passed through any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Break {
    /// Nothing came for too long.
    Stalled,
    /// More than one picture is missing, or pictures do not lie each in a slot of their own.
    Gap,
    /// A group of pictures is longer than a segment, or leaves no place to cut.
    Gop,
    /// It takes more than is listed.
    Bandwidth,
    /// It is coded otherwise: another codec, size, profile, level or parameter set.
    Parameters,
    /// Another publisher is shown.
    Switched,
    /// It cannot be decoded.
    Corrupt,
    /// The transcoder began anew.
    Restarted,
}

impl Break {
    /// All of them, for metrics.
    pub const ALL: [Self; 8] = [
        Self::Stalled,
        Self::Gap,
        Self::Gop,
        Self::Bandwidth,
        Self::Parameters,
        Self::Switched,
        Self::Corrupt,
        Self::Restarted,
    ];

    /// The word used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Gap => "gap",
            Self::Gop => "gop",
            Self::Bandwidth => "bandwidth",
            Self::Parameters => "parameters",
            Self::Switched => "switched",
            Self::Corrupt => "corrupt",
            Self::Restarted => "restarted",
        }
    }
}

/// What becomes of a picture. Its unit lies on its slot, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is encoded.
    Encode(AccessUnit),
    /// From this keyframe on the source is passed through; its groups of pictures have at most `gop` slots.
    On {
        /// The longest group of pictures, in slots.
        gop: u32,
        /// The keyframe.
        unit: AccessUnit,
    },
    /// It is passed through.
    Pass(AccessUnit),
    /// From the slot at `at` on all is encoded, this picture too.
    Off {
        /// The slot after the last that was passed through.
        at: MediaTime,
        /// Why.
        why: Break,
        /// The picture.
        unit: AccessUnit,
    },
}

/// Watches the pictures of whoever is shown.
#[derive(Debug)]
pub struct Passthrough {
    terms: Terms,
    grid: Grid,
    /// Kept since the first keyframe of the proof; `None` before it.
    run: Option<Run>,
    /// Of the run, once it is passed through.
    passing: Option<Passing>,
    proof: u32,
}

/// Groups of pictures in a row that kept every rule.
#[derive(Debug)]
struct Run {
    codecs: String,
    sets: ParameterSets,
    keyframes: u32,
    /// The first slot of the open group.
    group: i64,
    /// The longest complete group, in slots.
    longest: i64,
    last: i64,
    weights: Weights,
}

#[derive(Debug, Clone, Copy)]
struct Passing {
    /// The first slot of the open segment.
    origin: i64,
    since: i64,
    gop: i64,
}

impl Passthrough {
    /// Watches from the output's start on.
    #[must_use]
    pub fn new(terms: Terms, start: MediaTime) -> Self {
        let grid = Grid::new(terms.timing.frame_rate, terms.timing.segment, start);
        Self { terms, grid, run: None, passing: None, proof: PROOF }
    }

    /// True while the source is passed through.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.passing.is_some()
    }

    /// Takes the next picture; `listed` is the top rung's codec string once it is listed.
    pub fn picture(&mut self, unit: AccessUnit, listed: Option<&str>) -> Verdict {
        let (slot, missing) = match self.grid.place(unit.pts) {
            Placement::Begin { slots } => (slots.end - 1, 0),
            Placement::Show { repeat, slot } => (slot, repeat.end - repeat.start),
            Placement::Hold => return Verdict::Encode(unit),
            Placement::Skip => {
                let taken = self.grid.next() - 1;
                return self.broken(Break::Gap, self.snapped(unit, taken));
            }
            Placement::TooFar => return self.broken(Break::Gap, unit),
        };
        let unit = self.snapped(unit, slot);
        match self.judge(&unit, slot, missing) {
            Ok(()) if self.is_passing() => Verdict::Pass(unit),
            Ok(()) if unit.random_access && self.is_proved(listed) => self.begin_passing(slot, unit),
            Ok(()) => Verdict::Encode(unit),
            Err(why) => {
                let verdict = self.broken(why, unit);
                if let Verdict::Encode(unit) | Verdict::Off { unit, .. } = &verdict {
                    self.run = self.begin(unit, slot);
                }
                verdict
            }
        }
    }

    /// The output goes on up to `time` without pictures.
    pub fn filled_up_to(&mut self, time: MediaTime) {
        if !self.grid.fill_up_to(time).is_empty() && !self.is_passing() {
            self.run = None;
        }
    }

    /// It ends here, whatever comes; gives the slot's time back from which on all is encoded, if the source was passed through.
    pub fn interrupt(&mut self) -> Option<MediaTime> {
        let run = self.run.take();
        let passing = self.passing.take()?;
        let last = run.map_or(passing.since, |run| run.last);
        let rate = self.terms.timing.frame_rate;
        let held = rate.time_of(last + 1) - rate.time_of(passing.since);
        self.proof = if held >= HELD_LONG { PROOF } else { (self.proof * 2).min(PROOF_MAX) };
        Some(rate.time_of(last + 1))
    }

    /// The transcoder begins anew at `start`; gives back whether the source was passed through.
    pub fn restart(&mut self, start: MediaTime) -> bool {
        let was_passing = self.interrupt().is_some();
        self.grid = Grid::new(self.terms.timing.frame_rate, self.terms.timing.segment, start);
        was_passing
    }

    fn broken(&mut self, why: Break, unit: AccessUnit) -> Verdict {
        match self.interrupt() {
            Some(at) => Verdict::Off { at, why, unit },
            None => Verdict::Encode(unit),
        }
    }

    /// On its slot, and as long as that.
    fn snapped(&self, unit: AccessUnit, slot: i64) -> AccessUnit {
        if unit.codec != Codec::H264 {
            return unit;
        }
        let (at, end) = (self.grid.time_of(slot), self.grid.time_of(slot + 1));
        AccessUnit { pts: at, dts: at, duration: Some(end - at), ..unit }
    }

    /// A run that begins with this picture, if it is a keyframe of a source that could be passed through.
    fn begin(&self, unit: &AccessUnit, slot: i64) -> Option<Run> {
        if unit.codec != Codec::H264 || !unit.random_access {
            return None;
        }
        let config = VideoConfig::of(&unit.data).ok()?;
        if config.sps.size != self.terms.size || !is_alike(&config.sps) {
            return None;
        }
        let mut weights = Weights::default();
        weights.fits(unit, slot, &self.terms);
        Some(Run {
            codecs: config.codecs(),
            sets: config.sets,
            keyframes: 1,
            group: slot,
            longest: 1,
            last: slot,
            weights,
        })
    }

    fn judge(&mut self, unit: &AccessUnit, slot: i64, missing: i64) -> Result<(), Break> {
        let longest = self.terms.timing.segment_slots();
        let Some(run) = &mut self.run else { return Err(Break::Gap) };
        if unit.codec != Codec::H264 {
            return Err(Break::Parameters);
        }
        if missing > 1 {
            return Err(Break::Gap);
        }
        if unit.random_access {
            if annexb::parameter_sets(&unit.data).as_ref() != Some(&run.sets) {
                return Err(Break::Parameters);
            }
            let length = slot - run.group;
            // Where segments end must be known before, for the next part is hinted: only even groups prove that.
            let is_uneven = self.passing.is_none() && run.keyframes > 1 && length != run.longest;
            if length > longest || is_uneven {
                return Err(Break::Gop);
            }
            (run.group, run.keyframes, run.longest) = (slot, run.keyframes + 1, run.longest.max(length));
        } else if slot - run.group >= longest {
            return Err(Break::Gop);
        }
        if !run.weights.fits(unit, slot, &self.terms) {
            return Err(Break::Bandwidth);
        }
        if let Some(passing) = &mut self.passing {
            passing.step(unit, slot, missing, &self.terms.timing)?;
        }
        run.last = slot;
        Ok(())
    }

    /// One CODECS string of the top rung must be exact before and after (rfc8216bis 6.2.4).
    fn is_proved(&self, listed: Option<&str>) -> bool {
        let proved = |run: &Run| {
            run.keyframes >= self.proof && listed == Some(run.codecs.as_str()) && run.weights.average_fits(&self.terms)
        };
        self.run.as_ref().is_some_and(proved)
    }

    fn begin_passing(&mut self, slot: i64, unit: AccessUnit) -> Verdict {
        let gop = self.run.as_ref().map_or(1, |run| run.longest);
        self.passing = Some(Passing { origin: slot, since: slot, gop });
        Verdict::On { gop: u32::try_from(gop).unwrap_or(u32::MAX), unit }
    }
}

impl Passing {
    /// The next picture: whether a segment can end where it must. The same rule as the schedule's.
    fn step(&mut self, unit: &AccessUnit, slot: i64, missing: i64, timing: &Timing) -> Result<(), Break> {
        let end = self.origin + timing.led_slots(self.gop);
        let is_cut = unit.random_access && slot + self.gop > end;
        if slot > end || (slot == end && !is_cut) {
            return Err(Break::Gop);
        }
        if is_cut {
            let is_part_lost = missing > 0 && (slot - missing - self.origin) % timing.part_frames == 0;
            if is_part_lost {
                return Err(Break::Gap); // nothing is there to be shown for longer
            }
            self.origin = slot;
        }
        Ok(())
    }
}

/// What the newest pictures weigh.
#[derive(Debug, Default)]
struct Weights {
    /// Slot and bytes, oldest first, over the longest window.
    pictures: VecDeque<(i64, u64)>,
    sum: u64,
}

impl Weights {
    /// Takes a picture; false if what the last ones take is more than is listed.
    fn fits(&mut self, unit: &AccessUnit, slot: i64, terms: &Terms) -> bool {
        let (segment, longest) = (terms.timing.segment_slots(), terms.timing.slot_at(AVERAGE_OVER));
        let boxes = SAMPLE_OVERHEAD_BYTES + FRAGMENT_OVERHEAD_BYTES / terms.timing.part_frames.max(1).unsigned_abs();
        let bytes = u64::try_from(unit.data.len()).unwrap_or(u64::MAX).saturating_add(boxes);
        self.pictures.push_back((slot, bytes));
        self.sum = self.sum.saturating_add(bytes);
        while let Some((_, old)) = self.pictures.pop_front_if(|(at, _)| *at + longest <= slot) {
            self.sum = self.sum.saturating_sub(old);
        }
        let (half, peak) = ((segment + 1) / 2, terms.bandwidth.peak);
        let is_known = self.length() >= longest;
        (!is_known || self.average_fits(terms))
            && holds(terms, segment, self.of_last(segment, slot), peak, 100)
            && holds(terms, half, self.of_last(half, slot), peak, HALF_PEAK_PERCENT)
    }

    /// True if what is known takes no more than the average that is listed.
    fn average_fits(&self, terms: &Terms) -> bool {
        holds(terms, self.length(), self.sum, terms.bandwidth.average, AVERAGE_PERCENT)
    }

    /// From the oldest picture to the newest, in slots.
    fn length(&self) -> i64 {
        let ends = self.pictures.front().zip(self.pictures.back());
        ends.map_or(0, |((first, _), (last, _))| last + 1 - first)
    }

    fn of_last(&self, slots: i64, slot: i64) -> u64 {
        let newest = self.pictures.iter().rev().take_while(|(at, _)| *at + slots > slot);
        newest.fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes))
    }
}

/// As the encoders write it: pictures look the same before a turn and behind it.
fn is_alike(sps: &Sps) -> bool {
    let is_usual = sps.chroma_format == 1 && sps.bit_depth_luma == 8 && sps.bit_depth_chroma == 8;
    is_usual && sps.is_progressive && !sps.is_full_range
}

/// True if so many bytes in so many slots are within that percentage of a rate in bits per second.
fn holds(terms: &Terms, slots: i64, bytes: u64, rate: u64, percent: u64) -> bool {
    let length = terms.timing.frame_rate.time_of(slots);
    let granted = i128::from(rate) * i128::from(length.0) * i128::from(percent);
    i128::from(bytes) * 800 * i128::from(MediaTime::PER_SECOND) <= granted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_as_the_encoders_write_them_are_passed_through() {
        let usual = Sps {
            profile: 100,
            constraints: 0,
            level: 31,
            chroma_format: 1,
            bit_depth_luma: 8,
            bit_depth_chroma: 8,
            size: PictureSize { width: 1280, height: 720 },
            is_progressive: true,
            is_full_range: false,
        };
        assert!(is_alike(&usual));
        for other in [
            Sps { chroma_format: 3, ..usual },
            Sps { bit_depth_luma: 10, ..usual },
            Sps { bit_depth_chroma: 10, ..usual },
            Sps { is_progressive: false, ..usual },
            Sps { is_full_range: true, ..usual },
        ] {
            assert!(!is_alike(&other), "{other:?}");
        }
    }
}
