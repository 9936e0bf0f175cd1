//! What the packager counts. One struct for all broadcasts of a process; no label names a broadcast.

use packager_transcode::wire::Step;
use prometheus::core::Collector;
use prometheus::{Counter, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use schema::TrackKind;

use crate::pace::Direction;
use crate::passthrough::Break;

/// The packager's metrics. Cloning shares them. The doc comment of each field is its help text.
#[derive(Debug, Clone)]
pub struct BroadcastMetrics {
    /// Broadcasts that run now.
    pub broadcasts_active: IntGauge,
    /// Parts published, by kind of track.
    pub parts: IntCounterVec,
    /// Segments completed, by kind of track.
    pub segments: IntCounterVec,
    /// Time from the encoder's last unit of a part to the playlist that lists it, in seconds.
    pub publish_lateness: Histogram,
    /// Coded units and thumbnails left out, by reason.
    pub discarded: IntCounterVec,
    /// Thumbnails shown to viewers.
    pub thumbnails: IntCounter,
    /// Holes in the output's timeline.
    pub holes: IntCounter,
    /// Transcode workers that were started again after they died or hung.
    pub transcoder_restarts: IntCounter,
    /// Broadcasts that ended because their worker could not be kept alive.
    pub transcoder_failures: IntCounter,
    /// Time that transcode workers spent working, in seconds.
    pub transcoder_busy: Counter,
    /// Media that transcode workers worked through, in seconds; busy over media is the load of one broadcast.
    pub transcoder_media: Counter,
    /// Pictures that transcode workers decoded, encoded, repeated or skipped.
    pub transcoder_pictures: IntCounterVec,
    /// Processor time that worker processes took, in seconds.
    pub transcoder_cpu: Counter,
    /// Video renditions that give something up now so that encoding keeps up, by size and by what.
    pub degraded: IntGaugeVec,
    /// Changes of what is given up so that encoding keeps up, by direction.
    pub paces: IntCounterVec,
    /// Renditions that are passed through now.
    pub passed_active: IntGauge,
    /// How often a source began or ceased to be passed through, and why.
    pub passed_turns: IntCounterVec,
    /// Media between what a transcoder was last given and what it last put out, in seconds, at each part.
    pub transcoder_lag: Histogram,
}

/// Lateness buckets, in seconds, around the bar of 50 ms and the aim of 20 ms.
const LATENESS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.1, 0.25, 1.0];
/// Lag buckets, in seconds: from a frame or two up to where viewers stall.
const LAG: [f64; 10] = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.0, 5.0, 10.0];
/// What may happen to a picture in a transcode worker.
const PICTURES: [&str; 5] = ["decoded", "encoded", "repeated", "skipped", "slate"];
/// Classes of rungs by their lines.
const SIZES: [&str; 5] = ["2160p", "1080p", "720p", "480p", "smaller"];
/// What a rendition may give up.
const STEPS: [&str; 3] = ["preset", "half_rate", "lower_rung"];
/// Why a coded unit or a thumbnail may be left out; any other word is counted as `other`.
const REASONS: [&str; 12] = [
    "corrupt",
    "before_keyframe",
    "late",
    "unsupported",
    "before_start",
    "not_random_access",
    "overlap",
    "no_configuration",
    "unwritable",
    "thumbnail",
    "slate",
    "other",
];

