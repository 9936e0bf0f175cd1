//! The bodies behind the names of a playlist, found by the numbers in the name.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use schema::Incarnation;

/// The name of an object, as it stands in a playlist. Names carry the incarnation, so that none
/// ever comes twice with other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Name {
    /// `init-{incarnation}-{number}.mp4`
    Init(Incarnation, u32),
    /// `seg-{incarnation}-{msn}.m4s`
    Segment(Incarnation, u64),
    /// `part-{incarnation}-{msn}-{part}.m4s`
    Part(Incarnation, u64, u32),
}

impl Name {
    /// Reads a name; only the one canonical spelling of each is known.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("part-") {
            let mut numbers = rest.strip_suffix(".m4s")?.splitn(3, '-');
            let incarnation = Incarnation(number(numbers.next()?)?);
            let msn = number(numbers.next()?)?;
            let part = u32::try_from(number(numbers.next()?)?).ok()?;
            return Some(Self::Part(incarnation, msn, part));
        }
        if let Some(rest) = text.strip_prefix("seg-") {
            let (incarnation, msn) = rest.strip_suffix(".m4s")?.split_once('-')?;
            return Some(Self::Segment(Incarnation(number(incarnation)?), number(msn)?));
        }
        let (incarnation, index) = text.strip_prefix("init-")?.strip_suffix(".mp4")?.split_once('-')?;
        let index = u32::try_from(number(index)?).ok()?;
        Some(Self::Init(Incarnation(number(incarnation)?), index))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init(incarnation, index) => write!(f, "init-{incarnation}-{index}.mp4"),
            Self::Segment(incarnation, msn) => write!(f, "seg-{incarnation}-{msn}.m4s"),
            Self::Part(incarnation, msn, part) => {
                write!(f, "part-{incarnation}-{msn}-{part}.m4s")
            }
        }
    }
}

/// A decimal number without sign or leading zero.
fn number(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

/// One init section, part or segment.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its bytes, to be sent in this order: one chunk for an init section or part, one per part for a segment.
    pub chunks: Arc<[Bytes]>,
    /// Their length together, in bytes.
    pub length: u64,
}

impl Object {
    /// An object of these chunks.
    #[must_use]
    pub fn new(chunks: impl Into<Arc<[Bytes]>>) -> Self {
        let chunks = chunks.into();
        let length = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self { chunks, length }
    }
}

/// An init section and its number within the incarnation.
#[derive(Debug, Clone)]
pub struct InitSection {
    /// Its number, as in its name.
    pub index: u32,
    /// Its bytes.
    pub object: Object,
}

/// The objects of one segment.
#[derive(Debug, Clone)]
pub struct SegmentObjects {
    /// Its media sequence number.
    pub msn: u64,
    /// Its parts, from part 0; empty where the profile has no parts.
    pub parts: Vec<Object>,
    /// All of it, once complete.
    pub whole: Option<Object>,
}

/// The bodies behind the names of a playlist. Cloning is cheap, and so is a look-up.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    incarnation: Incarnation,
    inits: Arc<[InitSection]>,
    segments: Arc<[Arc<SegmentObjects>]>,
}

impl Objects {
    /// The objects of one rendition; `segments` by ascending, contiguous media sequence number.
    #[must_use]
    pub fn new(
        incarnation: Incarnation,
        inits: impl Into<Arc<[InitSection]>>,
        segments: impl Into<Arc<[Arc<SegmentObjects>]>>,
    ) -> Self {
        Self { incarnation, inits: inits.into(), segments: segments.into() }
    }

    /// The object of that name, if it is still owed to viewers.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Object> {
        match Name::parse(name)? {
            Name::Init(incarnation, index) if incarnation == self.incarnation => {
                self.inits.iter().find(|init| init.index == index).map(|init| &init.object)
            }
            Name::Segment(incarnation, msn) if incarnation == self.incarnation => self.segment(msn)?.whole.as_ref(),
            Name::Part(incarnation, msn, part) if incarnation == self.incarnation => {
                self.segment(msn)?.parts.get(usize::try_from(part).ok()?)
            }
            _ => None,
        }
    }

    fn segment(&self, msn: u64) -> Option<&SegmentObjects> {
        let first = self.segments.first()?.msn;
        let index = usize::try_from(msn.checked_sub(first)?).ok()?;
        self.segments.get(index).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_reads_back_as_itself_and_garbage_never_panics(inc: u64, msn: u64, part: u32, noise in ".{0,40}") {
            let inc = Incarnation(inc);
            for name in [Name::Init(inc, part), Name::Segment(inc, msn), Name::Part(inc, msn, part)] {
                prop_assert_eq!(Name::parse(&name.to_string()), Some(name));
            }
            if let Some(name) = Name::parse(&noise) {
                prop_assert_eq!(name.to_string(), noise);
            }
        }
    }

    #[test]
    fn only_the_canonical_spelling_of_a_name_is_known() {
        for bad in [
            "part-1-2-03.m4s",
            "part-+1-2-3.m4s",
            "part-1-2.m4s",
            "part-1-2-3-4.m4s",
            "part-1--3.m4s",
            "seg-1-2.mp4",
            "seg-1-99999999999999999999.m4s",
            "init-1-4294967296.mp4",
            "",
        ] {
            assert_eq!(Name::parse(bad), None, "{bad}");
        }
    }
}
