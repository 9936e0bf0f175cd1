//! What is passed through: turns the verdicts on a source into words for both sides, in one order.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use packager_transcode::wire::{Input, Law, Origin, PATIENCE, Turn};
use schema::{AccessUnit, MediaTime};
use tokio::time::Instant;
use tracing::info;

use crate::metrics::{BroadcastMetrics, Passed};
use crate::passthrough::{Break, Passthrough, Terms, Verdict};

/// The number of the top rung among the renditions.
const TOP: u8 = 0;
/// More pictures than this are never kept: far above any group of pictures that is passed through.
const UNDECODED_MAX: usize = 1_024;

/// What the publishing task is told by the feeding one.
#[derive(Debug)]
pub(in crate::broadcast) enum Shown {
    /// A source is passed through from here on, or no more.
    Turn(Turn),
    /// A picture that is passed through, on its slot.
    Picture(AccessUnit),
}

/// A word for one of both sides. Their order is part of the protocol.
#[derive(Debug)]
pub(super) enum Message {
    /// For viewers.
    Show(Shown),
    /// For the transcoder.
    Tell(Input),
}

/// What may be passed through, and how.
pub(in crate::broadcast) struct Passage {
    /// What the source must keep to.
    pub(in crate::broadcast) terms: Terms,
    /// The top rung's codec string, once it is listed.
    pub(in crate::broadcast) listed: Arc<OnceLock<String>>,
    /// How often a picture is decoded where none needs to be; `None` where there are other rungs, which need all.
    pub(in crate::broadcast) decode_every: Option<MediaTime>,
    /// What is counted.
    pub(in crate::broadcast) metrics: BroadcastMetrics,
}

/// The passing through of one broadcast's top rung.
pub(super) struct Passing {
    watch: Passthrough,
    passage: Passage,
    /// Counts it as long as it lasts.
    active: Option<Passed>,
    /// When the last picture came.
    heard: Instant,
    /// The pictures since the last keyframe, where the transcoder does not get them.
    undecoded: Vec<AccessUnit>,
    decoded: Option<MediaTime>,
}

impl Passing {
    pub(super) fn new(passage: Passage, start: MediaTime) -> Self {
        let watch = Passthrough::new(passage.terms.clone(), start);
        Self { watch, passage, active: None, heard: Instant::now(), undecoded: Vec::new(), decoded: None }
    }

    /// The next picture of whoever is shown, at `now`.
    pub(super) fn picture(&mut self, unit: AccessUnit, now: Instant) -> Vec<Message> {
        self.heard = now;
        let listed = self.passage.listed.get().map(String::as_str);
        match self.watch.picture(unit, listed) {
            Verdict::Encode(unit) => vec![Message::Tell(Input::Unit(unit))],
            Verdict::On { gop, unit } => {
                let mut steps = self.begin(gop, unit.dts);
                steps.extend(self.pass(unit));
                steps
            }
            Verdict::Pass(unit) => self.pass(unit),
            Verdict::Off { at, why, unit } => {
                let mut steps = self.end(at, why);
                steps.push(Message::Tell(Input::Unit(unit)));
                steps
            }
        }
    }

    /// What is passed through ends here.
    pub(super) fn interrupt(&mut self, why: Break) -> Vec<Message> {
        self.watch.interrupt().map(|at| self.end(at, why)).unwrap_or_default()
    }

    /// The transcoder is about to be told that pictures have come to `video` by the clock.
    pub(super) fn clock(&mut self, video: MediaTime, now: Instant) -> Vec<Message> {
        let is_silent = now - self.heard >= Duration::from_micros(PATIENCE.to_micros().unsigned_abs());
        let steps = if is_silent { self.interrupt(Break::Stalled) } else { Vec::new() };
        self.watch.filled_up_to(video - PATIENCE);
        steps
    }

    /// A new transcoder begins at `start`: it encodes all.
    pub(super) fn restart(&mut self, start: MediaTime) {
        if self.watch.restart(start) {
            self.passage.metrics.count_turn("off", Break::Restarted.as_str());
        }
        self.active = None;
        self.undecoded.clear();
    }

    fn begin(&mut self, gop: u32, at: MediaTime) -> Vec<Message> {
        info!(at = at.as_seconds(), gop, "the source is passed through");
        self.passage.metrics.count_turn("on", "fit");
        self.active = Some(self.passage.metrics.passed());
        self.decoded = None;
        let turn = Turn { at, origins: vec![(TOP, Origin::Source)], law: Some(Law::Led { gop }) };
        vec![Message::Show(Shown::Turn(turn)), Message::Tell(Input::Pass { at })]
    }

    fn end(&mut self, at: MediaTime, why: Break) -> Vec<Message> {
        info!(at = at.as_seconds(), why = why.as_str(), "the source is not passed through any more");
        self.passage.metrics.count_turn("off", why.as_str());
        self.active = None;
        let turn = Turn { at, origins: vec![(TOP, Origin::Own)], law: Some(Law::Grid) };
        let undecoded = std::mem::take(&mut self.undecoded).into_iter().map(|unit| Message::Tell(Input::Unit(unit)));
        [Message::Show(Shown::Turn(turn)), Message::Tell(Input::Encode { at })].into_iter().chain(undecoded).collect()
    }

    /// Viewers get it first: what is encoded of it is cut where it is.
    fn pass(&mut self, unit: AccessUnit) -> Vec<Message> {
        let tell = match self.passage.decode_every {
            None => true,
            Some(interval) => self.is_due(&unit, interval),
        };
        let mut steps = vec![Message::Show(Shown::Picture(unit.clone()))];
        if tell {
            steps.push(Message::Tell(Input::Unit(unit)));
        }
        steps
    }

    /// True if the transcoder gets this picture, for a thumbnail; all others wait for the case that it must go on with them.
    fn is_due(&mut self, unit: &AccessUnit, interval: MediaTime) -> bool {
        if unit.random_access || self.undecoded.len() >= UNDECODED_MAX {
            self.undecoded.clear();
        }
        self.undecoded.push(unit.clone());
        let is_due = unit.random_access && self.decoded.is_none_or(|last| unit.pts - last >= interval);
        if is_due {
            self.decoded = Some(unit.pts);
        }
        is_due
    }
}
