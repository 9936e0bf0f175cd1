//! What a request says about the form of its answer: method, encoding, conditions and range.

use http::header::{self, HeaderMap, HeaderName};

/// GET, or the same without the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
}

/// The content codings that playlists come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// The best one that a request accepts.
    pub(crate) fn best(headers: &HeaderMap) -> Self {
        list(headers, header::ACCEPT_ENCODING).map_or(Self::Identity, |accepted| best_encoding(&accepted))
    }
}

/// Whether a request accepts an answer in gzip (RFC 9110 12.5.3).
#[must_use]
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    Encoding::best(headers) == Encoding::Gzip
}

/// The headers that matter here. Copied out, so that a request that waits keeps nothing of the
/// connection's buffers alive.
#[derive(Debug)]
pub(crate) struct Conditions {
    pub(crate) method: Method,
    /// The best encoding that the viewer accepts.
    pub(crate) encoding: Encoding,
    pub(crate) range: Option<Box<str>>,
    if_none_match: Option<Box<str>>,
    if_range: Option<Box<str>>,
}

impl Conditions {
    pub(crate) fn read(method: Method, headers: &HeaderMap) -> Self {
        Self {
            method,
            encoding: Encoding::best(headers),
            range: list(headers, header::RANGE),
            if_none_match: list(headers, header::IF_NONE_MATCH),
            if_range: list(headers, header::IF_RANGE),
        }
    }

    /// True if the viewer has the representation tagged `etag` (RFC 9110 13.1.2, weak comparison).
    pub(crate) fn has(&self, etag: &str) -> bool {
        let same = |candidate: &str| {
            let candidate = candidate.trim();
            candidate == "*" || candidate.strip_prefix("W/").unwrap_or(candidate) == etag
        };
        // Our tags hold no comma, so a split inside a foreign one cannot make it equal to ours.
        self.if_none_match.as_deref().is_some_and(|tags| tags.split(',').any(same))
    }

    /// False where the answer has no body whatever it says: to HEAD, and to who has `etag` already.
    pub(crate) fn wants_body(&self, etag: &str) -> bool {
        self.method == Method::Get && !self.has(etag)
    }

    /// The range, unless it is bound to another representation than `etag` (RFC 9110 13.1.5, strong
    /// comparison). A date never matches, as nothing here has a modification date; HEAD has no ranges (14.2).
    pub(crate) fn range_of(&self, etag: &str) -> Option<&str> {
        let bound_to_other = self.if_range.as_deref().is_some_and(|bound| bound.trim() != etag);
        let applies = self.method == Method::Get && !bound_to_other;
        self.range.as_deref().filter(|_| applies)
    }
}

/// All lines of a header as one list (RFC 9110 5.3); `None` if there is none or it is not ASCII.
fn list(headers: &HeaderMap, name: HeaderName) -> Option<Box<str>> {
    let mut lines = headers.get_all(name).iter().map(|line| line.to_str().ok());
    let mut list = lines.next()??.to_owned();
    for line in lines {
        list.push_str(", ");
        list.push_str(line?);
    }
    Some(list.into())
}

/// gzip if `accepted` gives it a weight above zero, by name or by `*` (RFC 9110 12.5.3).
fn best_encoding(accepted: &str) -> Encoding {
    let mut any = false;
    for item in accepted.split(',') {
        let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
        let wanted = weight(parameters) > 0.0;
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" if wanted => return Encoding::Gzip,
            "gzip" | "x-gzip" => return Encoding::Identity,
            "*" => any = wanted,
            _ => {}
        }
    }
    if any { Encoding::Gzip } else { Encoding::Identity }
}

/// The `q` of a list item's parameters; 1 where there is none, 0 where it cannot be read.
fn weight(parameters: &str) -> f32 {
    let q = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then_some(value)
    });
    q.map_or(1.0, |value| value.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn with(name: HeaderName, values: &[&'static str]) -> Conditions {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        Conditions::read(Method::Get, &headers)
    }

    #[test]
    fn gzip_is_sent_only_where_it_is_accepted() {
        for accepted in [
            "gzip",
            "GZIP",
            "x-gzip",
            "br, gzip;q=0.1",
            "gzip; q=1.0",
            "deflate,gzip",
            "*",
            "br, *;q=0.5",
            "identity;q=0, *",
        ] {
            assert_eq!(with(header::ACCEPT_ENCODING, &[accepted]).encoding, Encoding::Gzip, "{accepted}");
        }
        for accepted in ["", "identity", "br", "gzip;q=0", "gzip;q=0.000, *", "*;q=0", "gzip;q=x", "gzipped"] {
            assert_eq!(with(header::ACCEPT_ENCODING, &[accepted]).encoding, Encoding::Identity, "{accepted}");
        }
        assert_eq!(with(header::ACCEPT_ENCODING, &["br", "gzip"]).encoding, Encoding::Gzip);
        assert_eq!(with(header::ACCEPT_ENCODING, &[]).encoding, Encoding::Identity);
    }

    #[test]
    fn if_none_match_compares_weakly_over_the_whole_list() {
        for tags in [r#""a""#, r#"W/"a""#, r#""x", "a""#, r#""x",W/"a" , "y""#, "*"] {
            assert!(with(header::IF_NONE_MATCH, &[tags]).has(r#""a""#), "{tags}");
        }
        for tags in ["", "a", r#""A""#, r#""a-gz""#, r#"w/"a""#] {
            assert!(!with(header::IF_NONE_MATCH, &[tags]).has(r#""a""#), "{tags}");
        }
        assert!(with(header::IF_NONE_MATCH, &[r#""x""#, r#""a""#]).has(r#""a""#));
    }

    #[test]
    fn if_range_compares_strongly_and_a_date_never_matches() {
        let range = |if_range: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-1"));
            if let Some(bound) = if_range {
                headers.insert(header::IF_RANGE, HeaderValue::from_static(bound));
            }
            Conditions::read(Method::Get, &headers).range_of(r#""a""#).is_some()
        };
        assert!(range(None) && range(Some(r#""a""#)));
        for bound in [r#"W/"a""#, r#""b""#, "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert!(!range(Some(bound)), "{bound}");
        }
    }
}