impl BroadcastMetrics {
    /// Registers all metrics. Every counter shows from the start, at zero.
    ///
    /// # Errors
    /// When `registry` already has one of their names.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self::new(registry)?;
        for kind in [TrackKind::Video, TrackKind::Audio].map(kind_label) {
            metrics.parts.with_label_values(&[kind]);
            metrics.segments.with_label_values(&[kind]);
        }
        for reason in REASONS {
            metrics.discarded.with_label_values(&[reason]);
        }
        metrics.passed_turns.with_label_values(&["on", "fit"]);
        for why in Break::ALL {
            metrics.passed_turns.with_label_values(&["off", why.as_str()]);
        }
        for picture in PICTURES {
            metrics.transcoder_pictures.with_label_values(&[picture]);
        }
        for direction in [Direction::Down, Direction::Up] {
            metrics.paces.with_label_values(&[direction.as_str()]);
        }
        for (size, step) in SIZES.into_iter().flat_map(|size| STEPS.map(|step| (size, step))) {
            metrics.degraded.with_label_values(&[size, step]);
        }
        Ok(metrics)
    }

    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| add(registry, IntCounter::new(format!("headwater_{name}"), help)?);
        let by = |name: &str, help: &str, label: &str| {
            add(registry, IntCounterVec::new(Opts::new(format!("headwater_{name}"), help), &[label])?)
        };
        let seconds = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::new(format!("headwater_{name}"), help).buckets(buckets.to_vec());
            add(registry, Histogram::with_opts(opts)?)
        };
        let sum = |name: &str, help: &str| add(registry, Counter::new(format!("headwater_{name}"), help)?);
        let active = IntGauge::new("headwater_broadcasts_active", "Broadcasts that run now.")?;
        let passed = IntGauge::new("headwater_passthrough_active", "Renditions that are passed through now.")?;
        let turns = Opts::new(
            "headwater_passthrough_turns_total",
            "How often a source began or ceased to be passed through, and why.",
        );
        Ok(Self {
            broadcasts_active: add(registry, active)?,
            parts: by("packager_parts_total", "Parts published, by kind of track.", "kind")?,
            segments: by("packager_segments_total", "Segments completed, by kind of track.", "kind")?,
            publish_lateness: seconds(
                "packager_publish_lateness_seconds",
                "Time from the encoder's last unit of a part to the playlist that lists it.",
                &LATENESS,
            )?,
            discarded: by("packager_discarded_total", "Coded units and thumbnails left out, by reason.", "reason")?,
            thumbnails: counter("packager_thumbnails_total", "Thumbnails shown to viewers.")?,
            holes: counter("packager_holes_total", "Holes in the output's timeline.")?,
            transcoder_restarts: counter(
                "transcoder_restarts_total",
                "Transcode workers that were started again after they died or hung.",
            )?,
            transcoder_failures: counter(
                "transcoder_failures_total",
                "Broadcasts that ended because their worker could not be kept alive.",
            )?,
            transcoder_busy: sum("transcoder_busy_seconds_total", "Time that transcode workers spent working.")?,
            transcoder_media: sum("transcoder_media_seconds_total", "Media that transcode workers worked through.")?,
            transcoder_cpu: sum("transcoder_cpu_seconds_total", "Processor time that worker processes took.")?,
            degraded: degraded(registry)?,
            paces: by(
                "transcoder_paces_total",
                "Changes of what is given up so that encoding keeps up, by direction.",
                "direction",
            )?,
            transcoder_pictures: by(
                "transcoder_pictures_total",
                "Pictures that transcode workers decoded, encoded, repeated, skipped or replaced by the slate.",
                "picture",
            )?,
            passed_active: add(registry, passed)?,
            passed_turns: add(registry, IntCounterVec::new(turns, &["direction", "reason"])?)?,
            transcoder_lag: seconds(
                "transcoder_lag_seconds",
                "Media between what a transcoder was last given and what it last put out, at each part.",
                &LAG,
            )?,
        })
    }

    /// Counts a unit left out. Words that a worker made up are counted as `other`.
    pub fn discard(&self, reason: &str) {
        let reason = REASONS.into_iter().find(|&known| known == reason);
        self.discarded.with_label_values(&[reason.unwrap_or("other")]).inc();
    }

    /// Counts that a source began (`on`) or ceased (`off`) to be passed through; both words are bounded.
    pub(crate) fn count_turn(&self, direction: &'static str, reason: &'static str) {
        self.passed_turns.with_label_values(&[direction, reason]).inc();
    }

    /// Counts a rendition that is passed through, until what is returned is dropped.
    pub(crate) fn passed(&self) -> Passed {
        self.passed_active.inc();
        Passed(self.passed_active.clone())
    }

    /// Counts `count` pictures to which `what` of [`PICTURES`] happened.
    pub(crate) fn count_pictures(&self, what: &'static str, count: u64) {
        self.transcoder_pictures.with_label_values(&[what]).inc_by(count);
    }
}

/// What a rendition may give up, as a label; `None` where it gives nothing up.
pub(crate) fn step_label(step: Step) -> Option<&'static str> {
    match step {
        Step::Whole => None,
        Step::Faster | Step::Fastest => Some("preset"),
        Step::HalfRate => Some("half_rate"),
        Step::LowerRung => Some("lower_rung"),
    }
}

/// The class of a rung's size: that of its lines, or the next smaller one.
pub(crate) fn size_label(lines: u32) -> &'static str {
    match lines {
        1441.. => "2160p",
        1080.. => "1080p",
        720.. => "720p",
        480.. => "480p",
        _ => "smaller",
    }
}

fn degraded(registry: &Registry) -> Result<IntGaugeVec, prometheus::Error> {
    let help = "Video renditions that give something up now so that encoding keeps up, by size and by what.";
    let opts = Opts::new("headwater_transcoder_degraded_renditions", help);
    add(registry, IntGaugeVec::new(opts, &["size", "step"])?)
}

/// A rendition that is passed through.
#[derive(Debug)]
pub(crate) struct Passed(IntGauge);

impl Drop for Passed {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// The label of a kind of track.
pub(crate) fn kind_label(kind: TrackKind) -> &'static str {
    match kind {
        TrackKind::Video => "video",
        TrackKind::Audio => "audio",
    }
}
