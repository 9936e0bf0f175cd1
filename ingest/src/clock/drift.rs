//! The publisher's clock against ours, over hours: no two crystals agree, and what is not absorbed makes
//! a broadcast's latency grow or its buffers run dry.
//!
//! How late media come after their time is never less than what the way takes; if the least of it
//! over some seconds creeps, the publisher's clock does. All tracks are moved together, by a rate that nobody
//! hears.

use schema::MediaTime;

/// The first reading of the least lateness; what follows is held to it.
const LEARN: MediaTime = MediaTime(2 * MediaTime::PER_SECOND);
/// How long the least lateness is looked for.
const WINDOW: MediaTime = MediaTime(10 * MediaTime::PER_SECOND);
/// Smaller differences are the network's.
const NOISE: MediaTime = MediaTime(2 * MediaTime::PER_SECOND / 1_000);
/// The most that all tracks are moved, in thousandths of the time that passes: 2 ms in a second.
pub(super) const RATE_PER_MILLE: i64 = 2;

/// What is known of the publisher's clock. Times are those of our clock since the broadcast's zero.
#[derive(Debug, Default)]
pub(super) struct Drift {
    /// The lateness that is held, once learnt.
    held: Option<MediaTime>,
    window: Option<Window>,
    /// The correction of all tracks, and what it is to become.
    applied: MediaTime,
    wished: MediaTime,
    moved_at: MediaTime,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began: MediaTime,
    least: MediaTime,
}

impl Drift {
    /// True until the first reading is complete.
    pub(super) fn is_learning(&self) -> bool {
        self.held.is_none()
    }

    /// Takes note of media whose uncorrected time is `raw` and that came at `now`; gives the correction.
    pub(super) fn correct(&mut self, raw: MediaTime, now: MediaTime) -> MediaTime {
        let late = now - raw;
        let window = self.window.get_or_insert(Window { began: now, least: late });
        window.least = window.least.min(late);
        let (length, least) = (now - window.began, window.least);
        match self.held {
            None if length >= LEARN => {
                self.held = Some(least);
                self.window = None;
            }
            Some(held) if length >= WINDOW => {
                // The correction makes media come that much less late.
                let rest = least - self.wished - held;
                if rest.abs() > NOISE {
                    self.wished += MediaTime(rest.0 / 2);
                }
                self.window = None;
            }
            _ => {}
        }
        self.move_on(now)
    }

    fn move_on(&mut self, now: MediaTime) -> MediaTime {
        let passed = (now - self.moved_at).0.max(0);
        self.moved_at = self.moved_at.max(now);
        let most = passed / 1_000 * RATE_PER_MILLE;
        self.applied += MediaTime((self.wished - self.applied).0.clamp(-most, most));
        self.applied
    }
}
