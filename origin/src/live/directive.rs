//! The delivery directives of a playlist request (rfc8216bis 6.2.5), read from its query.
//!
//! Unknown `_HLS_` names and every other query parameter are ignored.

use thiserror::Error;

/// Up to when a playlist request wants to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directive {
    /// Not at all: whatever the playlist is now.
    Now,
    /// Until the complete segment of this or a later media sequence number is listed.
    Segment {
        /// `_HLS_msn`
        msn: u64,
    },
    /// Until this or a later part is listed.
    Part {
        /// `_HLS_msn`
        msn: u64,
        /// `_HLS_part`
        part: u64,
    },
    /// It cannot be read; harmless where directives are ignored.
    Malformed(Malformed),
}

/// Which form of a playlist a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// All of it.
    #[default]
    Full,
    /// Without segments older than the skip boundary, where that is offered (rfc8216bis 6.2.5.1).
    Delta,
    /// Without date ranges that are older, too.
    DeltaOfDateRanges,
}

impl Form {
    /// Reads `_HLS_skip`. Whatever stands there but `YES` and `v2` asks for all of it, as if it were not there; so does
    /// a directive that stands twice.
    #[must_use]
    pub fn parse(query: Option<&str>) -> Self {
        let mut values = query.unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("_HLS_skip="));
        match (values.next(), values.next()) {
            (Some("YES"), None) => Self::Delta,
            (Some("v2"), None) => Self::DeltaOfDateRanges,
            _ => Self::Full,
        }
    }
}

/// What is wrong with a directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Not a decimal integer below 2^64 (rfc8216bis 4.2).
    #[error("_HLS_msn and _HLS_part take a decimal integer below 2^64")]
    Number,
    /// rfc8216bis 6.2.5.2: a part alone names nothing.
    #[error("_HLS_part needs _HLS_msn")]
    PartWithoutMsn,
    /// The same directive twice, which caches and servers could read differently.
    #[error("a directive may stand only once")]
    Repeated,
}

impl Directive {
    /// Reads the directives of a query (without its `?`).
    #[must_use]
    pub fn parse(query: Option<&str>) -> Self {
        Self::read(query.unwrap_or_default()).unwrap_or_else(Self::Malformed)
    }

    fn read(query: &str) -> Result<Self, Malformed> {
        let (mut msn, mut part) = (None, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let directive = match name {
                "_HLS_msn" => &mut msn,
                "_HLS_part" => &mut part,
                _ => continue,
            };
            if directive.replace(number(value)?).is_some() {
                return Err(Malformed::Repeated);
            }
        }
        match (msn, part) {
            (None, None) => Ok(Self::Now),
            (Some(msn), None) => Ok(Self::Segment { msn }),
            (Some(msn), Some(part)) => Ok(Self::Part { msn, part }),
            (None, Some(_)) => Err(Malformed::PartWithoutMsn),
        }
    }
}

/// A decimal integer; unlike `str::parse`, without a sign.
fn number(text: &str) -> Result<u64, Malformed> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed::Number);
    }
    text.parse().map_err(|_| Malformed::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn directives_are_read_among_other_parameters() {
        let cases = [
            (None, Directive::Now),
            (Some(""), Directive::Now),
            (Some("&&=&x"), Directive::Now),
            (Some("token=1&_HLS_future=x&CMCD=bl%3D1"), Directive::Now),
            (Some("_HLS_skip=YES"), Directive::Now),
            (Some("_HLS_skip=v2&_HLS_msn=7"), Directive::Segment { msn: 7 }),
            (Some("_HLS_msn=007"), Directive::Segment { msn: 7 }),
            (Some("_HLS_part=2&a=b&_HLS_msn=7"), Directive::Part { msn: 7, part: 2 }),
            (Some("_HLS_msn=18446744073709551615&_HLS_part=0"), Directive::Part { msn: u64::MAX, part: 0 }),
        ];
        for (query, directive) in cases {
            assert_eq!(Directive::parse(query), directive, "{query:?}");
        }
    }

    #[test]
    fn a_delta_update_is_wanted_by_yes_and_v2_alone() {
        assert_eq!(Form::parse(Some("_HLS_skip=YES")), Form::Delta);
        for query in ["_HLS_skip=v2", "_HLS_msn=7&_HLS_skip=v2&_HLS_part=1"] {
            assert_eq!(Form::parse(Some(query)), Form::DeltaOfDateRanges, "{query}");
        }
        for query in [
            "",
            "_HLS_skip",
            "_HLS_skip=",
            "_HLS_skip=yes",
            "_HLS_skip=NO",
            "x_HLS_skip=YES",
            "_HLS_skip=YES&_HLS_skip=v2",
        ] {
            assert_eq!(Form::parse(Some(query)), Form::Full, "{query}");
        }
        assert_eq!(Form::parse(None), Form::Full);
    }

    #[test]
    fn what_is_no_decimal_integer_below_2_to_64_is_malformed() {
        for value in ["", "-1", "+1", "1.0", "0x1", "x", "%31", " 1", "18446744073709551616", "1,2"] {
            for query in [format!("_HLS_msn={value}"), format!("_HLS_msn=1&_HLS_part={value}")] {
                assert_eq!(Directive::parse(Some(&query)), Directive::Malformed(Malformed::Number), "{query}");
            }
        }
        assert_eq!(Directive::parse(Some("_HLS_msn")), Directive::Malformed(Malformed::Number));
    }

    #[test]
    fn a_part_without_a_segment_is_malformed() {
        assert_eq!(Directive::parse(Some("_HLS_part=1")), Directive::Malformed(Malformed::PartWithoutMsn));
    }

    #[test]
    fn a_repeated_directive_is_malformed() {
        assert_eq!(Directive::parse(Some("_HLS_msn=1&_HLS_msn=1")), Directive::Malformed(Malformed::Repeated));
    }

    proptest! {
        #[test]
        fn no_query_panics(query in "(_HLS_(msn|part|skip)|=|&|[0-9]|.){0,20}") {
            let _any = Directive::parse(Some(&query));
        }
    }
}
