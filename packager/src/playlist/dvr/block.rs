//! A run of segments with their lines, shared by all revisions that list it.

use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use super::gzip::Piece;
use super::{Kept, Rules};
use crate::live::Name;
use crate::playlist::render::date_time;

/// How many segments are compressed at a time; the longer, the better, and the more is written again for each revision.
pub(super) const SEGMENTS: u64 = 128;

/// Segments that follow each other by number, up to one whose number is a multiple of [`SEGMENTS`].
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    segments: Vec<Kept>,
    /// Their lines.
    text: String,
    /// Where the lines of each segment end.
    ends: Vec<usize>,
    /// All of the text, compressed.
    packed: OnceLock<Arc<Piece>>,
}

impl Block {
    /// The number of the block of this segment.
    pub(super) fn number(msn: u64) -> u64 {
        msn / SEGMENTS
    }

    /// Adds a segment, the one before which is `before`.
    pub(super) fn push(&mut self, kept: Kept, before: Option<&Kept>, rules: &Rules) {
        write(&mut self.text, &kept, before, rules).expect("writing to a string does not fail");
        self.segments.push(kept);
        self.ends.push(self.text.len());
        self.packed = OnceLock::new();
    }

    pub(super) fn segments(&self) -> &[Kept] {
        &self.segments
    }

    /// The segment of that number.
    pub(super) fn segment(&self, msn: u64) -> Option<&Kept> {
        self.segments.get(self.index(msn)?)
    }

    /// The lines of the segments from `msn` on; all of them, if it begins later.
    pub(super) fn text_from(&self, msn: u64) -> &str {
        let before = self.index(msn).and_then(|index| index.checked_sub(1));
        let from = before.map_or(0, |before| self.ends.get(before).copied().unwrap_or(self.text.len()));
        &self.text[from..]
    }

    /// True if it has a segment below `msn`.
    pub(super) fn begins_below(&self, msn: u64) -> bool {
        self.segments.first().is_some_and(|first| first.msn < msn)
    }

    /// All of its lines, compressed once.
    pub(super) fn packed(&self) -> &Piece {
        self.packed.get_or_init(|| Arc::new(Piece::of(self.text.as_bytes())))
    }

    fn index(&self, msn: u64) -> Option<usize> {
        usize::try_from(msn.checked_sub(self.segments.first()?.msn)?).ok()
    }
}

/// The lines of one segment (rfc8216bis 4.4.4).
fn write(out: &mut String, kept: &Kept, before: Option<&Kept>, rules: &Rules) -> std::fmt::Result {
    for _ in 0..kept.discontinuities {
        writeln!(out, "#EXT-X-DISCONTINUITY")?;
    }
    let is_same = before.is_some_and(|before| map(before) == map(kept)) && kept.discontinuities == 0;
    if !is_same {
        writeln!(out, "{}", map_line(kept))?;
    }
    writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", date_time(rules.zero.plus(kept.start)))?;
    if kept.length.is_none() {
        writeln!(out, "#EXT-X-GAP")?;
    }
    let name = Name::Segment(kept.incarnation, kept.msn);
    writeln!(out, "#EXTINF:{:.5},\n{name}", kept.duration.as_seconds())
}

/// The `EXT-X-MAP` of a segment.
pub(super) fn map_line(kept: &Kept) -> String {
    format!("#EXT-X-MAP:URI=\"{}\"", map(kept))
}

fn map(kept: &Kept) -> Name {
    Name::Init(kept.incarnation, kept.init)
}
