//! How long one connection may take for what. Pure: it reads no clock and owns no socket; who does tells it what
//! happened and when, and asks until when nothing more may be waited for.

use std::time::Duration;

use tokio::time::Instant;

/// Time limits of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From the connection's begin, and later from a request's first byte, to the end of that request's header.
    pub(crate) header: Duration,
    /// Without any request. A CDN keeps idle connections for 60 s; closing them sooner would cost it a request.
    pub(crate) idle: Duration,
    /// Without the client taking any byte of what is to be sent.
    pub(crate) stall: Duration,
    /// From the moment an idle connection is asked to end until it is ended by force.
    pub(crate) close: Duration,
}

impl Limits {
    /// What every port of ours grants.
    pub(crate) const USUAL: Self = Self {
        header: Duration::from_secs(10),
        idle: Duration::from_secs(65),
        stall: Duration::from_secs(30),
        close: Duration::from_secs(5),
    };
}

/// What has taken too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// The header of a request.
    Header,
    /// The next request: the connection should be asked to end.
    Idle,
    /// The client's reading.
    Stall,
    /// The end, after the connection was asked to.
    Close,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// A request's header is awaited.
    Header { since: Instant },
    /// Nothing is asked.
    Idle { since: Instant },
    /// So many requests are not wholly answered.
    Busy { requests: usize },
}

/// The pace of one connection.
#[derive(Debug)]
pub(crate) struct Pace {
    limits: Limits,
    phase: Phase,
    /// In HTTP/2 bytes come for many reasons, and each stream has a window of its own.
    multiplexed: bool,
    /// Since when the socket takes no bytes, if it takes none.
    blocked: Option<Instant>,
    /// Pieces of bodies that wait for their stream's window (HTTP/2 alone).
    pieces: usize,
    /// When the last of them moved on.
    moved: Instant,
    closing: Option<Instant>,
}

