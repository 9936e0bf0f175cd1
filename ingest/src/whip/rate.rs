//! How often one address may ask: a bucket of tokens each, kept as one instant (RFC 9725 5).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use schema::subscriber;
use tokio::time::Instant;

/// So many addresses are told apart; beyond that, unknown ones share a bucket until some are full again.
const ADDRESSES_MAX: usize = 4_096;

/// How often one address may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRate {
    /// So many requests at once.
    pub burst: u32,
    /// One more after each such time.
    pub interval: Duration,
}

/// The buckets of all addresses.
pub(super) struct Rates {
    rate: RequestRate,
    /// When each bucket will be full again.
    full_at: Mutex<HashMap<IpAddr, Instant>>,
}

impl Rates {
    pub(super) fn new(rate: RequestRate) -> Self {
        Self { rate, full_at: Mutex::default() }
    }

    /// Takes a token of `address` at `now`, or says when to ask again.
    ///
    /// The machine's own addresses are not limited: behind a proxy that is not among the trusted
    /// ones, every client has one of them.
    pub(super) fn take(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        if address.to_canonical().is_loopback() {
            return Ok(());
        }
        let mut all = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let key = place(&mut all, subscriber(address), now);
        let full_at = all.get(&key).copied().unwrap_or(now).max(now) + self.rate.interval;
        let over = full_at.saturating_duration_since(now + self.rate.interval * self.rate.burst);
        if !over.is_zero() {
            return Err(over);
        }
        all.insert(key, full_at);
        Ok(())
    }
}

/// Where the bucket of `key` stands.
fn place(all: &mut HashMap<IpAddr, Instant>, key: IpAddr, now: Instant) -> IpAddr {
    if all.len() >= ADDRESSES_MAX && !all.contains_key(&key) {
        all.retain(|_, full_at| *full_at > now);
        if all.len() >= ADDRESSES_MAX {
            return IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: RequestRate = RequestRate { burst: 3, interval: Duration::from_secs(2) };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_then_one_each_interval_and_others_are_not_touched() {
        let rates = Rates::new(RATE);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let taken = (0..5).filter(|_| rates.take(ip("192.0.2.1"), start).is_ok()).count();
        assert_eq!(taken, 3);
        assert_eq!(rates.take(ip("192.0.2.1"), at(1)), Err(Duration::from_secs(1)));
        assert_eq!(rates.take(ip("192.0.2.2"), at(1)), Ok(()));
        assert_eq!(rates.take(ip("192.0.2.1"), at(2)), Ok(()));
        assert!(rates.take(ip("192.0.2.1"), at(2)).is_err());
        let taken = (0..5).filter(|_| rates.take(ip("192.0.2.1"), at(100)).is_ok()).count();
        assert_eq!(taken, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_network_is_one_client_and_the_machine_itself_none() {
        let rates = Rates::new(RATE);
        let now = Instant::now();
        for host in 1..=3 {
            assert_eq!(rates.take(ip(&format!("2001:db8::{host}")), now), Ok(()));
        }
        assert!(rates.take(ip("2001:db8::4"), now).is_err());
        assert_eq!(rates.take(ip("2001:db8:0:1::4"), now), Ok(()));
        for _ in 0..10 {
            assert_eq!(rates.take(ip("::1"), now), Ok(()));
            assert_eq!(rates.take(ip("::ffff:127.0.0.1"), now), Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_forgets_who_is_full_again() {
        let rates = Rates::new(RATE);
        let now = Instant::now();
        let many = (0..10_000_u32).map(|number| IpAddr::from(number.to_be_bytes().map(|byte| byte | 0x40)));
        let _ = many.map(|address| rates.take(address, now)).collect::<Vec<_>>();
        let size = || rates.full_at.lock().unwrap().len();
        assert!(size() <= ADDRESSES_MAX + 1);
        for number in 0..ADDRESSES_MAX {
            let number = u32::try_from(number).unwrap();
            let _ = rates.take(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(size() <= ADDRESSES_MAX + 1);
        assert_eq!(rates.take(ip("192.0.2.1"), now + Duration::from_secs(100)), Ok(()));
        assert_eq!(size(), 1);
    }
}
