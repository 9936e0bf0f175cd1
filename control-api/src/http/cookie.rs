//! The cookie of a browser that signed in: read from requests, written into answers.
//!
//! Knows what the cookie looks like; `web_sessions` knows what it stands for.

use std::fmt;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

use super::client::Transport;
use crate::secret;

/// The cookie's name.
const NAME: &str = "headwater_session";

/// The secret in a session cookie: 256 random bits as 64 hexadecimal digits. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SessionSecret(String);

impl SessionSecret {
    /// A new one.
    pub(crate) fn generate() -> Self {
        Self(secret::random_hex::<32>())
    }

    /// The text, for hashing. Never log it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        let plain = value.len() == 64 && value.iter().all(digit);
        plain.then(|| Self(String::from_utf8_lossy(value).into_owned()))
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(…)")
    }
}

/// What a request carries of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SessionCookie {
    /// None.
    Absent,
    /// Not one of ours; or two that differ, of which a neighbouring host may have set one.
    Unusable,
    /// One.
    Present(SessionSecret),
}

impl SessionCookie {
    /// Reads all `Cookie` lines: HTTP/2 may send one for each cookie (RFC 9113 8.2.3).
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(COOKIE).iter();
        let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        let mut values = pairs.filter_map(value);
        let Some(first) = values.next() else {
            return Self::Absent;
        };
        let secret = SessionSecret::parse(first).filter(|_| values.all(|other| other == first));
        secret.map_or(Self::Unusable, Self::Present)
    }
}

/// The value of a pair that has our name.
fn value(pair: &[u8]) -> Option<&[u8]> {
    let value = pair.trim_ascii().strip_prefix(NAME.as_bytes())?;
    value.strip_prefix(b"=")
}

/// `Set-Cookie` that hands the secret to the browser for `seconds`.
pub(crate) fn handed(secret: &SessionSecret, seconds: u32, transport: Transport) -> HeaderValue {
    line(secret.expose(), seconds, transport)
}

/// `Set-Cookie` that takes it back.
pub(crate) fn cleared(transport: Transport) -> HeaderValue {
    line("", 0, transport)
}

/// RFC 6265 4.1. Scripts cannot read it, and other sites cannot have it sent.
fn line(value: &str, seconds: u32, transport: Transport) -> HeaderValue {
    let secure = match transport {
        Transport::Tls => "; Secure",
        Transport::Plain => "",
    };
    let line = format!("{NAME}={value}; HttpOnly; SameSite=Strict; Path=/api; Max-Age={seconds}{secure}");
    HeaderValue::try_from(line).expect("hexadecimal digits and the words above are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&[u8]]) -> SessionCookie {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        SessionCookie::of(&headers)
    }

    fn pair(digit: char) -> String {
        format!("{NAME}={}", digit.to_string().repeat(64))
    }

    #[test]
    fn the_cookie_is_found_among_others_on_any_line() {
        let (good, wanted) = (pair('a'), SessionCookie::Present(SessionSecret("a".repeat(64))));
        for line in [good.clone(), format!("a=b; {good};c"), format!("x={NAME};{good} ; y=\"z\"")] {
            assert_eq!(of(&[line.as_bytes()]), wanted, "{line}");
        }
        assert_eq!(of(&[b"a=\xff\xfe", good.as_bytes(), good.as_bytes()]), wanted);
    }

    #[test]
    fn no_cookie_of_our_name_is_none() {
        for line in ["", ";", "=", "a=b", NAME, "headwater_sessions=1", "xheadwater_session=1"] {
            assert_eq!(of(&[line.as_bytes()]), SessionCookie::Absent, "{line}");
        }
        assert_eq!(of(&[]), SessionCookie::Absent);
    }

    #[test]
    fn garbage_and_two_that_differ_are_unusable() {
        let (a, b) = (pair('a'), pair('b'));
        let long = format!("{NAME}={}", "a".repeat(30_000));
        let upper = pair('A');
        for line in [format!("{NAME}="), format!("{a}a"), format!("{NAME}=\"{}\"", "a".repeat(62)), long, upper] {
            assert_eq!(of(&[line.as_bytes()]), SessionCookie::Unusable, "{line}");
        }
        assert_eq!(of(&[a.as_bytes(), b.as_bytes()]), SessionCookie::Unusable);
        assert_eq!(of(&[format!("{a}; {NAME}=").as_bytes()]), SessionCookie::Unusable);
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let secret = SessionSecret::generate();
        assert_eq!(secret.expose().len(), 64);
        assert!(!format!("{secret:?}").contains(secret.expose()));
    }

    #[test]
    fn the_line_is_secure_over_tls_alone() {
        let secret = SessionSecret("a".repeat(64));
        let plain = handed(&secret, 60, Transport::Plain);
        let expected = format!("{}; HttpOnly; SameSite=Strict; Path=/api; Max-Age=60", pair('a'));
        assert_eq!(plain, expected.as_str());
        let tls = handed(&secret, 60, Transport::Tls);
        assert_eq!(tls, format!("{expected}; Secure").as_str());
        let cleared = cleared(Transport::Plain);
        assert_eq!(cleared, "headwater_session=; HttpOnly; SameSite=Strict; Path=/api; Max-Age=0");
    }
}
