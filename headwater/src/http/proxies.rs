//! Who really asks, where a proxy asks for him: `X-Forwarded-For` and `X-Forwarded-Proto`, believed only from
//! addresses that the operator trusts.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The most hops that are followed; nobody has more proxies of his own in a row.
const HOPS_MAX: usize = 16;

/// An address, or a network such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Network(IpNet);

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = text.parse().or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address)));
        network.map(Self).map_err(|_| "must be addresses or networks such as 127.0.0.1 or 10.0.0.0/8")
    }
}

impl TryFrom<String> for Network {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The proxies that are trusted. Cloning shares.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies(Arc<[Network]>);

impl Proxies {
    pub(crate) fn new(networks: &[Network]) -> Self {
        Self(networks.into())
    }

    /// Whether what comes from `address` is believed.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.0.contains(&address))
    }

    /// Who asks, and how his request came to the first of our proxies. `own` is how it came to us.
    ///
    /// Port 0 stands for an unknown one.
    pub(crate) fn client(&self, peer: SocketAddr, own: Scheme, headers: &HeaderMap) -> (SocketAddr, Scheme) {
        if self.0.is_empty() || !self.trusts(peer.ip()) {
            return (peer, own);
        }
        (self.origin(peer, headers), scheme(headers).unwrap_or(own))
    }

    /// From right to left each proxy names whom it heard; the first that is not trusted is the client. What stands
    /// further left is his own word.
    fn origin(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        let mut nearest = peer;
        for hop in from_the_right(headers, &FORWARDED_FOR).take(HOPS_MAX) {
            let Some(address) = address(hop) else { break };
            nearest = address;
            if !self.trusts(address.ip()) {
                break;
            }
        }
        nearest
    }
}

/// The nearest proxy's word.
fn scheme(headers: &HeaderMap) -> Option<Scheme> {
    let word = from_the_right(headers, &FORWARDED_PROTO).next()?;
    [Scheme::HTTPS, Scheme::HTTP].into_iter().find(|known| word.eq_ignore_ascii_case(known.as_str()))
}

/// The members of a list header, which may stand in several lines, from the last to the first.
fn from_the_right<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().rev();
    lines.flat_map(|line: &HeaderValue| line.to_str().unwrap_or_default().rsplit(',').map(str::trim))
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(hop: &str) -> Option<SocketAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let bare = bare.parse().map(|address: IpAddr| SocketAddr::new(address, 0));
    let address: SocketAddr = bare.or_else(|_| hop.parse()).ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proxies() -> Proxies {
        Proxies::new(&["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()])
    }

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let lines: Vec<_> = forwarded.iter().map(|value| (FORWARDED_FOR, *value)).collect();
        let mut map = HeaderMap::new();
        for (name, value) in &lines {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        proxies().client(peer.parse().unwrap(), Scheme::HTTP, &map).0.to_string()
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_is_not_trusted() {
        for (peer, forwarded, expected) in [
            ("127.0.0.1:5", &["192.0.2.7"][..], "192.0.2.7:0"),
            ("127.0.0.1:5", &["192.0.2.7:4711"], "192.0.2.7:4711"),
            ("127.0.0.1:5", &["203.0.113.9, 192.0.2.7"], "192.0.2.7:0"),
            ("127.0.0.1:5", &["203.0.113.9", "192.0.2.7"], "192.0.2.7:0"),
            ("127.0.0.1:5", &["192.0.2.7, 10.1.2.3, 10.4.5.6"], "192.0.2.7:0"),
            ("127.0.0.1:5", &["192.0.2.7", "10.1.2.3"], "192.0.2.7:0"),
            ("127.0.0.1:5", &["10.9.9.9, 10.1.2.3"], "10.9.9.9:0"),
            ("127.0.0.1:5", &["nonsense, 10.1.2.3"], "10.1.2.3:0"),
            ("127.0.0.1:5", &["192.0.2.7, unknown"], "127.0.0.1:5"),
            ("127.0.0.1:5", &["192.0.2.7,"], "127.0.0.1:5"),
            ("127.0.0.1:5", &[], "127.0.0.1:5"),
            ("[2001:db8::5]:5", &["[2001:470::1]:9"], "[2001:470::1]:9"),
            ("[2001:db8::5]:5", &["2001:470::1"], "[2001:470::1]:0"),
            ("[::ffff:127.0.0.1]:5", &["::ffff:192.0.2.7"], "192.0.2.7:0"),
        ] {
            assert_eq!(client(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_stranger_cannot_pretend_to_be_another() {
        assert_eq!(client("192.0.2.66:5", &["127.0.0.1"]), "192.0.2.66:5");
        let spoofed = headers(&[(FORWARDED_PROTO, "https")]);
        let (_, scheme) = proxies().client("192.0.2.66:5".parse().unwrap(), Scheme::HTTP, &spoofed);
        assert_eq!(scheme, Scheme::HTTP);
    }

    #[test]
    fn the_scheme_is_the_nearest_proxys_word() {
        for (value, own, expected) in [
            ("https", Scheme::HTTP, Scheme::HTTPS),
            ("HTTPS", Scheme::HTTP, Scheme::HTTPS),
            ("http", Scheme::HTTPS, Scheme::HTTP),
            ("http, https", Scheme::HTTP, Scheme::HTTPS),
            ("gopher", Scheme::HTTPS, Scheme::HTTPS),
            ("", Scheme::HTTP, Scheme::HTTP),
        ] {
            let map = headers(&[(FORWARDED_PROTO, value)]);
            let (_, scheme) = proxies().client("10.0.0.1:1".parse().unwrap(), own, &map);
            assert_eq!(scheme, expected, "{value}");
        }
    }

    #[test]
    fn networks_are_addresses_or_prefixes() {
        for good in ["127.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32"] {
            assert!(good.parse::<Network>().is_ok(), "{good}");
        }
        for bad in ["", "localhost", "10.0.0.0/33", "10.0.0/8", "127.0.0.1:80"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics_and_strangers_stay_themselves(
            values in prop::collection::vec(prop::collection::vec(0x20_u8..=0xff, 0..60), 0..4), trusted in any::<bool>(),
        ) {
            let peer: SocketAddr = if trusted { "10.0.0.1:1" } else { "192.0.2.1:1" }.parse().unwrap();
            let mut map = HeaderMap::new();
            for value in values {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    map.append(FORWARDED_FOR, value.clone());
                    map.append(FORWARDED_PROTO, value);
                }
            }
            let (client, scheme) = proxies().client(peer, Scheme::HTTP, &map);
            prop_assert!(trusted || (client == peer && scheme == Scheme::HTTP));
        }

        #[test]
        fn nobody_left_of_a_stranger_is_believed(left in "[0-9a-f.:, ]{0,40}") {
            prop_assert_eq!(client("127.0.0.1:5", &[&format!("{left},192.0.2.7")]), "192.0.2.7:0");
        }
    }
}
