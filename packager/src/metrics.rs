//! What the packager counts. One struct for all broadcasts of a process; no label names a broadcast.

use prometheus::{Counter, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use schema::TrackKind;

/// The packager's metrics. Cloning shares them.
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
    /// Coded units left out, by reason.
    pub discarded: IntCounterVec,
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
}

/// Lateness buckets, in seconds, around the bar of 50 ms and the aim of 20 ms.
const LATENESS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.1, 0.25, 1.0];

impl BroadcastMetrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// When `registry` already has one of their names.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self::new()?;
        registry.register(Box::new(metrics.broadcasts_active.clone()))?;
        registry.register(Box::new(metrics.parts.clone()))?;
        registry.register(Box::new(metrics.segments.clone()))?;
        registry.register(Box::new(metrics.publish_lateness.clone()))?;
        registry.register(Box::new(metrics.discarded.clone()))?;
        registry.register(Box::new(metrics.holes.clone()))?;
        registry.register(Box::new(metrics.transcoder_restarts.clone()))?;
        registry.register(Box::new(metrics.transcoder_failures.clone()))?;
        registry.register(Box::new(metrics.transcoder_busy.clone()))?;
        registry.register(Box::new(metrics.transcoder_media.clone()))?;
        Ok(metrics)
    }

    fn new() -> Result<Self, prometheus::Error> {
        let by = |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        Ok(Self {
            broadcasts_active: IntGauge::new("headwater_broadcasts_active", "Broadcasts that run now.")?,
            parts: by("headwater_packager_parts_total", "Parts published, by kind of track.", "kind")?,
            segments: by("headwater_packager_segments_total", "Segments completed, by kind of track.", "kind")?,
            publish_lateness: Histogram::with_opts(
                HistogramOpts::new(
                    "headwater_packager_publish_lateness_seconds",
                    "Time from the encoder's last unit of a part to the playlist that lists it.",
                )
                .buckets(LATENESS.to_vec()),
            )?,
            discarded: by("headwater_packager_discarded_total", "Coded units left out, by reason.", "reason")?,
            holes: IntCounter::new("headwater_packager_holes_total", "Holes in the output's timeline.")?,
            transcoder_restarts: IntCounter::new(
                "headwater_transcoder_restarts_total",
                "Transcode workers that were started again after they died or hung.",
            )?,
            transcoder_failures: IntCounter::new(
                "headwater_transcoder_failures_total",
                "Broadcasts that ended because their worker could not be kept alive.",
            )?,
            transcoder_busy: Counter::new(
                "headwater_transcoder_busy_seconds_total",
                "Time that transcode workers spent working.",
            )?,
            transcoder_media: Counter::new(
                "headwater_transcoder_media_seconds_total",
                "Media that transcode workers worked through.",
            )?,
        })
    }

    /// Counts a unit left out. Words that a worker made up are counted as `other`.
    pub fn discard(&self, reason: &str) {
        const KNOWN: [&str; 9] = [
            "corrupt",
            "before_keyframe",
            "late",
            "unsupported",
            "before_start",
            "not_random_access",
            "overlap",
            "no_configuration",
            "unwritable",
        ];
        let reason = KNOWN.into_iter().find(|&known| known == reason);
        self.discarded.with_label_values(&[reason.unwrap_or("other")]).inc();
    }
}

/// The label of a kind of track.
pub(crate) fn kind_label(kind: TrackKind) -> &'static str {
    match kind {
        TrackKind::Video => "video",
        TrackKind::Audio => "audio",
    }
}
