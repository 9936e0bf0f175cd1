//! What a request tells of the client behind it: its address, whether it came over TLS, and
//! whether one of our own pages sent it.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::{Authority, Scheme};
use axum::http::{HeaderMap, HeaderValue};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How the request came to the server, a trusted proxy before it included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Plain,
    Tls,
}

/// Whose page sent the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// One of ours.
    OwnPage,
    /// Another site's, or none that we can make out.
    OtherPage,
    /// No word of it, as from every program that is no browser.
    Untold,
}

impl Sender {
    /// By `Sec-Fetch-Site` (Fetch Metadata 2.2); where it is missing, as on plain HTTP, by
    /// `Origin` against `Host`. A page cannot set either by itself.
    pub(crate) fn of(parts: &Parts) -> Self {
        let own = match lines(&parts.headers, &SEC_FETCH_SITE) {
            (Some(site), None) => site == "same-origin",
            (Some(_), Some(_)) => false,
            (None, _) => match lines(&parts.headers, &ORIGIN) {
                (Some(origin), None) => is_of_host(origin, parts),
                (Some(_), Some(_)) => false,
                (None, _) => return Self::Untold,
            },
        };
        if own { Self::OwnPage } else { Self::OtherPage }
    }
}

/// The first two lines of a header.
fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> (Option<&'a HeaderValue>, Option<&'a HeaderValue>) {
    let mut lines = headers.get_all(name).iter();
    (lines.next(), lines.next())
}

/// Whether `origin` names the host that the request is for.
fn is_of_host(origin: &HeaderValue, parts: &Parts) -> bool {
    let Some((scheme, origin)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else {
        return false; // "null" among others
    };
    let without_usual_port = |host: &str| {
        let port = match scheme {
            "https" => ":443",
            _ => ":80",
        };
        host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase()
    };
    host(parts).is_some_and(|host| without_usual_port(host) == without_usual_port(origin))
}

/// The host that the request is for: of its target, as in HTTP/2, or else of `Host`, which must be
/// one (RFC 9112 3.2).
fn host(parts: &Parts) -> Option<&str> {
    let target = parts.uri.authority().map(Authority::as_str);
    target.or_else(|| match lines(&parts.headers, &HOST) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    })
}

/// The client of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    /// Its address, where the server told.
    pub(crate) address: Option<IpAddr>,
    pub(crate) transport: Transport,
    pub(crate) sender: Sender,
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let over_tls = parts.extensions.get::<Scheme>() == Some(&Scheme::HTTPS);
        Ok(Self {
            address: peer.map(|peer| peer.0.ip()),
            transport: if over_tls { Transport::Tls } else { Transport::Plain },
            sender: Sender::of(parts),
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn sender(target: &str, headers: &[(&str, &str)]) -> Sender {
        let mut request = Request::post(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Sender::of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn who_sent_a_request_is_told_by_its_headers() {
        use Sender::{OtherPage, OwnPage, Untold};
        let site = "sec-fetch-site";
        let cases: [(Sender, &[(&str, &str)]); 24] = [
            (Untold, &[]),
            (Untold, &[("host", "a.example")]),
            (OwnPage, &[(site, "same-origin")]),
            (OtherPage, &[(site, "same-site")]),
            (OtherPage, &[(site, "cross-site")]),
            (OtherPage, &[(site, "none")]),
            (OtherPage, &[(site, "")]),
            (OtherPage, &[(site, "Same-Origin")]),
            (OtherPage, &[(site, "same-origin"), (site, "same-origin")]),
            // Fetch metadata decides where it is there.
            (OtherPage, &[(site, "cross-site"), ("origin", "https://a.example"), ("host", "a.example")]),
            (OwnPage, &[(site, "same-origin"), ("origin", "https://b.example"), ("host", "a.example")]),
            (OwnPage, &[("origin", "https://a.example"), ("host", "a.example")]),
            (OwnPage, &[("origin", "http://A.example:8080"), ("host", "a.EXAMPLE:8080")]),
            (OwnPage, &[("origin", "https://a.example"), ("host", "a.example:443")]),
            (OwnPage, &[("origin", "http://[::1]"), ("host", "[::1]:80")]),
            (OtherPage, &[("origin", "https://a.example"), ("host", "a.example:80")]),
            (OtherPage, &[("origin", "https://a.example:8443"), ("host", "a.example")]),
            (OtherPage, &[("origin", "https://b.a.example"), ("host", "a.example")]),
            (OtherPage, &[("origin", "https://a.example.b"), ("host", "a.example")]),
            (OtherPage, &[("origin", "null"), ("host", "null")]),
            (OtherPage, &[("origin", ""), ("host", "")]),
            (OtherPage, &[("origin", "https://a.example")]),
            (OtherPage, &[("origin", "https://a.example"), ("host", "b.example"), ("host", "a.example")]),
            (OtherPage, &[("origin", "https://a.example"), ("origin", "https://a.example"), ("host", "a.example")]),
        ];
        for (expected, headers) in cases {
            assert_eq!(sender("/api/v1/channels", headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn the_target_of_a_request_counts_before_its_host_header() {
        let origin = ("origin", "https://a.example");
        assert_eq!(sender("https://a.example/api", &[origin]), Sender::OwnPage);
        assert_eq!(sender("https://b.example/api", &[origin, ("host", "a.example")]), Sender::OtherPage);
    }
}
