//! The `Range` header (RFC 9110 14): one range of bytes, or the whole.

/// What part of a body to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selected {
    /// All of it, with 200: no range, or one that may be ignored.
    Whole,
    /// `length` bytes from `first` on, with 206.
    Part { first: u64, length: u64 },
    /// Nothing lies in the range: 416.
    Unsatisfiable,
}

/// Reads a `Range` header for a body of `total` bytes.
///
/// Several ranges, other units and what cannot be read select the whole, as RFC 9110 14.2 allows.
pub(crate) fn select(range: &str, total: u64) -> Selected {
    let Some((unit, set)) = range.split_once('=') else {
        return Selected::Whole;
    };
    let Some((first, last)) = set.trim().split_once('-') else {
        return Selected::Whole;
    };
    if !unit.eq_ignore_ascii_case("bytes") {
        return Selected::Whole;
    }
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Selected::Whole,
        (Some(first), Some(last)) => from(first, last, total),
        (Some(first), None) if last.is_empty() => from(first, u64::MAX, total),
        (None, Some(length)) if first.is_empty() => from(total.saturating_sub(length), u64::MAX, total),
        _ => Selected::Whole,
    }
}

/// The bytes `first..=last` of `total`; an open end is the largest number.
fn from(first: u64, last: u64, total: u64) -> Selected {
    if first >= total {
        return Selected::Unsatisfiable;
    }
    Selected::Part { first, length: last.min(total - 1) - first + 1 }
}

/// A decimal integer; one above 2^64 - 1 counts as that, as it is beyond every body.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Selected::{Part, Unsatisfiable, Whole};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_range_selects_by_rfc_9110() {
        let cases = [
            ("bytes=0-0", Part { first: 0, length: 1 }),
            ("bytes=0-99", Part { first: 0, length: 100 }),
            ("bytes=10-19", Part { first: 10, length: 10 }),
            ("BYTES=10-19", Part { first: 10, length: 10 }),
            ("bytes= 10-19", Part { first: 10, length: 10 }),
            ("bytes=90-200", Part { first: 90, length: 10 }),
            ("bytes=99-", Part { first: 99, length: 1 }),
            ("bytes=0-9007199254740991", Part { first: 0, length: 100 }),
            ("bytes=0-99999999999999999999999", Part { first: 0, length: 100 }),
            ("bytes=-1", Part { first: 99, length: 1 }),
            ("bytes=-1000", Part { first: 0, length: 100 }),
            ("bytes=100-", Unsatisfiable),
            ("bytes=100-200", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=0-1,5-6", Whole),
            ("bytes=0-1, 5-6", Whole),
            ("bytes=9-1", Whole),
            ("bytes=-", Whole),
            ("bytes=", Whole),
            ("bytes", Whole),
            ("", Whole),
            ("items=0-1", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=--1", Whole),
        ];
        for (range, selected) in cases {
            assert_eq!(select(range, 100), selected, "{range}");
        }
    }

    #[test]
    fn nothing_of_an_empty_body_can_be_selected() {
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(select(range, 0), Unsatisfiable, "{range}");
        }
    }

    proptest! {
        #[test]
        fn a_selected_part_lies_within_the_body(range in "bytes=[0-9]{0,21}-[0-9]{0,21}", total: u64) {
            if let Part { first, length } = select(&range, total) {
                prop_assert!(length > 0 && first.checked_add(length).is_some_and(|end| end <= total));
            }
        }
    }
}
