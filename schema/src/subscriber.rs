//! Whom a limit of so many from one address means.

use std::net::{IpAddr, Ipv6Addr};

/// The one subscriber behind `address`: an IPv4 address, also where it is written as an IPv6 one, or
/// the IPv6 network of 64 bits that a subscriber has at least (RFC 6177) and may use all of.
#[must_use]
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_is_itself_and_an_ipv6_one_its_network() {
        let cases = [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::"),
            ("2001:db8::ffff:1", "2001:db8::"),
            ("2001:db8:0:1::1", "2001:db8:0:1::"),
        ];
        for (address, expected) in cases {
            let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
            assert_eq!(subscriber(ip(address)), ip(expected), "{address}");
        }
    }
}
