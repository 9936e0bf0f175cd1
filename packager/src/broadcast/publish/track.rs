//! One rendition on its way out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use packager_transcode::wire::{Law, Origin};
use schema::{AccessUnit, MediaTime, TrackKind};
use tokio::sync::watch;
use tracing::{debug, warn};

use super::turns::{Begin, Turns};
use super::{BroadcastMetrics, Subject};
use crate::archive::Sink;
use crate::codecs::{AudioConfig, VideoConfig};
use crate::fmp4;
use crate::ladder::{self, Media, Rendition};
use crate::live::{LiveRendition, Snapshot};
use crate::metrics::kind_label;
use crate::outage::Outage;
use crate::playlist::multivariant::Listed;
use crate::playlist::{self, NewPart, Report, Window};
use crate::segment::{Cut, Part, Segmenter};
use crate::timing::{TOLERANCE, Timing};

/// Pictures of a new origin wait no longer than this for the last ones of the old.
const EARLY_MAX: MediaTime = MediaTime(2 * MediaTime::PER_SECOND);
/// More sound than this never waits for pictures: some ten seconds.
const HELD_MAX: usize = 512;

/// What a rendition would list next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    /// The media sequence number of its segment.
    pub(super) msn: u64,
    /// Where it begins.
    pub(super) start: MediaTime,
    /// True if it is there, and waits for the other renditions alone.
    pub(super) is_ready: bool,
}

/// One rendition: its segmenter, its window and the watch on which it is published.
pub(super) struct Track {
    rendition: Rendition,
    kind: TrackKind,
    timescale: u32,
    segmenter: Segmenter,
    turns: Turns,
    /// Sound that waits until the pictures have come past it: a turn may still be told for its time.
    held: VecDeque<AccessUnit>,
    /// Pictures of a new origin that wait for the last ones of the old.
    early: VecDeque<AccessUnit>,
    /// What is cut and waits for the other renditions before it is listed.
    ready: VecDeque<Cut>,
    /// Where the listed media ends.
    listed_to: MediaTime,
    window: Window,
    sender: watch::Sender<Arc<Snapshot>>,
    /// Where finished segments go, to be kept for rewinding.
    archive: Option<Sink>,
    /// Of the newest encoder.
    audio: Option<AudioConfig>,
    /// Of the first encoder; it stands in the multivariant playlist.
    codecs: Option<String>,
    /// True once the newest encoder has put a part out.
    has_parts: bool,
    sequence: u32,
}

impl Track {
    pub(super) fn new(rendition: Rendition, timing: &Arc<Timing>, subject: &Subject) -> (Self, LiveRendition) {
        let kind = rendition.kind();
        let first = playlist::empty(timing, subject.msn_start, Instant::now());
        let (sender, snapshot) = watch::channel(Arc::new(first));
        let listed = LiveRendition { name: rendition.name.clone(), kind, snapshot, dvr: None };
        let msn = subject.msn_start;
        let window = Window::new(Arc::clone(timing), subject.incarnation, subject.zero, msn);
        let segmenter = Segmenter::new(kind, Arc::clone(timing), msn, subject.begins);
        let track = Self {
            kind,
            timescale: match kind {
                TrackKind::Video => fmp4::video_timescale(timing.frame_rate),
                TrackKind::Audio => crate::timing::AUDIO_RATE,
            },
            rendition,
            segmenter,
            turns: Turns::new(subject.epoch),
            held: VecDeque::new(),
            early: VecDeque::new(),
            ready: VecDeque::new(),
            listed_to: subject.begins,
            window,
            sender,
            archive: None,
            audio: None,
            codecs: None,
            has_parts: false,
            sequence: 0,
        };
        (track, listed)
    }

    /// Hands finished segments to `archive` from now on.
    pub(super) fn archive_to(&mut self, archive: Sink) {
        self.window.keep_finished();
        self.archive = Some(archive);
    }

