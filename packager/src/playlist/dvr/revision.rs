//! One immutable revision of a DVR list. It is written when the first viewer asks for it, once for all of them, out of
//! lines that were written when their segment came.

use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use schema::MediaTime;

use super::block::{self, Block};
use super::gzip::{self, Piece};
use super::{FileName, Kept, KeptInit, Rules};
use crate::live::{Name, Text};

/// What `EXT-X-SKIP` needs (rfc8216bis 8).
const VERSION: u32 = 9;

/// One immutable revision of a DVR list, with everything that it lists or once listed and still owes.
#[derive(Debug)]
pub struct DvrSnapshot {
    /// Counts revisions from 0: the empty window.
    pub revision: u64,
    /// The media sequence number of the first listed segment.
    pub first_msn: u64,
    /// The media sequence number of the segment that comes next.
    pub next_msn: u64,
    /// True once `EXT-X-ENDLIST` stands: nothing will be added.
    pub ended: bool,
    /// How much is listed.
    pub listed: MediaTime,
    pub(super) rules: Arc<Rules>,
    pub(super) owed_from: u64,
    pub(super) blocks: Arc<[Arc<Block>]>,
    pub(super) inits: Arc<[KeptInit]>,
    pub(super) written: Written,
}

/// What was written of a revision so far.
#[derive(Debug, Default)]
pub(super) struct Written {
    plain: OnceLock<Bytes>,
    gzip: OnceLock<Bytes>,
    delta: OnceLock<Option<Text>>,
}

impl DvrSnapshot {
    /// True if nothing is listed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first_msn == self.next_msn
    }

    /// `EXT-X-TARGETDURATION`, in seconds.
    #[must_use]
    pub fn target_duration_s(&self) -> u32 {
        self.rules.timing.target_duration_s
    }

    /// The whole list.
    #[must_use]
    pub fn plain(&self) -> &Bytes {
        self.written.plain.get_or_init(|| {
            let mut out = self.head();
            for block in self.listed_blocks() {
                out.push_str(block.text_from(self.first_msn));
            }
            out.push_str(self.tail());
            out.into()
        })
    }

    /// The whole list, gzip-encoded.
    #[must_use]
    pub fn gzip(&self) -> &Bytes {
        self.written.gzip.get_or_init(|| {
            let mut head = self.head();
            let mut blocks = self.listed_blocks().peekable();
            // Of the oldest block some have left.
            if let Some(oldest) = blocks.next_if(|block| block.begins_below(self.first_msn)) {
                head.push_str(oldest.text_from(self.first_msn));
            }
            let ends = [Piece::of(head.as_bytes()), Piece::of(self.tail().as_bytes())];
            let middle: Vec<&Piece> = blocks.map(|block| block.packed()).collect();
            gzip::file(ends.iter().take(1).chain(middle).chain(&ends[1..]))
        })
    }

    /// The list as a delta update (rfc8216bis 6.2.5.1); `None` while there is nothing to skip, and once it has ended.
    #[must_use]
    pub fn delta(&self) -> Option<&Text> {
        self.written.delta.get_or_init(|| self.write_delta().map(Text::from)).as_ref()
    }

    fn write_delta(&self) -> Option<String> {
        let kept_from = self.kept_from();
        let skipped = kept_from.checked_sub(self.first_msn).filter(|&skipped| skipped > 0 && !self.ended)?;
        let mut out = self.header();
        writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}").expect("writing to a string does not fail");
        // What stands before a skipped segment goes with it.
        for block in self.blocks_from(kept_from) {
            out.push_str(block.text_from(kept_from));
        }
        Some(out)
    }

    /// The first segment that a delta update keeps: those before end further from the end of the last one than the skip
    /// boundary, by their durations, as clients count.
    fn kept_from(&self) -> u64 {
        let boundary = self.rules.skip_until();
        let mut after = MediaTime::ZERO;
        let newest_first = self.blocks.iter().rev().flat_map(|block| block.segments().iter().rev());
        newest_first
            .take_while(|kept| kept.msn >= self.first_msn)
            .take_while(|kept| {
                let is_near = after <= boundary;
                after += kept.duration;
                is_near
            })
            .last()
            .map_or(self.next_msn, |kept| kept.msn)
    }

    /// The file of an object that is kept or still owed; parts are not.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<FileName> {
        match Name::parse(name)? {
            Name::Segment(incarnation, msn) => {
                let kept = self.segment(msn).filter(|kept| msn >= self.owed_from && kept.length.is_some())?;
                (kept.incarnation == incarnation).then_some(FileName::Segment(*kept))
            }
            Name::Init(incarnation, index) => {
                let is_it = |init: &&KeptInit| init.incarnation == incarnation && init.index == index;
                self.inits.iter().find(is_it).map(|init| FileName::Init(*init))
            }
            Name::Part(..) => None,
        }
    }

    /// The listed segments, oldest first.
    pub fn segments(&self) -> impl Iterator<Item = &Kept> {
        self.listed_blocks().flat_map(|block| block.segments()).filter(|kept| kept.msn >= self.first_msn)
    }

    fn segment(&self, msn: u64) -> Option<&Kept> {
        let oldest = Block::number(self.blocks.first()?.segments().first()?.msn);
        let index = usize::try_from(Block::number(msn).checked_sub(oldest)?).ok()?;
        self.blocks.get(index)?.segment(msn)
    }

    fn listed_blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks_from(self.first_msn)
    }

    fn blocks_from(&self, msn: u64) -> impl Iterator<Item = &Block> {
        let is_before = move |block: &&Block| block.segments().last().is_none_or(|last| last.msn < msn);
        self.blocks.iter().map(AsRef::as_ref).skip_while(is_before)
    }

    /// Everything before the first segment's own lines. What came before that said which init section it needs.
    fn head(&self) -> String {
        let mut out = self.header();
        if let Some(first) = self.segment(self.first_msn) {
            let said = self.listed_blocks().next().is_some_and(|block| {
                let lines = block.text_from(self.first_msn).lines();
                lines.take_while(|line| !line.starts_with("#EXTINF")).any(|line| line.starts_with("#EXT-X-MAP"))
            });
            if !said {
                out.push_str(&block::map_line(first));
                out.push('\n');
            }
        }
        out
    }

    /// What never changes, and the two counters.
    fn header(&self) -> String {
        let timing = &self.rules.timing;
        let first = self.segment(self.first_msn);
        let before = first.map_or(0, |first| first.epoch - first.discontinuities);
        format!(
            "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{}\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={:.1},HOLD-BACK={:.1}\n\
             #EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-DISCONTINUITY-SEQUENCE:{before}\n",
            timing.target_duration_s,
            self.rules.skip_until().as_seconds(),
            timing.hold_back.as_seconds(),
            self.first_msn,
        )
    }

    fn tail(&self) -> &'static str {
        if self.ended { "#EXT-X-ENDLIST\n" } else { "" }
    }
}
