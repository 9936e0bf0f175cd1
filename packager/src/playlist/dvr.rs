//! The DVR window of one rendition: what is listed for rewinding, what left the list and is still owed, and what may be
//! deleted (rfc8216bis 6.2.2). It lists whole segments under the numbers and names of the live list.
//!
//! Reads no clock and touches no file. Time is that of the media, which goes on with the clock.

use std::collections::VecDeque;
use std::sync::Arc;

use schema::{MediaTime, UnixMicros};

use crate::timing::Timing;

mod block;
mod gzip;
mod kept;
mod revision;

use block::Block;
pub use kept::{FileName, Kept, KeptInit};
pub use revision::DvrSnapshot;
use revision::Written;

/// The skip boundary of delta updates, in target durations (rfc8216bis 4.4.3.8).
const SKIP_TARGET_DURATIONS: i64 = 6;
/// However short room is, so many segments stay listed (authoring rules, 8.11), which are three target durations.
pub const LISTED_MIN: u64 = 6;
/// Where room is short, a removed segment stays for so many segment lengths more: players know a list that is a target
/// duration old.
const OWED_AT_LEAST: i64 = 3;
/// The most numbers in a row of which nothing was told: more than the longest window has.
const HOLE_MAX: u64 = 100_000;
/// Times and numbers above this are not ours.
const PLAUSIBLE: u64 = 1 << 60;

/// What never changes in a window's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The times of the live list, which has the same target duration.
    pub timing: Arc<Timing>,
    /// The capture time of media time zero.
    pub zero: UnixMicros,
    /// How much is listed. Never less than the live list has.
    pub span: MediaTime,
}

impl Rules {
    /// The skip boundary of delta updates.
    #[must_use]
    pub fn skip_until(&self) -> MediaTime {
        MediaTime(self.timing.segment.0 * SKIP_TARGET_DURATIONS)
    }

    fn span(&self) -> MediaTime {
        let listed = i64::try_from(self.timing.listed_segments).unwrap_or(i64::MAX);
        self.span.max(MediaTime(self.timing.segment.0.saturating_mul(listed)))
    }
}

/// The DVR window of one rendition.
#[derive(Debug)]
pub struct DvrWindow {
    rules: Arc<Rules>,
    blocks: VecDeque<Arc<Block>>,
    /// The oldest segment that is still owed, the first that is listed, and the number that comes next.
    owed_from: u64,
    first: u64,
    next: u64,
    /// Where the media ended when each segment that is owed was removed.
    removed_at: VecDeque<MediaTime>,
    listed: MediaTime,
    longest: MediaTime,
    end: MediaTime,
    listed_bytes: u64,
    owed_bytes: u64,
    inits: Vec<KeptInit>,
    revision: u64,
    ended: bool,
}

