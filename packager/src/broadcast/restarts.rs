//! How often and how fast a dead transcoder is started again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// More deaths than this within [`WINDOW`] end the broadcast.
const RESTARTS_MAX: usize = 5;
const WINDOW: Duration = Duration::from_secs(60);
/// Waits before the restarts, the first at once.
const DELAYS_MS: [u64; RESTARTS_MAX] = [0, 250, 500, 1_000, 2_000];

/// The recent restarts of one broadcast's transcoder.
#[derive(Debug, Default)]
pub(super) struct Restarts(VecDeque<Instant>);

impl Restarts {
    /// How long to wait before the next start; `None` when it has died too often.
    pub(super) fn next(&mut self, now: Instant) -> Option<Duration> {
        while self.0.front().is_some_and(|&first| now - first > WINDOW) {
            self.0.pop_front();
        }
        let delay = DELAYS_MS.get(self.0.len())?;
        self.0.push_back(now);
        Some(Duration::from_millis(*delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_slow_down_then_stop_and_are_forgiven_after_a_minute() {
        let mut restarts = Restarts::default();
        let now = Instant::now();
        let delays: Vec<_> = std::iter::from_fn(|| restarts.next(now)).collect();
        assert_eq!(delays, DELAYS_MS.map(Duration::from_millis));
        assert_eq!(restarts.next(now + Duration::from_secs(59)), None);
        assert_eq!(restarts.next(now + Duration::from_secs(61)), Some(Duration::ZERO));
    }
}
