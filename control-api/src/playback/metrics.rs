//! What playback counts.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::Started;
use crate::http::problem::ApiError;

/// How a viewer's question for playback may end.
const RESULTS: [&str; 6] = ["started", "no_right", "too_many", "channel_unknown", "unavailable", "error"];

/// The counters of playback.
#[derive(Debug)]
pub(super) struct PlaybackMetrics {
    /// Viewers that asked for playback, by result.
    starts: IntCounterVec,
    /// Heartbeats of viewers.
    pub(super) heartbeats: IntCounter,
    /// Viewer sessions that were written to the database.
    pub(super) written: IntCounter,
    /// Viewer sessions that go on, as of some seconds ago.
    pub(super) viewers: IntGauge,
}

impl PlaybackMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let starts = Opts::new("headwater_control_playback_total", "Viewers that asked for playback, by result.");
        let metrics = Self {
            starts: IntCounterVec::new(starts, &["result"])?,
            heartbeats: IntCounter::new("headwater_control_heartbeats_total", "Heartbeats of viewers.")?,
            written: IntCounter::new(
                "headwater_control_viewer_sessions_written_total",
                "Viewer sessions that were written to the database.",
            )?,
            viewers: IntGauge::new(
                "headwater_control_viewer_sessions",
                "Viewer sessions that go on, as of some seconds ago.",
            )?,
        };
        for result in RESULTS {
            metrics.starts.with_label_values(&[result]);
        }
        registry.register(Box::new(metrics.starts.clone()))?;
        registry.register(Box::new(metrics.heartbeats.clone()))?;
        registry.register(Box::new(metrics.written.clone()))?;
        registry.register(Box::new(metrics.viewers.clone()))?;
        Ok(metrics)
    }

    /// Counts how a viewer's question ended.
    pub(super) fn started(&self, result: &Result<Started, ApiError>) {
        let word = match result {
            Ok(_) => "started",
            Err(ApiError::Refused { code: "viewers_too_many", .. } | ApiError::Conflict { .. }) => "too_many",
            Err(ApiError::Refused { .. }) => "no_right",
            Err(ApiError::Unknown(_)) => "channel_unknown",
            Err(ApiError::DatabaseUnavailable) => "unavailable",
            Err(_) => "error",
        };
        self.starts.with_label_values(&[word]).inc();
    }
}
