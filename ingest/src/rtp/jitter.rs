//! How unevenly packets arrive: the interarrival jitter of RFC 3550 6.4.1, in real time.

use std::time::{Duration, Instant};

/// The jitter of one track, smoothed over some sixteen packets.
#[derive(Debug, Clone)]
pub struct Jitter {
    clock_rate: u32,
    last: Option<(u32, Instant)>,
    /// In seconds.
    smoothed: f64,
}

impl Jitter {
    /// For timestamps of `clock_rate` ticks in one second, which is not 0.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate, last: None, smoothed: 0.0 }
    }

    /// Takes a packet's timestamp and arrival in.
    pub fn packet(&mut self, timestamp: u32, arrival: Instant) {
        if let Some((before, arrived)) = self.last.replace((timestamp, arrival)) {
            let sent = f64::from(timestamp.wrapping_sub(before).cast_signed()) / f64::from(self.clock_rate.max(1));
            let difference = signed_seconds(arrived, arrival) - sent;
            // A leap of the timestamps tells nothing about the network.
            if difference.abs() < 1.0 {
                self.smoothed += (difference.abs() - self.smoothed) / 16.0;
            }
        }
    }

    /// The jitter so far.
    #[must_use]
    pub fn get(&self) -> Duration {
        Duration::try_from_secs_f64(self.smoothed).unwrap_or_default()
    }
}

fn signed_seconds(from: Instant, to: Instant) -> f64 {
    match to.checked_duration_since(from) {
        Some(later) => later.as_secs_f64(),
        None => -from.duration_since(to).as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pauses_ms: &[u64]) -> f64 {
        let mut jitter = Jitter::new(90_000);
        let mut now = Instant::now();
        let mut timestamp = u32::MAX - 5_000;
        for pause in pauses_ms {
            jitter.packet(timestamp, now);
            timestamp = timestamp.wrapping_add(1_800);
            now += Duration::from_millis(*pause);
        }
        jitter.get().as_secs_f64() * 1_000.0
    }

    #[test]
    fn packets_that_come_as_they_were_sent_have_none() {
        assert!(after(&[20; 100]) < 0.001);
    }

    #[test]
    fn packets_ten_milliseconds_off_in_turns_have_ten() {
        let turns: Vec<u64> = [10, 30].repeat(100);
        let jitter = after(&turns);
        assert!((9.9..10.1).contains(&jitter), "{jitter}");
    }

    #[test]
    fn a_leap_of_the_timestamps_is_no_jitter() {
        let mut jitter = Jitter::new(48_000);
        let now = Instant::now();
        jitter.packet(0, now);
        jitter.packet(3_000_000_000, now);
        assert_eq!(jitter.get(), Duration::ZERO);
    }
}
