//! What a worker's threads count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use schema::MediaTime;

use crate::wire::Statistics;

/// What all threads count together.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) decoded: AtomicU64,
    pub(super) encoded: AtomicU64,
    pub(super) repeated: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) slate: AtomicU64,
    pub(super) busy_us: AtomicU64,
    /// Whether the process's time is the worker's.
    pub(super) own_process: bool,
}

impl Counters {
    /// Adds the time since `began` to the time spent working.
    pub(super) fn busy(&self, began: Instant) {
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.busy_us.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn statistics(&self, media: MediaTime) -> Statistics {
        Statistics {
            pictures_decoded: self.decoded.load(Ordering::Relaxed),
            pictures_encoded: self.encoded.load(Ordering::Relaxed),
            pictures_repeated: self.repeated.load(Ordering::Relaxed),
            pictures_skipped: self.skipped.load(Ordering::Relaxed),
            pictures_slate: self.slate.load(Ordering::Relaxed),
            busy_us: self.busy_us.load(Ordering::Relaxed),
            cpu_us: if self.own_process { cpu_us() } else { 0 },
            media,
        }
    }
}

/// The processor time of this process so far, in microseconds.
fn cpu_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let micros = time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000);
    u64::try_from(micros).unwrap_or(0)
}
