//! How many viewers play from this port now: an estimate that knows nobody.
//!
//! A viewer is whoever asked for a playlist lately, told apart by address and `User-Agent`. Only one bit of a keyed
//! hash is kept of each ("linear counting", Whang et al. 1990): memory is fixed however many come, no lock is
//! taken, and the error stays near one percent up to half a million. Behind a CDN its edges are what is counted.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Registry};

/// A viewer counts for one to two of these after its last playlist. Players of the longest segments ask each 6 s.
const GENERATION: Duration = Duration::from_secs(15);
/// Words of 64 viewers in one generation: 32 KiB.
const WORDS: usize = 4_096;

/// Counts viewers. Cloning shares.
#[derive(Debug, Clone)]
pub(crate) struct Audience(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    hashing: RandomState,
    since: Instant,
    /// The number of the current generation.
    generation: AtomicU64,
    /// The current generation and the one before, in turns.
    bits: [Box<[AtomicU64]>; 2],
}

impl Audience {
    /// An audience whose size `registry` shows.
    ///
    /// # Errors
    /// A metric of its name is registered already.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let audience = Self::new(Instant::now());
        let help =
            "Viewers that asked for a playlist within the last 15 to 30 s, by address and User-Agent; an estimate";
        let shown = IntGauge::new("headwater_viewers", help)?;
        registry.register(Box::new(Gauge { audience: audience.clone(), shown }))?;
        Ok(audience)
    }

    fn new(since: Instant) -> Self {
        let bits = || (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        let shared =
            Shared { hashing: RandomState::new(), since, generation: AtomicU64::new(0), bits: [bits(), bits()] };
        Self(Arc::new(shared))
    }

    /// Takes note of a viewer that asks for a playlist.
    pub(crate) fn seen(&self, address: IpAddr, user_agent: &[u8], now: Instant) {
        let hash = self.0.hashing.hash_one((address, user_agent));
        let generation = self.advance(now);
        // The lowest six bits choose the bit, the next twelve the word.
        let word = usize::try_from((hash >> 6) % WORDS as u64).unwrap_or(0);
        self.0.of(generation)[word].fetch_or(1 << (hash & 63), Ordering::Relaxed);
    }

    /// How many there are now, more or less.
    fn size(&self, now: Instant) -> u64 {
        let generation = self.advance(now);
        let (current, last) = (self.0.of(generation), self.0.of(generation + 1));
        let both = |(a, b): (&AtomicU64, &AtomicU64)| a.load(Ordering::Relaxed) | b.load(Ordering::Relaxed);
        let zeros: u32 = current.iter().zip(last).map(|pair| both(pair).count_zeros()).sum();
        estimate(zeros)
    }

    /// Begins a new generation when it is time, and forgets the last but one.
    fn advance(&self, now: Instant) -> u64 {
        let due = now.saturating_duration_since(self.0.since).as_secs() / GENERATION.as_secs();
        let before = self.0.generation.fetch_max(due, Ordering::AcqRel);
        for fresh in (before + 1..=due).rev().take(2) {
            self.0.of(fresh).iter().for_each(|word| word.store(0, Ordering::Relaxed));
        }
        due.max(before)
    }
}

impl Shared {
    fn of(&self, generation: u64) -> &[AtomicU64] {
        &self.bits[usize::from(generation % 2 == 1)]
    }
}

/// n = -m ln(zeros / m); a full map tells only that there are very many.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 4 million")]
fn estimate(zeros: u32) -> u64 {
    let m = (WORDS * 64) as f64;
    let share = f64::from(zeros.max(1)) / m;
    (-m * share.ln()).round() as u64
}

struct Gauge {
    audience: Audience,
    shown: IntGauge,
}

impl Collector for Gauge {
    fn desc(&self) -> Vec<&Desc> {
        self.shown.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.shown.set(i64::try_from(self.audience.size(Instant::now())).unwrap_or(i64::MAX));
        self.shown.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn viewers_are_counted_once_however_often_they_ask() {
        let start = Instant::now();
        let audience = Audience::new(start);
        for _ in 0..20 {
            audience.seen(viewer(1), b"a player", start);
            audience.seen(viewer(1), b"another player", start);
            audience.seen(viewer(2), b"a player", start);
        }
        assert_eq!(audience.size(start), 3);
    }

    #[test]
    fn a_viewer_who_left_is_forgotten_after_two_generations() {
        let start = Instant::now();
        let audience = Audience::new(start);
        audience.seen(viewer(1), b"", start + Duration::from_secs(14));
        assert_eq!(audience.size(start + Duration::from_secs(29)), 1);
        assert_eq!(audience.size(start + Duration::from_secs(30)), 0);
        audience.seen(viewer(1), b"", start + Duration::from_secs(31));
        assert_eq!(audience.size(start + Duration::from_secs(1_000)), 0);
    }

    #[test]
    fn many_are_counted_to_two_percent() {
        let start = Instant::now();
        let audience = Audience::new(start);
        for number in 0..200_000 {
            audience.seen(viewer(number), b"", start);
        }
        let size = audience.size(start);
        assert!((196_000..204_000).contains(&size), "{size}");
    }
}
