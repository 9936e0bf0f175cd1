//! What WHIP sessions count, for operators.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, core::Collector};

use schema::{MediaTime, SessionEnd, TrackKind};

use crate::clock::Ignored;
use crate::media::Counts;

/// Why access units are dropped.
const DROPS: [&str; 5] = ["corrupt", "withheld", "refused", "malformed", "full"];
/// Why keyframes are asked for.
const KEYFRAME_REASONS: [&str; 3] = ["undecodable", "full", "wished"];
/// The refusals that an operator can do something about; others show once they happen.
const REFUSALS: [&str; 5] =
    ["key_unknown", "admission_unavailable", "no_room", "sessions_too_many", "codec_unsupported"];

/// The metrics of all sessions. The doc comment of each field is its help text.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Publisher sessions open now.
    pub active: IntGauge,
    /// Publisher sessions that ended, by reason.
    pub ended: IntCounterVec,
    /// Publish requests refused, by problem code.
    pub refused: IntCounterVec,
    /// RTP packets received, by kind of track.
    pub packets: IntCounterVec,
    /// RTP packets given up as lost, by kind of track.
    pub lost: IntCounterVec,
    /// RTP packets that came after they were given up, by kind of track.
    pub late: IntCounterVec,
    /// RTP packets that came twice, by kind of track.
    pub duplicated: IntCounterVec,
    /// RTP packets dropped for a sequence number far from all others, by kind of track.
    pub stray: IntCounterVec,
    /// RTP packets that came after a later one, mostly for having been asked for, by kind of track.
    pub recovered: IntCounterVec,
    /// RTP packets asked for again, by kind of track.
    pub retransmission_requests: IntCounterVec,
    /// Keyframes asked for, by reason.
    pub keyframe_requests: IntCounterVec,
    /// Access units handed to the feed, by kind of track.
    pub units: IntCounterVec,
    /// Access units (or packets of a refused kind) dropped, by reason.
    pub units_dropped: IntCounterVec,
    /// Sender reports ignored, by reason.
    pub reports_ignored: IntCounterVec,
    /// Correction between video and audio still to be made at each sender report, in seconds.
    pub av_skew: Histogram,
    /// How unevenly packets arrive (RFC 3550 6.4.1), noted each second, by kind of track, in seconds.
    pub jitter: HistogramVec,
    /// Round trip to the publisher, noted each second, in seconds.
    pub round_trip: Histogram,
    /// Access units that wait in a session's feed whenever one more comes.
    pub feed_depth: Histogram,
}