    /// Takes the audio encoder's configuration.
    pub(super) fn configure(&mut self, specific: &[u8]) {
        match AudioConfig::of(specific) {
            Ok(config) => self.audio = Some(config),
            Err(error) => warn!(rendition = %self.rendition.name, %error, "no audio"),
        }
    }

    /// Everything at or after `at` stands behind a discontinuity of the number `epoch`, and comes from another `origin` if
    /// that is told; true if that completed something.
    pub(super) fn turn(
        &mut self,
        at: MediaTime,
        law: Option<Law>,
        epoch: u64,
        origin: Option<Origin>,
        metrics: &BroadcastMetrics,
    ) -> bool {
        let (msn, cuts) = self.segmenter.turn(at, law);
        self.turns.take(at, Begin { msn, epoch, init: None }, origin);
        self.make_ready(cuts, metrics)
    }

    /// True if a keyframe of the source that leads would begin a segment there.
    pub(super) fn is_cut(&self, at: MediaTime) -> bool {
        self.segmenter.is_cut(at)
    }

    /// The source that leads has a keyframe there; true if that completed something.
    pub(super) fn keyframe(&mut self, at: MediaTime, metrics: &BroadcastMetrics) -> bool {
        let cuts = self.segmenter.keyframe(at);
        self.make_ready(cuts, metrics)
    }

    /// Where the unit of that time comes from.
    pub(super) fn origin_at(&self, time: MediaTime) -> Origin {
        self.turns.origin_at(time)
    }

    /// Keeps sound until [`Self::release`].
    pub(super) fn hold(&mut self, unit: AccessUnit, metrics: &BroadcastMetrics) {
        if self.held.len() >= HELD_MAX {
            self.held.pop_front();
            metrics.discard("overlap");
        }
        self.held.push_back(unit);
    }

    /// Takes what was held of the time before `until`; true if that completed something.
    pub(super) fn release(&mut self, until: MediaTime, metrics: &BroadcastMetrics) -> bool {
        let mut completed = false;
        while let Some(unit) = self.held.pop_front_if(|unit| unit.dts + TOLERANCE < until) {
            completed |= self.push(&unit, metrics);
        }
        completed
    }

    /// Takes a coded unit; true if that completed something, which then waits to be listed. One that comes from elsewhere
    /// waits until all before its turn have come, or for two seconds.
    pub(super) fn push(&mut self, unit: &AccessUnit, metrics: &BroadcastMetrics) -> bool {
        let follows_early = self.early.front().is_some_and(|first| unit.dts >= first.dts);
        let mut completed = false;
        if follows_early || self.is_early(unit) {
            self.early.push_back(unit.clone());
        } else {
            completed = self.take(unit, metrics);
        }
        let ends = self.early.front().zip(self.early.back());
        let in_vain = ends.is_some_and(|(first, last)| last.dts - first.dts >= EARLY_MAX);
        while let Some(first) = self.early.front()
            && (in_vain || !self.is_early(first))
            && let Some(first) = self.early.pop_front()
        {
            completed |= self.take(&first, metrics);
        }
        completed
    }

    /// True if it lies behind a turn that this rendition's units have not reached.
    fn is_early(&self, unit: &AccessUnit) -> bool {
        let turn = self.turns.next_origin(unit.dts);
        turn.zip(self.segmenter.end()).is_some_and(|(at, end)| end + TOLERANCE < at)
    }

    fn take(&mut self, unit: &AccessUnit, metrics: &BroadcastMetrics) -> bool {
        self.turns.reach(unit.dts);
        if self.turns.needs_init() && !self.begin(unit) {
            metrics.discard("no_configuration");
            return false;
        }
        let cuts = self.segmenter.push(unit);
        self.make_ready(cuts, metrics)
    }

    /// Writes the init section before the first unit of an encoder; false if this unit cannot be the first.
    fn begin(&mut self, unit: &AccessUnit) -> bool {
        let Some((init, codecs)) = self.init(unit) else {
            return false;
        };
        if self.kind == TrackKind::Audio
            && let Some(audio) = &self.audio
        {
            self.timescale = audio.rate;
        }
        self.turns.set_init(init);
        self.codecs.get_or_insert(codecs);
        true
    }

