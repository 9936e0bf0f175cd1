//! Delta updates of a playlist (rfc8216bis 6.2.5.1), in their two forms.

use std::fmt::Write;
use std::sync::OnceLock;

use super::Text;

/// What a delta update without old date ranges leaves out and names (rfc8216bis 4.4.5.2, 6.2.5.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Old {
    /// The lines of date ranges that were added further back than the skip boundary.
    pub lines: Vec<String>,
    /// The IDs of those that were removed from the list within the skip boundary.
    pub removed: Vec<String>,
}

/// A delta update.
#[derive(Debug, Clone)]
pub struct Update {
    /// With all date ranges: for `_HLS_skip=YES`.
    pub segments: Text,
    old: Old,
    /// Written when it is first asked for: most revisions are never asked for in this form.
    newer: OnceLock<Text>,
}

impl Update {
    /// The update `text`, in which these date ranges are old.
    #[must_use]
    pub fn new(text: String, old: Old) -> Self {
        Self { segments: text.into(), old, newer: OnceLock::new() }
    }

    /// Without old date ranges, and with the IDs of those that were removed lately: for `_HLS_skip=v2`.
    pub fn date_ranges(&self) -> &Text {
        self.newer.get_or_init(|| without_old(&String::from_utf8_lossy(&self.segments.plain), &self.old).into())
    }
}

/// `EXT-X-VERSION` is 10, which skipping of date ranges needs (rfc8216bis 8), and which clients are told wherever
/// they asked for it.
fn without_old(update: &str, old: &Old) -> String {
    let mut out = String::with_capacity(update.len() + 64);
    for line in update.lines() {
        let written = if line.starts_with("#EXT-X-VERSION:") {
            writeln!(out, "#EXT-X-VERSION:10")
        } else if line.starts_with("#EXT-X-SKIP:") {
            writeln!(out, "{line},RECENTLY-REMOVED-DATERANGES=\"{}\"", old.removed.join("\t"))
        } else if old.lines.iter().any(|known| known == line) {
            Ok(())
        } else {
            writeln!(out, "{line}")
        };
        written.expect("writing to a string does not fail");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n#EXT-X-DATERANGE:ID=\"a\"\n\
        #EXT-X-DATERANGE:ID=\"b\"\n#EXTINF:2.00000,\nseg.m4s\n";

    fn newer(old: Old) -> String {
        String::from_utf8(Update::new(TEXT.into(), old).date_ranges().plain.to_vec()).unwrap()
    }

    #[test]
    fn what_is_old_is_left_out_and_what_was_removed_is_named() {
        let old = Old { lines: vec!["#EXT-X-DATERANGE:ID=\"a\"".into()], removed: vec!["x".into(), "y".into()] };
        assert_eq!(
            newer(old),
            "#EXTM3U\n#EXT-X-VERSION:10\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3,RECENTLY-REMOVED-DATERANGES=\"x\ty\"\n\
             #EXT-X-DATERANGE:ID=\"b\"\n#EXTINF:2.00000,\nseg.m4s\n"
        );
    }

    #[test]
    fn the_list_of_removed_ranges_is_there_also_where_it_is_empty() {
        let text = newer(Old::default());
        assert!(text.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=3,RECENTLY-REMOVED-DATERANGES=\"\"\n"), "{text}");
        assert!(text.contains("ID=\"a\""), "{text}");
    }
}
