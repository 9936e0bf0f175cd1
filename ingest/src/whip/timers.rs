//! What a session does by the clock: when its publisher is given up, when keyframes are asked for, when figures are
//! noted. Reads no clock.

use std::time::{Duration, Instant};

use schema::SessionEnd;

use super::Limits;

/// How often a keyframe is asked for while it is wanted.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);
/// How often jitter and round trip are noted.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// Whether the publisher is still there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Liveness {
    /// Answered at this instant; not connected.
    Opened(Instant),
    /// Connected at this instant; no media yet.
    Connected(Instant),
    /// The last media came at this instant.
    Media(Instant),
    /// It closed its connection at this instant; a goodbye by HTTP may follow.
    HungUp(Instant),
}

/// How long a goodbye may take after the connection was closed. OBS closes first.
const GOODBYE_WAIT: Duration = Duration::from_secs(1);
/// A goodbye after so long without media is that of a client that gives up a bad connection, and may come back.
const GOODBYE_SILENCE: Duration = Duration::from_secs(2);

impl Liveness {
    pub(super) fn connected(&mut self, now: Instant) {
        if matches!(self, Self::Opened(_)) {
            *self = Self::Connected(now);
        }
    }

    /// The connection was closed, which is no goodbye yet: a page that is reloaded does so too.
    pub(super) fn hung_up(&mut self, now: Instant) {
        *self = Self::HungUp(now);
    }

    /// True once the connection has nothing more to say.
    pub(super) fn is_hung_up(self) -> bool {
        matches!(self, Self::HungUp(_))
    }

    /// How a session ends whose publisher says goodbye.
    pub(super) fn goodbye(self, now: Instant) -> SessionEnd {
        match self {
            Self::Media(last) if now >= last + GOODBYE_SILENCE => SessionEnd::Lost,
            _ => SessionEnd::Closed,
        }
    }

    pub(super) fn deadline(self, limits: &Limits) -> Instant {
        match self {
            Self::Opened(at) => at + limits.connect,
            Self::Connected(at) | Self::Media(at) => at + limits.silence,
            Self::HungUp(at) => at + GOODBYE_WAIT,
        }
    }

    pub(super) fn end(self, limits: &Limits, now: Instant) -> Option<SessionEnd> {
        let over = now >= self.deadline(limits);
        over.then_some(match self {
            Self::Opened(_) | Self::HungUp(_) => SessionEnd::Lost,
            Self::Connected(_) | Self::Media(_) => SessionEnd::Silent,
        })
    }
}

/// When keyframes are asked for.
#[derive(Debug, Default)]
pub(super) struct Keyframes {
    /// Some packet of the video has come.
    pub(super) video_seen: bool,
    /// The feed's reader wants one, and none was fed since.
    pub(super) wished: bool,
    asked: Option<Instant>,
}

impl Keyframes {
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        let may = self.asked.is_none_or(|at| now >= at + KEYFRAME_INTERVAL);
        if may {
            self.asked = Some(now);
        }
        may
    }
}

/// When the transport's figures are noted.
#[derive(Debug)]
pub(super) struct Samples {
    last: Option<Instant>,
    /// What had been recovered of each track by then.
    pub(super) recovered: Vec<u64>,
}

impl Samples {
    /// Of so many tracks; the first is due at once.
    pub(super) fn new(tracks: usize) -> Self {
        Self { last: None, recovered: vec![0; tracks] }
    }

    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.last.is_none_or(|last| now >= last + SAMPLE_INTERVAL);
        if due {
            self.last = Some(now);
        }
        due
    }
}