    fn init(&self, unit: &AccessUnit) -> Option<(Bytes, String)> {
        let written = match &self.rendition.media {
            Media::Video(_) => {
                let config = VideoConfig::of(&unit.data).ok().filter(|_| unit.random_access)?;
                fmp4::video_init(&config, self.timescale).map(|init| (init, config.codecs()))
            }
            Media::Audio(plan) => {
                let config = self.audio.as_ref()?;
                fmp4::audio_init(config, plan.bitrate).map(|init| (init, config.codecs()))
            }
        };
        written.inspect_err(|error| warn!(rendition = %self.rendition.name, %error, "no init section")).ok()
    }

    fn make_ready(&mut self, cuts: Vec<Cut>, metrics: &BroadcastMetrics) -> bool {
        let before = self.ready.len();
        for cut in cuts {
            match cut {
                Cut::Part(_) | Cut::SegmentEnd(_) => self.ready.push_back(cut),
                Cut::Discarded(reason) => metrics.discard(reason.as_str()),
                Cut::Hole(length) => {
                    debug!(rendition = %self.rendition.name, ?length, "hole in the output");
                    metrics.holes.inc();
                }
            }
        }
        self.ready.len() > before
    }

    /// What it would list next.
    pub(super) fn next(&self) -> Next {
        let msn = self.window.next_msn();
        match self.ready.front() {
            Some(Cut::Part(part)) => Next { msn: part.msn, start: part.start(), is_ready: true },
            ready => Next { msn, start: self.listed_to, is_ready: ready.is_some() },
        }
    }

    /// Lists the next part that is ready, with the end of its segment if that is ready too; true if the list changed.
    pub(super) fn list_next(&mut self, metrics: &BroadcastMetrics) -> bool {
        let mut changed = false;
        if let Some(Cut::Part(part)) = self.ready.pop_front_if(|cut| matches!(cut, Cut::Part(_))) {
            self.listed_to = part.start() + part.duration();
            changed = self.append(&part, metrics) && self.window.lists_parts();
        }
        while let Some(cut) = self.ready.pop_front_if(|cut| !matches!(cut, Cut::Part(_))) {
            self.window.complete_segment();
            if let Cut::SegmentEnd(msn) = cut
                && self.turns.changes_init(msn + 1)
            {
                self.window.expect_init();
            }
            metrics.segments.with_label_values(&[kind_label(self.kind)]).inc();
            changed = true;
        }
        changed
    }

    /// Lists what is ready of segments up to `msn`, and drops what is ready beyond.
    pub(super) fn list_up_to(&mut self, msn: u64, metrics: &BroadcastMetrics) {
        while self.next().is_ready && self.next().msn <= msn {
            self.list_next(metrics);
        }
        self.ready.clear();
    }

    fn append(&mut self, part: &Part, metrics: &BroadcastMetrics) -> bool {
        self.sequence = self.sequence.wrapping_add(1);
        let has_new_init = (self.has_parts || part.msn > 0) && self.turns.changes_init(part.msn);
        let sets = if has_new_init { fmp4::Sets::AlsoInFirst } else { fmp4::Sets::InEntry };
        let bytes = match fmp4::fragment(self.kind, self.timescale, self.sequence, part, sets) {
            Ok(bytes) => bytes,
            Err(error) => {
                warn!(rendition = %self.rendition.name, %error, "a part is lost");
                metrics.discard("unwritable");
                return false;
            }
        };
        while let Some(Begin { epoch, init, .. }) = self.turns.begin(part.msn) {
            match init {
                Some(init) => self.window.set_init(epoch, init),
                None => self.window.set_epoch(epoch),
            }
        }
        self.window.append(NewPart {
            msn: part.msn,
            start: part.start(),
            duration: part.duration(),
            independent: part.independent,
            bytes,
        });
        self.has_parts = true;
        metrics.parts.with_label_values(&[kind_label(self.kind)]).inc();
        true
    }