impl DvrWindow {
    /// An empty window.
    #[must_use]
    pub fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            blocks: VecDeque::new(),
            owed_from: 0,
            first: 0,
            next: 0,
            removed_at: VecDeque::new(),
            listed: MediaTime::ZERO,
            longest: MediaTime::ZERO,
            end: MediaTime::ZERO,
            listed_bytes: 0,
            owed_bytes: 0,
            inits: Vec::new(),
            revision: 0,
            ended: false,
        }
    }

    /// An init section is kept from now on.
    pub fn add_init(&mut self, init: KeptInit) {
        if !self.has_init(init.incarnation, init.index) {
            self.inits.push(init);
        }
    }

    /// True if that init section is kept.
    #[must_use]
    pub fn has_init(&self, incarnation: schema::Incarnation, index: u32) -> bool {
        self.inits.iter().any(|init| init.incarnation == incarnation && init.index == index)
    }

    /// Lists a segment that is kept, or that is not, as a gap. Numbers between, of which nothing was told, are gaps too
    /// (rfc8216bis 4.4.4.7). False if it cannot follow.
    pub fn append(&mut self, mut kept: Kept) -> bool {
        if self.ended || !self.can_follow(&kept) {
            return false;
        }
        match self.last().copied() {
            // The first one on disk knows by its name what stood before it.
            None => (self.owed_from, self.first, self.next) = (kept.msn, kept.msn, kept.msn),
            Some(before) => {
                self.fill(&before, &kept);
                kept = self.fitted(kept);
            }
        }
        self.push(kept);
        true
    }

    /// The segment with as many discontinuities as there are between it and the last one.
    #[must_use]
    pub fn fitted(&self, kept: Kept) -> Kept {
        match self.last() {
            Some(before) => {
                let epoch = kept.epoch.max(before.epoch);
                Kept { epoch, discontinuities: epoch - before.epoch, ..kept }
            }
            None => kept,
        }
    }

    /// A gap in place of a segment that is not kept; `None` where no init section could stand before it.
    #[must_use]
    pub fn gap(&self, kept: Kept) -> Option<Kept> {
        let (incarnation, init) = match self.has_init(kept.incarnation, kept.init) {
            true => (kept.incarnation, kept.init),
            false => self.last().map(|before| (before.incarnation, before.init))?,
        };
        Some(self.fitted(Kept { length: None, incarnation, init, ..kept }))
    }

    /// What cannot may stand in the name of a file that is not ours.
    fn can_follow(&self, kept: &Kept) -> bool {
        let longest =
            i64::from(self.rules.timing.target_duration_s) * MediaTime::PER_SECOND + MediaTime::PER_SECOND / 2;
        let is_plausible = kept.msn < PLAUSIBLE
            && kept.discontinuities <= kept.epoch
            && (1..longest).contains(&kept.duration.0)
            && u64::try_from(kept.start.0).is_ok_and(|start| start < PLAUSIBLE);
        let is_next = self.blocks.is_empty() || (kept.msn >= self.next && kept.msn - self.next <= HOLE_MAX);
        is_plausible && is_next
    }

    /// Gaps for the numbers between two segments, in the time between them.
    fn fill(&mut self, before: &Kept, after: &Kept) {
        let missing = after.msn - self.next;
        let time = (after.start - before.end()).max(MediaTime::ZERO);
        let share = time.0 / i64::try_from(missing.max(1)).unwrap_or(i64::MAX);
        let duration = MediaTime(share).min(self.rules.timing.segment);
        let mut start = before.end();
        for msn in self.next..after.msn {
            self.push(Kept { msn, start, duration, discontinuities: 0, length: None, ..*before });
            start += duration;
        }
    }

    fn push(&mut self, kept: Kept) {
        let before = self.last().copied();
        let number = Block::number(kept.msn);
        if before.is_none_or(|before| Block::number(before.msn) != number) {
            if let Some(full) = self.blocks.back() {
                // Here and not for a viewer.
                full.packed();
            }
            self.blocks.push_back(Arc::default());
        }
        if let Some(block) = self.blocks.back_mut() {
            Arc::make_mut(block).push(kept, before.as_ref(), &self.rules);
        }
        self.next = kept.msn + 1;
        self.listed += kept.duration;
        self.longest = self.longest.max(self.listed);
        self.listed_bytes += kept.bytes();
        self.end = self.end.max(kept.end());
    }

    /// Where the list begins if it is as long as it should be.
    #[must_use]
    pub fn first_within_span(&self) -> u64 {
        let span = self.rules.span();
        let mut listed = self.listed;
        let mut first = self.first;
        while let Some(kept) = self.segment(first)
            && listed - kept.duration >= span
        {
            listed -= kept.duration;
            first += 1;
        }
        first
    }

    /// Where the list begins if it is one segment shorter; `None` where it must not be.
    #[must_use]
    pub fn first_if_shorter(&self) -> Option<u64> {
        (self.next - self.first > LISTED_MIN && !self.ended).then_some(self.first + 1)
    }

    /// Takes the segments below `msn` off the list. They stay owed.
    pub fn remove_below(&mut self, msn: u64) {
        while self.first < msn.min(self.next)
            && let Some(kept) = self.segment(self.first).copied()
        {
            self.removed_at.push_back(self.end);
            self.first += 1;
            self.listed -= kept.duration;
            self.listed_bytes -= kept.bytes();
            self.owed_bytes += kept.bytes();
        }
    }

    /// Forgets what is not owed any more, and gives the files that may be deleted. A removed segment stays until its
    /// own duration and that of the longest list have passed since it came, and a segment more (rfc8216bis 6.2.2);
    /// where room is short, as long as a player may still know it.
    pub fn release(&mut self, room: Room) -> Vec<FileName> {
        let mut free = Vec::new();
        let segment = self.rules.timing.segment;
        while self.owed_from < self.first
            && let Some(kept) = self.segment(self.owed_from).copied()
        {
            let removed_at = self.removed_at.front().copied().unwrap_or(self.end);
            let until = match room {
                Room::Enough => kept.end() + kept.duration + self.longest + segment,
                Room::Short => removed_at + MediaTime(segment.0 * OWED_AT_LEAST),
            };
            if until > self.end {
                break;
            }
            self.removed_at.pop_front();
            self.owed_from += 1;
            self.owed_bytes -= kept.bytes();
            free.push(FileName::Segment(kept));
        }
        let is_over = |block: &Arc<Block>| block.segments().last().is_some_and(|last| last.msn < self.owed_from);
        while self.blocks.len() > 1 && self.blocks.front().is_some_and(is_over) {
            self.blocks.pop_front();
        }
        free.extend(self.release_inits());
        free
    }

    /// Those of which no segment is owed. One that has just come is for what comes next.
    fn release_inits(&mut self) -> Vec<FileName> {
        let newest = self.inits.last().copied();
        let oldest = self.segment(self.owed_from).map(|kept| (kept.incarnation, kept.init));
        let Some(oldest) = oldest else { return Vec::new() };
        let (kept, free) = std::mem::take(&mut self.inits)
            .into_iter()
            .partition(|init| (init.incarnation, init.index) >= oldest || Some(*init) == newest);
        self.inits = kept;
        let free: Vec<KeptInit> = free;
        free.into_iter().map(FileName::Init).collect()
    }

    /// Nothing follows.
    pub fn end_list(&mut self) {
        self.ended = true;
    }

    /// How much is listed, in bytes.
    #[must_use]
    pub fn listed_bytes(&self) -> u64 {
        self.listed_bytes
    }

    /// How much is kept at all, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.listed_bytes + self.owed_bytes + self.inits.iter().map(|init| init.length).sum::<u64>()
    }

    /// The number of the first listed segment.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The number that comes next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The next revision.
    #[must_use]
    pub fn snapshot(&mut self) -> DvrSnapshot {
        self.revision += 1;
        self.view()
    }

    /// The window as it is, under the revision of the last one.
    #[must_use]
    pub fn view(&self) -> DvrSnapshot {
        DvrSnapshot {
            revision: self.revision,
            first_msn: self.first,
            next_msn: self.next,
            ended: self.ended,
            listed: self.listed,
            rules: Arc::clone(&self.rules),
            owed_from: self.owed_from,
            blocks: self.blocks.iter().cloned().collect(),
            inits: self.inits.as_slice().into(),
            written: Written::default(),
        }
    }

    fn last(&self) -> Option<&Kept> {
        self.blocks.back().and_then(|block| block.segments().last())
    }

    fn segment(&self, msn: u64) -> Option<&Kept> {
        let oldest = Block::number(self.blocks.front()?.segments().first()?.msn);
        let index = usize::try_from(Block::number(msn).checked_sub(oldest)?).ok()?;
        self.blocks.get(index)?.segment(msn)
    }
}

/// Whether there is room on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Everything owed may stay.
    Enough,
    /// What can go must.
    Short,
}
