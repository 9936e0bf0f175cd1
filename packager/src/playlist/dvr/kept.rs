//! What is known of one segment of a DVR window, and how its file is named: the name alone says all of it, so that the
//! files are their own index.

use std::fmt;

use schema::{Incarnation, MediaTime};

/// One segment of a DVR window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its media sequence number, as in the live list.
    pub msn: u64,
    /// Its discontinuity sequence number.
    pub epoch: u64,
    /// How many `EXT-X-DISCONTINUITY` stand before it.
    pub discontinuities: u64,
    /// The incarnation in its name.
    pub incarnation: Incarnation,
    /// The number of its init section within the incarnation.
    pub init: u32,
    /// When it begins.
    pub start: MediaTime,
    /// How long it is.
    pub duration: MediaTime,
    /// The length of its file in bytes; `None` if there is no media for it (`EXT-X-GAP`).
    pub length: Option<u64>,
}

impl Kept {
    /// Where it ends.
    #[must_use]
    pub fn end(&self) -> MediaTime {
        self.start + self.duration
    }

    /// Its length in bytes; 0 for a gap.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.length.unwrap_or(0)
    }
}

/// An init section that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptInit {
    /// The incarnation in its name.
    pub incarnation: Incarnation,
    /// Its number within the incarnation.
    pub index: u32,
    /// The length of its file in bytes.
    pub length: u64,
}

/// The name of a file in a rendition's folder. It is made of numbers only, whatever a viewer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileName {
    /// `seg-{msn}-{epoch}-{discontinuities}-{incarnation}-{init}-{start}-{duration}-{length}`, times in media units; `gap-…`
    /// with a length of 0, an empty file, where there is no media
    Segment(Kept),
    /// `init-{incarnation}-{index}-{length}`
    Init(KeptInit),
}

impl FileName {
    /// Reads a name; only the one spelling that [`fmt::Display`] writes is known.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('-')?;
        let numbers: Vec<u64> = rest.split('-').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let name = match (kind, numbers.as_slice()) {
            ("seg" | "gap", &[msn, epoch, discontinuities, incarnation, init, start, duration, length]) => {
                Self::Segment(Kept {
                    msn,
                    epoch,
                    discontinuities,
                    incarnation: Incarnation(incarnation),
                    init: init.try_into().ok()?,
                    start: MediaTime(start.try_into().ok()?),
                    duration: MediaTime(duration.try_into().ok()?),
                    length: (kind == "seg").then_some(length),
                })
            }
            ("init", &[incarnation, index, length]) => {
                Self::Init(KeptInit { incarnation: Incarnation(incarnation), index: index.try_into().ok()?, length })
            }
            _ => return None,
        };
        (name.to_string() == text).then_some(name)
    }

    /// The length that the file has if it is whole.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Segment(kept) => kept.bytes(),
            Self::Init(init) => init.length,
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(kept) => {
                let Kept { msn, epoch, discontinuities, incarnation, init, .. } = kept;
                let (start, duration, length) = (kept.start.0, kept.duration.0, kept.bytes());
                let kind = if kept.length.is_some() { "seg" } else { "gap" };
                write!(f, "{kind}-{msn}-{epoch}-{discontinuities}-{incarnation}-{init}-{start}-{duration}-{length}")
            }
            Self::Init(KeptInit { incarnation, index, length }) => write!(f, "init-{incarnation}-{index}-{length}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_file_name_reads_back_as_itself_and_garbage_never_panics(
            numbers: [u64; 5], init: u32, start in 0..i64::MAX, duration in 0..i64::MAX, noise in ".{0,60}",
        ) {
            let [msn, epoch, discontinuities, incarnation, length] = numbers;
            let incarnation = Incarnation(incarnation);
            let (start, duration, length) = (MediaTime(start), MediaTime(duration), Some(length));
            let kept = Kept { msn, epoch, discontinuities, incarnation, init, start, duration, length };
            let init = KeptInit { incarnation, index: init, length: kept.bytes() };
            let gap = Kept { length: None, ..kept };
            for name in [FileName::Segment(kept), FileName::Segment(gap), FileName::Init(init)] {
                prop_assert_eq!(FileName::parse(&name.to_string()), Some(name));
                prop_assert!(!name.to_string().contains(['/', '.']));
            }
            if let Some(name) = FileName::parse(&noise) {
                prop_assert_eq!(name.to_string(), noise);
            }
        }
    }

    #[test]
    fn only_the_canonical_spelling_of_a_file_name_is_known() {
        for bad in [
            "",
            "seg-1",
            "seg-1-0-0-1-0-0-5-07",
            "gap-1-0-0-1-0-0-5-7",
            "seg-1-0-0-1-0-0-5-+7",
            "seg-1-0-0-1-0--1-5-7",
            "seg-1-0-0-1-0-0-5-7-9",
            "seg-1-0-0-1-4294967296-0-5-7",
            "new-1-0-0-1-0-0-5-7",
            "init-1-0",
            "init-1-0-7.mp4",
            "../init-1-0-7",
        ] {
            assert_eq!(FileName::parse(bad), None, "{bad}");
        }
    }
}