impl Pace {
    /// A connection that is ready for its first request.
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            phase: Phase::Header { since: now },
            multiplexed: false,
            blocked: None,
            pieces: 0,
            moved: now,
            closing: None,
        }
    }

    /// The connection speaks HTTP/2.
    pub(crate) fn multiplexed(&mut self) {
        self.multiplexed = true;
    }

    /// Bytes came.
    pub(crate) fn received(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Idle { .. }) && !self.multiplexed && self.blocked.is_none() {
            self.phase = Phase::Header { since: now };
        }
    }

    /// A request's header is complete.
    pub(crate) fn request_began(&mut self) {
        self.phase = match self.phase {
            Phase::Busy { requests } => Phase::Busy { requests: requests + 1 },
            Phase::Header { .. } | Phase::Idle { .. } => Phase::Busy { requests: 1 },
        };
    }

    /// A request's answer has been handed over wholly, or nobody wants it any more.
    pub(crate) fn request_ended(&mut self, now: Instant) {
        self.phase = match self.phase {
            Phase::Busy { requests } if requests > 1 => Phase::Busy { requests: requests - 1 },
            _ => Phase::Idle { since: now },
        };
    }

    /// The socket took bytes.
    pub(crate) fn wrote(&mut self, now: Instant) {
        self.blocked = None;
        if let Phase::Idle { since } = &mut self.phase
            && !self.multiplexed
        {
            *since = now;
        }
    }

    /// The socket took no bytes.
    pub(crate) fn blocked(&mut self, now: Instant) {
        self.blocked.get_or_insert(now);
    }

    /// A piece of a body waits for the client's window.
    pub(crate) fn piece_handed_over(&mut self, now: Instant) {
        if self.pieces == 0 {
            self.moved = now;
        }
        self.pieces += 1;
    }

    /// It waits no more.
    pub(crate) fn piece_taken(&mut self, now: Instant) {
        self.pieces = self.pieces.saturating_sub(1);
        self.moved = now;
    }

    /// The connection was asked to end.
    pub(crate) fn close(&mut self, now: Instant) {
        self.closing.get_or_insert(now);
    }

    /// Until when nothing more may be waited for, and what would be overdue then; nothing while a request is
    /// being worked on.
    pub(crate) fn deadline(&self) -> Option<(Instant, Overdue)> {
        let stalled = (self.multiplexed && self.pieces > 0).then_some(self.moved);
        let stalled = [self.blocked, stalled].into_iter().flatten().min();
        if let Some(since) = stalled {
            return Some((since + self.limits.stall, Overdue::Stall));
        }
        match (self.phase, self.closing) {
            (Phase::Busy { .. }, _) => None,
            (_, Some(since)) => Some((since + self.limits.close, Overdue::Close)),
            (Phase::Header { since }, None) => Some((since + self.limits.header, Overdue::Header)),
            (Phase::Idle { since }, None) => Some((since + self.limits.idle, Overdue::Idle)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Script {
        pace: Pace,
        start: Instant,
        now: Instant,
    }

    impl Script {
        fn new() -> Self {
            let now = Instant::now();
            Self { pace: Pace::new(Limits::USUAL, now), start: now, now }
        }

        fn after(&mut self, seconds: u64, event: impl FnOnce(&mut Pace, Instant)) -> &mut Self {
            self.now += Duration::from_secs(seconds);
            event(&mut self.pace, self.now);
            self
        }

        /// When and why it ends, in seconds from the start.
        fn end(&self) -> Option<(u64, Overdue)> {
            self.pace.deadline().map(|(at, what)| ((at - self.start).as_secs(), what))
        }
    }

    #[test]
    fn the_first_header_must_be_complete_soon_however_its_bytes_come() {
        let mut script = Script::new();
        assert_eq!(script.end(), Some((10, Overdue::Header)));
        script.after(4, Pace::received).after(5, Pace::received);
        assert_eq!(script.end(), Some((10, Overdue::Header)));
    }

    #[test]
    fn a_request_that_is_worked_on_has_no_deadline() {
        let mut script = Script::new();
        script.after(1, |pace, _| pace.request_began());
        assert_eq!(script.end(), None);
    }

    #[test]
    fn an_idle_connection_lives_long_but_a_begun_header_does_not() {
        let mut script = Script::new();
        script.after(1, |pace, _| pace.request_began()).after(1, Pace::request_ended);
        assert_eq!(script.end(), Some((67, Overdue::Idle)));
        script.after(30, Pace::received);
        assert_eq!(script.end(), Some((42, Overdue::Header)));
        script.after(1, Pace::received);
        assert_eq!(script.end(), Some((42, Overdue::Header)));
    }

    #[test]
    fn in_http2_other_frames_are_no_header_and_keep_nothing_alive() {
        let mut script = Script::new();
        script.after(0, |pace, _| pace.multiplexed());
        script.after(1, |pace, _| pace.request_began()).after(1, Pace::request_ended);
        script.after(20, Pace::received).after(20, Pace::wrote);
        assert_eq!(script.end(), Some((67, Overdue::Idle)));
        script.after(25, Pace::close);
        assert_eq!(script.end(), Some((72, Overdue::Close)));
    }

    #[test]
    fn a_client_that_takes_nothing_is_stalled_and_one_that_takes_a_little_is_not() {
        let mut script = Script::new();
        script.after(0, |pace, _| pace.request_began()).after(1, Pace::blocked).after(20, Pace::blocked);
        assert_eq!(script.end(), Some((31, Overdue::Stall)));
        script.after(5, Pace::wrote).after(0, Pace::blocked);
        assert_eq!(script.end(), Some((56, Overdue::Stall)));
    }

    #[test]
    fn a_long_answer_on_a_slow_line_is_not_idle_though_all_of_it_was_handed_over() {
        let mut script = Script::new();
        script.after(0, |pace, _| pace.request_began()).after(0, Pace::blocked).after(0, Pace::request_ended);
        for _ in 0..10 {
            script.after(20, Pace::wrote).after(0, Pace::blocked);
            assert!(script.end().is_some_and(|(at, _)| at > (script.now - script.start).as_secs() + 20));
        }
        script.after(1, Pace::wrote);
        assert_eq!(script.end(), Some((266, Overdue::Idle)));
    }

    #[test]
    fn a_stream_without_window_is_stalled_though_the_socket_is_free() {
        let mut script = Script::new();
        script.after(0, |pace, _| pace.multiplexed()).after(0, |pace, _| pace.request_began());
        script.after(1, Pace::piece_handed_over).after(5, Pace::wrote);
        assert_eq!(script.end(), Some((31, Overdue::Stall)));
        script.after(5, Pace::piece_taken);
        assert_eq!(script.end(), None);
    }

    proptest! {
        #[test]
        fn any_order_of_events_leaves_a_deadline_unless_a_request_is_worked_on(
            events in prop::collection::vec((0_u8..9, 0_u64..40), 0..60)
        ) {
            let mut script = Script::new();
            let mut requests = 0_usize;
            for (event, seconds) in events {
                match event {
                    0 => { requests += 1; script.after(seconds, |pace, _| pace.request_began()); }
                    1 if requests > 0 => { requests -= 1; script.after(seconds, Pace::request_ended); }
                    2 => { script.after(seconds, Pace::received); }
                    3 => { script.after(seconds, Pace::wrote); }
                    4 => { script.after(seconds, Pace::blocked); }
                    5 => { script.after(seconds, Pace::piece_handed_over); }
                    6 => { script.after(seconds, Pace::piece_taken); }
                    7 => { script.after(seconds, Pace::close); }
                    _ => { script.after(seconds, |pace, _| pace.multiplexed()); }
                }
                prop_assert!(requests > 0 || script.pace.deadline().is_some());
            }
        }
    }
}