impl Metrics {
    /// Makes and registers all metrics.
    ///
    /// # Errors
    /// If `registry` has metrics of these names already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter =
            |name: &str, help: &str, label: &str| register(registry, IntCounterVec::new(opts(name, help), &[label])?);
        let metrics = Self {
            active: register(registry, IntGauge::with_opts(opts("sessions_active", "Publisher sessions open now."))?)?,
            ended: counter("sessions_ended_total", "Publisher sessions that ended, by reason.", "end")?,
            refused: counter("sessions_refused_total", "Publish requests refused, by problem code.", "code")?,
            packets: counter("packets_total", "RTP packets received, by kind of track.", "kind")?,
            lost: counter("packets_lost_total", "RTP packets given up as lost, by kind of track.", "kind")?,
            late: counter(
                "packets_late_total",
                "RTP packets that came after they were given up, by kind of track.",
                "kind",
            )?,
            duplicated: counter("packets_duplicated_total", "RTP packets that came twice, by kind of track.", "kind")?,
            stray: counter(
                "packets_stray_total",
                "RTP packets dropped for a sequence number far from all others, by kind of track.",
                "kind",
            )?,
            recovered: counter(
                "packets_recovered_total",
                "RTP packets that came after a later one, mostly for having been asked for, by kind of track.",
                "kind",
            )?,
            retransmission_requests: counter(
                "retransmission_requests_total",
                "RTP packets asked for again, by kind of track.",
                "kind",
            )?,
            keyframe_requests: counter("keyframe_requests_total", "Keyframes asked for, by reason.", "reason")?,
            units: counter("units_total", "Access units handed to the feed, by kind of track.", "kind")?,
            units_dropped: counter(
                "units_dropped_total",
                "Access units (or packets of a refused kind) dropped, by reason.",
                "reason",
            )?,
            reports_ignored: counter("sender_reports_ignored_total", "Sender reports ignored, by reason.", "reason")?,
            av_skew: register(registry, av_skew()?)?,
            jitter: register(registry, jitter()?)?,
            round_trip: register(registry, round_trip()?)?,
            feed_depth: register(registry, feed_depth()?)?,
        };
        metrics.show_zeros();
        Ok(metrics)
    }

    /// Shows each series with known labels from the start, so that its first count is an increase.
    fn show_zeros(&self) {
        let by_kind = [
            &self.packets,
            &self.lost,
            &self.late,
            &self.duplicated,
            &self.stray,
            &self.recovered,
            &self.retransmission_requests,
        ];
        for kind in [TrackKind::Video, TrackKind::Audio].map(kind_word) {
            for counter in by_kind.into_iter().chain([&self.units]) {
                counter.with_label_values(&[kind]);
            }
            self.jitter.with_label_values(&[kind]);
        }
        let known = |counter: &IntCounterVec, words: &[&str]| {
            for word in words {
                counter.with_label_values(&[*word]);
            }
        };
        known(&self.units_dropped, &DROPS);
        known(&self.keyframe_requests, &KEYFRAME_REASONS);
        known(&self.reports_ignored, &Ignored::ALL.map(Ignored::as_str));
        known(&self.ended, &SessionEnd::ALL.map(SessionEnd::as_str));
        known(&self.refused, &REFUSALS);
    }

    /// Notes how unevenly a track's packets arrive.
    pub(super) fn observe_jitter(&self, kind: TrackKind, jitter: Duration) {
        self.jitter.with_label_values(&[kind_word(kind)]).observe(jitter.as_secs_f64());
    }

    /// Counts packets of a track that came out of order.
    pub(super) fn count_recovered(&self, kind: TrackKind, packets: u64) {
        add(&self.recovered, &[kind_word(kind)], packets);
    }

    /// Notes the round trip to a publisher, where it is known.
    pub(super) fn observe_round_trip(&self, round_trip: Option<Duration>) {
        if let Some(round_trip) = round_trip {
            self.round_trip.observe(round_trip.as_secs_f64());
        }
    }

    /// Notes how many units wait in a feed.
    pub(super) fn observe_depth(&self, units: usize) {
        self.feed_depth.observe(f64::from(u32::try_from(units).unwrap_or(u32::MAX)));
    }

    /// Counts a session's end.
    pub(super) fn count_end(&self, end: SessionEnd) {
        self.ended.with_label_values(&[end.as_str()]).inc();
    }

    /// Counts what happened to a track.
    pub(super) fn count_media(&self, kind: TrackKind, counts: &Counts) {
        let kind = [kind_word(kind)];
        add(&self.packets, &kind, counts.order.received);
        add(&self.lost, &kind, counts.order.lost);
        add(&self.late, &kind, counts.order.late);
        add(&self.duplicated, &kind, counts.order.duplicated);
        add(&self.stray, &kind, counts.order.stray);
        add(&self.units_dropped, &["corrupt"], counts.video.corrupt);
        add(&self.units_dropped, &["withheld"], counts.video.withheld);
        add(&self.units_dropped, &["refused"], counts.video.refused);
        add(&self.units_dropped, &["malformed"], counts.malformed);
    }

    /// Observes the skew that is left, whichever way.
    pub(super) fn observe_skew(&self, skew: MediaTime) {
        self.av_skew.observe(skew.abs().as_seconds());
    }
}

/// The word for a kind of track in labels.
pub(super) fn kind_word(kind: TrackKind) -> &'static str {
    match kind {
        TrackKind::Video => "video",
        TrackKind::Audio => "audio",
    }
}

fn add(counter: &IntCounterVec, labels: &[&str], count: u64) {
    if count > 0 {
        counter.with_label_values(labels).inc_by(count);
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("headwater_ingest")
}

fn jitter() -> Result<HistogramVec, prometheus::Error> {
    let help = "How unevenly packets arrive (RFC 3550 6.4.1), noted each second, by kind of track, in seconds.";
    let buckets = vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2];
    HistogramVec::new(HistogramOpts::from(opts("jitter_seconds", help)).buckets(buckets), &["kind"])
}

fn round_trip() -> Result<Histogram, prometheus::Error> {
    let help = "Round trip to the publisher, noted each second, in seconds.";
    let buckets = vec![0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2];
    Histogram::with_opts(HistogramOpts::from(opts("round_trip_seconds", help)).buckets(buckets))
}

fn feed_depth() -> Result<Histogram, prometheus::Error> {
    let help = "Access units that wait in a session's feed whenever one more comes.";
    let buckets = vec![1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 512.0];
    Histogram::with_opts(HistogramOpts::from(opts("feed_depth_units", help)).buckets(buckets))
}

fn av_skew() -> Result<Histogram, prometheus::Error> {
    let help = "Correction between video and audio still to be made at each sender report, in seconds.";
    let buckets = vec![0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.5, 1.0, 3.0];
    Histogram::with_opts(HistogramOpts::from(opts("av_skew_seconds", help)).buckets(buckets))
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
