//! The pace of a broadcast: looks how far its renditions have come, lets [`Pace`] decide, and tells of it.

use std::time::Instant;

use packager_transcode::wire::{Step, VideoPlan};
use schema::ladder::FrameRate;
use schema::{BroadcastId, MediaTime};
use tracing::{info, warn};

use super::{BroadcastMetrics, Subject};
use crate::cost;
use crate::ladder::{Media, Rendition};
use crate::metrics::{size_label, step_label};
use crate::pace::{Direction, Pace, Presets, Rung, Seen};

/// What each video rendition gives up, by its number.
pub(in crate::broadcast) type Steps = Vec<(u8, Step)>;

/// The pace of one broadcast, and who hears of it.
pub(super) struct Pacing {
    broadcast: BroadcastId,
    pace: Pace,
    begins: MediaTime,
    /// Every video rendition, and what it gives up by its worker's own word.
    videos: Vec<(VideoPlan, Step)>,
    metrics: BroadcastMetrics,
}

impl Pacing {
    pub(super) fn new(
        subject: &Subject,
        renditions: &[Rendition],
        frame_rate: FrameRate,
        metrics: BroadcastMetrics,
    ) -> Self {
        let videos: Vec<VideoPlan> = renditions.iter().filter_map(video).cloned().collect();
        let rung = |video: &VideoPlan| Rung {
            rendition: video.rendition,
            cores: cost::encoder(video, frame_rate),
            presets: Presets::Change,
        };
        let rungs = videos.iter().map(rung).collect();
        Self {
            broadcast: subject.broadcast.clone(),
            pace: Pace::new(rungs, cost::besides(renditions, None, frame_rate)),
            begins: subject.begins,
            videos: videos.into_iter().map(|video| (video, Step::Whole)).collect(),
            metrics,
        }
    }

    /// What each rendition is to give up.
    pub(super) fn steps(&self) -> Steps {
        self.pace.steps()
    }

    /// Whether anything is given up.
    pub(super) fn is_degraded(&self) -> bool {
        self.pace.is_degraded()
    }

    /// Looks where the media of all renditions end, in the renditions' order; true if what is given up has changed.
    pub(super) fn observe(
        &mut self,
        ends: impl Iterator<Item = Option<MediaTime>>,
        pictures: MediaTime,
        now: Instant,
    ) -> bool {
        let begins = self.begins;
        let encoded = ends.zip(&self.videos).filter(|(_, (_, step))| *step != Step::LowerRung);
        let Some(reached) = encoded.map(|(end, _)| end.unwrap_or(begins)).min() else { return false };
        let lag = pictures - reached;
        let Some(change) = self.pace.observe(Seen { now, lag, reached }) else { return false };
        self.metrics.paces.with_label_values(&[change.direction.as_str()]).inc();
        let (broadcast, lag_ms, steps) = (&self.broadcast, lag.to_millis(), &change.steps);
        match change.direction {
            Direction::Down => warn!(%broadcast, lag_ms, ?steps, "encoding falls behind; gives up quality"),
            Direction::Up => info!(%broadcast, ?steps, "encoding has room again; takes quality back"),
        }
        true
    }

    /// A worker has carried out what it was told.
    pub(super) fn paced(&mut self, rendition: u8, step: Step, at: MediaTime, now: Instant) {
        self.pace.paced(rendition, step, now);
        let Some((video, before)) = self.videos.iter_mut().find(|(video, _)| video.rendition == rendition) else {
            return;
        };
        info!(broadcast = %self.broadcast, lines = video.height, ?step, at_ms = at.to_millis(), "a rendition's pace has changed");
        show(&self.metrics, video, *before, -1);
        show(&self.metrics, video, step, 1);
        *before = step;
    }

    /// A worker will not change that rendition's preset.
    pub(super) fn keep_preset(&mut self, rendition: u8) {
        warn!(broadcast = %self.broadcast, rendition, "a faster preset would change the parameter sets, and is not used");
        self.pace.keep_preset(rendition);
    }

    /// A new worker begins, which gives nothing up until it is told.
    pub(super) fn restart(&mut self, now: Instant) {
        self.pace.restart(now);
        self.forget();
    }

    fn forget(&mut self) {
        for (video, step) in &mut self.videos {
            show(&self.metrics, video, *step, -1);
            *step = Step::Whole;
        }
    }
}

impl Drop for Pacing {
    /// What has ended gives nothing up.
    fn drop(&mut self) {
        self.forget();
    }
}

fn video(rendition: &Rendition) -> Option<&VideoPlan> {
    match &rendition.media {
        Media::Video(video) => Some(video),
        Media::Audio(_) => None,
    }
}

fn show(metrics: &BroadcastMetrics, video: &VideoPlan, step: Step, change: i64) {
    if let Some(step) = step_label(step) {
        metrics.degraded.with_label_values(&[size_label(video.height), step]).add(change);
    }
}
