//! The turns of one rendition: what its units come from, and what stands before the first segment behind each.

use std::collections::VecDeque;

use bytes::Bytes;
use packager_transcode::wire::Origin;
use schema::MediaTime;

use crate::timing::TOLERANCE;

/// More turns than this never wait for media: a rendition that gets none has no use for them.
const WAITING_MAX: usize = 64;

/// What is to be said before a segment is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begin {
    /// The segment's media sequence number, or a lower one.
    pub(super) msn: u64,
    /// Its discontinuity sequence number.
    pub(super) epoch: u64,
    /// Its init section, where that is another than before.
    pub(super) init: Option<Bytes>,
}

#[derive(Debug)]
struct Waiting {
    at: MediaTime,
    begin: Begin,
    origin: Option<Origin>,
}

/// All turns of one rendition that are not listed yet.
#[derive(Debug)]
pub(super) struct Turns {
    /// Where the newest units came from.
    origin: Origin,
    /// Turns whose time no unit has reached.
    waiting: VecDeque<Waiting>,
    /// The one that was reached and waits for the first unit of its origin.
    needs_init: Option<Begin>,
    /// Those that were reached and are not listed.
    begins: VecDeque<Begin>,
}

impl Turns {
    /// An encoder begins, behind a discontinuity of the number `epoch`.
    pub(super) fn new(epoch: u64) -> Self {
        let first = Begin { msn: 0, epoch, init: None };
        Self { origin: Origin::Own, waiting: VecDeque::new(), needs_init: Some(first), begins: VecDeque::new() }
    }

    /// A turn at `at`; `begin` says which segment begins there.
    pub(super) fn take(&mut self, at: MediaTime, begin: Begin, origin: Option<Origin>) {
        if self.waiting.len() >= WAITING_MAX
            && let Some(oldest) = self.waiting.pop_front()
            && let Some(next) = self.waiting.front_mut()
        {
            next.origin = next.origin.or(oldest.origin);
        }
        self.waiting.push_back(Waiting { at, begin, origin });
    }

    /// Where a unit of that time comes from.
    pub(super) fn origin_at(&self, time: MediaTime) -> Origin {
        let reached = self.waiting.iter().take_while(|turn| turn.at <= time + TOLERANCE);
        reached.filter_map(|turn| turn.origin).last().unwrap_or(self.origin)
    }

    /// The first turn up to that time which units of another origin begin with, if none has come yet.
    pub(super) fn next_origin(&self, time: MediaTime) -> Option<MediaTime> {
        let mut reached = self.waiting.iter().take_while(|turn| turn.at <= time + TOLERANCE);
        reached.find(|turn| turn.origin.is_some()).map(|turn| turn.at)
    }

    /// A unit of that time comes next.
    pub(super) fn reach(&mut self, time: MediaTime) {
        while let Some(Waiting { begin, origin, .. }) = self.waiting.pop_front_if(|turn| turn.at <= time + TOLERANCE) {
            match (origin, self.needs_init.take()) {
                (None, None) => self.begins.push_back(begin),
                (origin, _) => {
                    self.origin = origin.unwrap_or(self.origin);
                    self.needs_init = Some(begin);
                }
            }
        }
    }

    /// True if the next unit must bring a new init section.
    pub(super) fn needs_init(&self) -> bool {
        self.needs_init.is_some()
    }

    /// The init section of what comes now.
    pub(super) fn set_init(&mut self, init: Bytes) {
        let begin = self.needs_init.take();
        self.begins.extend(begin.map(|begin| Begin { init: Some(init), ..begin }));
    }

    /// True if the segment of that number has another init section than the one before.
    pub(super) fn changes_init(&self, msn: u64) -> bool {
        let waiting = self.waiting.iter().any(|turn| turn.begin.msn == msn && turn.origin.is_some());
        let reached = self.needs_init.as_ref().is_some_and(|begin| begin.msn == msn);
        waiting || reached || self.begins.iter().any(|begin| begin.msn == msn && begin.init.is_some())
    }

    /// What is to be said before the segment of that number, once.
    pub(super) fn begin(&mut self, msn: u64) -> Option<Begin> {
        self.begins.pop_front_if(|begin| begin.msn <= msn)
    }
}
