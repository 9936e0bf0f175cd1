//! Which rendition gets which unit, and from when on.

use std::time::Instant;

use packager_transcode::wire::{Law, Origin, Turn};
use schema::{AccessUnit, MediaTime, TrackKind};

use super::Publisher;
use super::track::Track;
use crate::timing::TOLERANCE;

/// The least that a rendition must be behind the others to be taken for one without media.
const ABSENT_AFTER: MediaTime = MediaTime(2 * MediaTime::PER_SECOND);

impl Publisher {
    /// All renditions end their segment at the turn's instant, and go on as it says. One that comes too late for its
    /// instant is taken where the media end that are cut already.
    pub fn turn(&mut self, turn: &Turn, now: Instant) {
        let cut_to = self.pictures().filter_map(Track::cut_to).max().unwrap_or_default();
        let at = turn.at.max(self.last_turn).max(cut_to);
        let is_first = at - self.plan.start <= TOLERANCE || at - self.last_turn <= TOLERANCE;
        self.epoch += u64::from(!is_first);
        self.last_turn = at;
        self.is_led = turn.law.map_or(self.is_led, |law| matches!(law, Law::Led { .. }));
        let mut origins = std::mem::take(&mut self.deferred);
        origins.retain(|(number, _)| turn.origins.iter().all(|(other, _)| other != number));
        origins.extend(&turn.origins);
        let mut completed = false;
        for (index, track) in self.tracks.iter_mut().enumerate() {
            let origin = origins.iter().find(|(number, _)| usize::from(*number) == index).map(|&(_, origin)| origin);
            completed |= track.turn(at, turn.law, self.epoch, origin, &self.metrics);
        }
        if completed {
            self.list_ready(now);
        }
    }

    /// Takes a turn that the worker told. While a source leads, its pictures are here before the worker has them, so
    /// such a turn would come too late: it waits until the source begins a segment.
    pub(super) fn turn_of_worker(&mut self, turn: Turn, now: Instant) {
        if !self.is_led || turn.law.is_some() {
            return self.turn(&turn, now);
        }
        self.deferred.retain(|(number, _)| turn.origins.iter().all(|(other, _)| other != number));
        self.deferred.extend(turn.origins);
    }

    /// Takes a picture of the publisher, on its slot, for the renditions that pass it through. While a source leads,
    /// its units come before those that are encoded of them.
    pub fn passed(&mut self, unit: &AccessUnit, now: Instant) {
        let mut completed = false;
        if unit.random_access && !self.deferred.is_empty() && self.tracks[0].is_cut(unit.dts) {
            self.turn(&Turn { at: unit.dts, origins: Vec::new(), law: None }, now);
        } else if unit.random_access {
            for track in &mut self.tracks {
                completed |= track.keyframe(unit.dts, &self.metrics);
            }
        }
        let takers = self.takers(unit, |origin, _| origin == Origin::Source);
        completed |= self.hand_out(&takers, unit);
        if completed {
            self.list_ready(now);
            self.list(now);
        }
    }

    /// Takes a coded unit of the encoder `index`.
    pub(super) fn encoded(&mut self, index: usize, unit: &AccessUnit, fed: MediaTime, now: Instant) {
        let takers = self.takers(unit, |origin, other| match origin {
            Origin::Own => other == index,
            Origin::Rendition(number) => usize::from(number) == index,
            Origin::Source => false,
        });
        if takers.is_empty() {
            self.metrics.discard("other");
            return;
        }
        let completed = self.hand_out(&takers, unit);
        if let Some(codecs) = self.tracks[0].codecs().filter(|_| self.top_codecs.get().is_none()) {
            let _ = self.top_codecs.set(codecs.to_owned()); // nobody else sets it
        }
        if completed {
            self.list_ready(now);
            self.list(now);
            let late = Instant::now().saturating_duration_since(now);
            self.metrics.publish_lateness.observe(late.as_secs_f64());
            self.metrics.transcoder_lag.observe((fed - unit.pts).as_seconds().max(0.0));
        }
    }

    /// The renditions that a unit is for, by where each gets its units of that time from.
    fn takers(&self, unit: &AccessUnit, takes: impl Fn(Origin, usize) -> bool) -> Vec<usize> {
        let tracks = self.tracks.iter().enumerate();
        tracks.filter(|&(index, track)| takes(track.origin_at(unit.dts), index)).map(|(index, _)| index).collect()
    }

    /// Hands a unit to these renditions; true if that completed something.
    fn hand_out(&mut self, takers: &[usize], unit: &AccessUnit) -> bool {
        let has_pictures = self.pictures().next().is_some();
        let mut completed = false;
        for &index in takers {
            let track = &mut self.tracks[index];
            if track.kind() == TrackKind::Audio && has_pictures {
                track.hold(unit.clone(), &self.metrics);
            } else {
                completed |= track.push(unit, &self.metrics);
            }
        }
        completed | self.release()
    }

    /// Cuts the sound up to where pictures have come of any rendition: no turn can be told for that time any more.
    fn release(&mut self) -> bool {
        let Some(lead) = self.lead() else { return false };
        let seen = self.pictures().filter_map(Track::end).max().unwrap_or(self.plan.start);
        let until = if lead - seen <= self.absent_after() { seen } else { lead };
        let mut completed = false;
        for track in self.tracks.iter_mut().filter(|track| track.kind() == TrackKind::Audio) {
            completed |= track.release(until, &self.metrics);
        }
        completed
    }

    fn pictures(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(|track| track.kind() == TrackKind::Video)
    }

    /// Where the media of the rendition that is furthest end.
    pub(super) fn lead(&self) -> Option<MediaTime> {
        self.tracks.iter().map(|track| track.end().unwrap_or(self.plan.start)).max()
    }

    /// A rendition that is so far behind the others gets no media.
    pub(super) fn absent_after(&self) -> MediaTime {
        ABSENT_AFTER.max(self.timing.segment)
    }
}
