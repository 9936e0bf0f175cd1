//! Where publishers can reach the media port.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rtc::shared::ifaces::ifaces;

/// The addresses that publishers are told: announced, bound or found; IPv4 first, because some take the first.
pub(crate) fn candidates(local: SocketAddr, announce: &[IpAddr]) -> io::Result<Vec<SocketAddr>> {
    let with_port = |ip: &IpAddr| SocketAddr::new(*ip, local.port());
    if !announce.is_empty() {
        return Ok(announce.iter().map(with_port).collect());
    }
    if !local.ip().is_unspecified() {
        return Ok(vec![local]);
    }
    let all: Vec<IpAddr> = ifaces()?
        .into_iter()
        .filter_map(|interface| Some(interface.addr?.ip()))
        .filter(|ip| ip.is_ipv4() || local.is_ipv6())
        .collect();
    let mut public: Vec<IpAddr> = all.iter().copied().filter(is_routable).collect();
    if public.is_empty() {
        public = all;
    }
    public.sort_by_key(IpAddr::is_ipv6);
    public.dedup();
    Ok(public.iter().map(with_port).collect())
}

/// Neither loopback nor link-local.
fn is_routable(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|ip| ip.parse().expect("an address")).collect()
    }

    #[test]
    fn announced_addresses_replace_all_others_and_carry_the_port() {
        let local = "0.0.0.0:8189".parse().expect("an address");
        let got = candidates(local, &addresses(&["203.0.113.7", "2001:db8::7"])).expect("pure");
        let text: Vec<String> = got.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["203.0.113.7:8189", "[2001:db8::7]:8189"]);
    }

    #[test]
    fn a_bound_address_is_announced_as_it_is_and_a_wildcard_never() {
        let local: SocketAddr = "127.0.0.1:8189".parse().expect("an address");
        assert_eq!(candidates(local, &[]).expect("pure"), [local]);
        let wildcard = "0.0.0.0:8189".parse().expect("an address");
        let found = candidates(wildcard, &[]).expect("interfaces");
        assert!(!found.is_empty());
        assert!(found.iter().all(|a| a.is_ipv4() && !a.ip().is_unspecified() && a.port() == 8189));
    }
}