    /// Renders and publishes the next revision, and hands over what is finished with it.
    pub(super) fn publish(&mut self, reports: &[Report], now: Instant) {
        if self.window.has_media() {
            let snapshot = self.window.snapshot(reports, now);
            self.sender.send_replace(Arc::new(snapshot));
        }
        if let Some(archive) = &self.archive {
            self.window.take_finished().into_iter().for_each(|finished| archive.send(finished));
        }
    }

    /// The encoder is gone: lists what it had finished of segments below `msn`, and drops the rest; true if
    /// anything of it is listed.
    pub(super) fn close_below(&mut self, msn: u64, metrics: &BroadcastMetrics) -> bool {
        let cuts = self.segmenter.close_below(msn);
        self.make_ready(cuts, metrics);
        self.list_up_to(msn.saturating_sub(1), metrics);
        self.held.clear();
        self.early.clear();
        self.window.expect_init();
        self.audio = None;
        std::mem::take(&mut self.has_parts)
    }

    /// A new encoder comes, whose first segment is to have the number `msn` and stands behind a discontinuity of the number `epoch`.
    pub(super) fn begin_anew(&mut self, start: MediaTime, msn: u64, epoch: u64) {
        self.turns = Turns::new(epoch);
        self.segmenter.begin_anew(start.max(self.listed_to), msn);
    }

    /// Where what is listed ends.
    pub(super) fn listed_to(&self) -> MediaTime {
        self.listed_to
    }

    /// Lists an outage of the publishers, or its end; true if the list changed.
    pub(super) fn mark(&mut self, outage: &Outage, last_msn: u64) -> bool {
        self.window.mark(outage, last_msn)
    }

    /// Nothing follows: closes the open part, and with it segment and list if the end is final.
    pub(super) fn end_media(&mut self, is_final: bool, metrics: &BroadcastMetrics) {
        for unit in std::mem::take(&mut self.early) {
            self.take(&unit, metrics);
        }
        self.release(MediaTime(i64::MAX), metrics);
        let cuts = if is_final { self.segmenter.finish() } else { self.segmenter.flush_part() };
        self.make_ready(cuts, metrics);
        self.list_up_to(u64::MAX, metrics);
        if is_final {
            self.window.end_list();
        }
    }

    pub(super) fn has_media(&self) -> bool {
        self.window.has_media()
    }

    /// Where its coded media ends, listed or not; `None` before the first unit of an encoder.
    pub(super) fn end(&self) -> Option<MediaTime> {
        let held = self.held.back().or(self.early.back()).map(|unit| unit.dts + unit.duration.unwrap_or_default());
        self.segmenter.end().max(held)
    }

    /// Where its cut media ends; `None` before the first unit of an encoder.
    pub(super) fn cut_to(&self) -> Option<MediaTime> {
        self.segmenter.end()
    }

    /// Of its first encoder.
    pub(super) fn codecs(&self) -> Option<&str> {
        self.codecs.as_deref()
    }

    pub(super) fn kind(&self) -> TrackKind {
        self.kind
    }

    pub(super) fn report(&self) -> Option<Report> {
        self.window.report(&self.rendition.name)
    }

    pub(super) fn retention(&self) -> MediaTime {
        self.window.retention()
    }

    /// The lowest number that was never listed.
    pub(super) fn msn_after(&self) -> u64 {
        self.window.msn_after()
    }

    pub(super) fn into_sender(self) -> watch::Sender<Arc<Snapshot>> {
        self.sender
    }

    /// As it stands in the multivariant playlist.
    pub(super) fn listed(&self, timing: &Timing) -> Option<Listed> {
        Some(Listed {
            name: self.rendition.name.clone(),
            codecs: self.codecs.clone()?,
            bandwidth: ladder::bandwidth(&self.rendition.media, timing),
            size: self.rendition.size(),
        })
    }
}
