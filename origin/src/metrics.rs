//! What the origin counts. The doc comment of each field is its help text.

use http::StatusCode;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::refusal::Refusal;

/// The kind of resource that a request is about, as a metrics label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Multivariant,
    State,
    AwaitedState,
    Thumbnail,
    Playlist,
    Dvr,
    Object,
    /// The rules of private playback, for edges.
    Rules,
    /// Preflights, other methods, and paths that name nothing of ours.
    Other,
}

impl Route {
    const ALL: [Self; 9] = [
        Self::Multivariant,
        Self::State,
        Self::AwaitedState,
        Self::Thumbnail,
        Self::Playlist,
        Self::Dvr,
        Self::Object,
        Self::Rules,
        Self::Other,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Multivariant => "multivariant",
            Self::State => "state",
            Self::AwaitedState => "awaited_state",
            Self::Thumbnail => "thumbnail",
            Self::Playlist => "playlist",
            Self::Dvr => "dvr",
            Self::Object => "object",
            Self::Rules => "rules",
            Self::Other => "other",
        }
    }
}

/// What may come of reading a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileRead {
    /// It was read.
    Done,
    /// It is gone: it is owed to nobody any more.
    Gone,
    /// The disk failed, or the file is not what it was.
    Failed,
    /// Too much is read or being sent.
    Refused,
}

impl FileRead {
    const ALL: [Self; 4] = [Self::Done, Self::Gone, Self::Failed, Self::Refused];

    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Gone => "gone",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// The classes of status that answers are counted by.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Upper bounds of the wait histogram, in seconds: dense around a part, up to three times the
/// longest target duration.
const WAIT_BUCKETS_S: [f64; 13] = [0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 2.0, 3.0, 6.0, 12.0, 18.0];

/// The origin's metrics.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// Answers by route and status class.
    requests: IntCounterVec,
    /// Requests that wait for media, or for a broadcast to begin, now.
    pub(crate) held: IntGauge,
    /// Requests refused because too many waited.
    pub(crate) held_refused: IntCounter,
    /// How long requests waited for media, also those whose viewer left, in seconds.
    pub(crate) wait: Histogram,
    /// Bytes of the bodies of all answers, before transfer coding.
    body_bytes: IntCounter,
    /// Files read for viewers who rewind, by result.
    file_reads: IntCounterVec,
    /// Requests refused for want of a right, by the problem's code.
    kept_out: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("headwater_origin_requests_total", "Answers by route and status class."),
            &["route", "status"],
        )?;
        let held = IntGauge::new(
            "headwater_origin_held_requests",
            "Requests that wait for media, or for a broadcast to begin, now.",
        )?;
        let held_refused =
            IntCounter::new("headwater_origin_held_refused_total", "Requests refused because too many waited.")?;
        let wait = Histogram::with_opts(
            HistogramOpts::new(
                "headwater_origin_wait_seconds",
                "How long requests waited for media, also those whose viewer left, in seconds.",
            )
            .buckets(WAIT_BUCKETS_S.to_vec()),
        )?;
        let body_bytes = IntCounter::new(
            "headwater_origin_body_bytes_total",
            "Bytes of the bodies of all answers, before transfer coding.",
        )?;
        let file_reads = IntCounterVec::new(
            Opts::new("headwater_origin_file_reads_total", "Files read for viewers who rewind, by result."),
            &["result"],
        )?;
        for result in FileRead::ALL {
            file_reads.with_label_values(&[result.as_str()]);
        }
        registry.register(Box::new(file_reads.clone()))?;
        let kept_out = IntCounterVec::new(
            Opts::new(
                "headwater_origin_kept_out_total",
                "Requests refused for want of a right, by the problem's code.",
            ),
            &["code"],
        )?;
        for refusal in Refusal::OF_GUARD {
            kept_out.with_label_values(&[refusal.code()]);
        }
        registry.register(Box::new(kept_out.clone()))?;
        for (route, class) in Route::ALL.iter().flat_map(|route| CLASSES.map(|class| (route, class))) {
            // From zero on, so that the first of its kind shows as an increase.
            requests.with_label_values(&[route.as_str(), class]);
        }
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(held.clone()))?;
        registry.register(Box::new(held_refused.clone()))?;
        registry.register(Box::new(wait.clone()))?;
        registry.register(Box::new(body_bytes.clone()))?;
        Ok(Self { requests, held, held_refused, wait, body_bytes, file_reads, kept_out })
    }

    /// Counts what came of reading a file.
    pub(crate) fn file_read(&self, result: FileRead) {
        self.file_reads.with_label_values(&[result.as_str()]).inc();
    }

    /// Counts a refusal for want of a right; of others it counts nothing.
    pub(crate) fn refused(&self, refusal: Refusal) {
        if refusal.is_of_guard() {
            self.kept_out.with_label_values(&[refusal.code()]).inc();
        }
    }

    /// Counts one answer.
    pub(crate) fn answered(&self, route: Route, status: StatusCode, body_bytes: u64) {
        let class = match status.as_u16() {
            ..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[route.as_str(), class]).inc();
        self.body_bytes.inc_by(body_bytes);
    }
}
