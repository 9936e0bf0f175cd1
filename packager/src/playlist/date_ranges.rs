//! The date ranges of a media playlist (rfc8216bis 4.4.5.1): a tag where an outage of the publishers begins, and
//! another of the same ID where its end is known.
//!
//! Tags are only ever appended: each keeps its place behind what was listed when it came (6.2.1).

use std::collections::VecDeque;

use schema::{Incarnation, MediaTime, UnixMicros};

use super::render::date_time;
use crate::live::Old;
use crate::outage::Outage;

/// `CLASS` of the outages of publishers.
const CLASS: &str = "headwater.outage";

/// What stood before a tag when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// All segments below this number,
    pub(super) msn: u64,
    /// and so many parts of this one.
    pub(super) parts: usize,
}

#[derive(Debug)]
struct Tag {
    outage: u64,
    is_end: bool,
    place: Place,
    /// Where the listed media ended when it came.
    added: MediaTime,
    line: String,
    /// The last segment that it can be about, once its end is known.
    last_msn: Option<u64>,
}

/// The date ranges of one list.
#[derive(Debug)]
pub(super) struct DateRanges {
    incarnation: Incarnation,
    zero: UnixMicros,
    tags: VecDeque<Tag>,
    /// The newest that was listed: its outage, and whether it said its end. IDs are never used again.
    newest: Option<(u64, bool)>,
    /// IDs that left the list, and where its media ended then.
    removed: VecDeque<(String, MediaTime)>,
}

impl DateRanges {
    pub(super) fn new(incarnation: Incarnation, zero: UnixMicros) -> Self {
        Self { incarnation, zero, tags: VecDeque::new(), newest: None, removed: VecDeque::new() }
    }

    /// Lists an outage, or its end; true if that was not listed. `last_msn` is the last segment that it can be about.
    pub(super) fn mark(&mut self, outage: &Outage, place: Place, listed_to: MediaTime, last_msn: u64) -> bool {
        let is_end = outage.end.is_some();
        let word = Some((outage.number, is_end));
        if self.newest >= word {
            return false;
        }
        self.newest = word;
        let line = self.line(outage);
        self.tags.push_back(Tag { outage: outage.number, is_end, place, added: listed_to, line, last_msn: None });
        if is_end {
            let tags = self.tags.iter_mut().filter(|tag| tag.outage == outage.number);
            tags.for_each(|tag| tag.last_msn = Some(last_msn));
        }
        true
    }

    fn id(&self, outage: u64) -> String {
        format!("outage-{}-{outage}", self.incarnation)
    }

    /// The second tag repeats START-DATE, without which some parsers refuse a playlist, and not CLASS, as others take
    /// two tags of one class for two ranges that overlap.
    fn line(&self, outage: &Outage) -> String {
        let date = |time| date_time(self.zero.plus(time));
        let (id, start) = (self.id(outage.number), date(outage.start));
        match outage.end.map(date) {
            None => format!("#EXT-X-DATERANGE:ID=\"{id}\",CLASS=\"{CLASS}\",START-DATE=\"{start}\""),
            Some(end) => format!("#EXT-X-DATERANGE:ID=\"{id}\",START-DATE=\"{start}\",END-DATE=\"{end}\""),
        }
    }

    /// The list begins with this segment now: what is about earlier ones alone leaves it, and is remembered for
    /// `memory`. The number decides and not the date, so that all lists of a broadcast drop the same.
    pub(super) fn retire(&mut self, first_msn: u64, listed_to: MediaTime, memory: MediaTime) {
        let is_over = |tag: &Tag| tag.last_msn.is_some_and(|last| last < first_msn);
        let gone = self.tags.iter().filter(|tag| tag.is_end && is_over(tag)).map(|tag| self.id(tag.outage));
        let gone: Vec<(String, MediaTime)> = gone.map(|id| (id, listed_to)).collect();
        self.removed.extend(gone);
        self.tags.retain(|tag| !is_over(tag));
        self.removed.retain(|(_, at)| listed_to - *at <= memory);
    }

    /// The lines that stand before all that is listed from this segment on.
    pub(super) fn before(&self, msn: u64) -> impl Iterator<Item = &str> {
        self.lines(move |place| place.msn < msn)
    }

    /// The lines that stand behind so many parts of this segment.
    pub(super) fn at(&self, msn: u64, parts: usize) -> impl Iterator<Item = &str> {
        self.lines(move |place| place == Place { msn, parts })
    }

    /// The lines that stand within this segment, somewhere behind its first part.
    pub(super) fn within(&self, msn: u64) -> impl Iterator<Item = &str> {
        self.lines(move |place| place.msn == msn && place.parts > 0)
    }

    /// The lines that stand behind all that is listed up to this segment.
    pub(super) fn from(&self, msn: u64) -> impl Iterator<Item = &str> {
        self.lines(move |place| place.msn >= msn)
    }

    fn lines(&self, is_meant: impl Fn(Place) -> bool) -> impl Iterator<Item = &str> {
        self.tags.iter().filter(move |tag| is_meant(tag.place)).map(|tag| tag.line.as_str())
    }

    /// What was added, or removed, further back than `boundary`.
    pub(super) fn old(&self, listed_to: MediaTime, boundary: MediaTime) -> Old {
        let old = self.tags.iter().filter(|tag| listed_to - tag.added > boundary);
        let removed = self.removed.iter().map(|(id, _)| id.clone());
        Old { lines: old.map(|tag| tag.line.clone()).collect(), removed: removed.collect() }
    }
}
