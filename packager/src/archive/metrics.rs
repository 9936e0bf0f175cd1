//! What the DVR windows of a node count.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Why a segment is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missed {
    /// The disk was slower than the broadcast.
    QueueFull,
    /// `dvr.bytes_max` or `dvr.free_bytes_min` left no room.
    NoRoom,
    /// It could not be written.
    Io,
    /// It does not fit behind the one before.
    Unfit,
}

impl Missed {
    const ALL: [Self; 4] = [Self::QueueFull, Self::NoRoom, Self::Io, Self::Unfit];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::NoRoom => "no_room",
            Self::Io => "io",
            Self::Unfit => "unfit",
        }
    }
}

/// The metrics of all DVR windows of a process. Cloning shares them. The doc comment of each field is its help text.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    /// Segments written for rewinding.
    pub(super) written: IntCounter,
    /// Segments that are not kept for rewinding, by reason; the list has a gap there.
    missed: IntCounterVec,
    /// Segments taken off a DVR list before their time, for want of room.
    pub(super) shortened: IntCounter,
    /// Files that could not be deleted.
    pub(super) undeletable: IntCounter,
    /// Bytes of all files kept for rewinding.
    pub(super) bytes: IntGauge,
}

impl Metrics {
    /// Registers all of them. Every counter shows from the start, at zero.
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(format!("headwater_dvr_{name}"), help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let missed = IntCounterVec::new(
            Opts::new(
                "headwater_dvr_missed_total",
                "Segments that are not kept for rewinding, by reason; the list has a gap there.",
            ),
            &["reason"],
        )?;
        registry.register(Box::new(missed.clone()))?;
        for reason in Missed::ALL {
            missed.with_label_values(&[reason.as_str()]);
        }
        let bytes = IntGauge::new("headwater_dvr_bytes", "Bytes of all files kept for rewinding.")?;
        registry.register(Box::new(bytes.clone()))?;
        Ok(Self {
            written: counter("written_total", "Segments written for rewinding.")?,
            missed,
            shortened: counter(
                "shortened_total",
                "Segments taken off a DVR list before their time, for want of room.",
            )?,
            undeletable: counter("undeletable_total", "Files that could not be deleted.")?,
            bytes,
        })
    }

    /// Counts a segment that is not kept.
    pub(super) fn missed(&self, reason: Missed) {
        self.missed.with_label_values(&[reason.as_str()]).inc();
    }
}
