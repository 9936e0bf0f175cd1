//! How many connections may be open: in all, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use schema::subscriber;

use crate::http::metrics::Limit;

/// The open connections of one port. Cloning shares.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    most_per_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One open connection; its place is free when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    /// What it counts for, unless its address may have any number.
    address: Option<IpAddr>,
}

impl Places {
    pub(crate) fn new(most: usize, most_per_address: usize) -> Self {
        Self(Arc::new(Inner { most, most_per_address, taken: Mutex::default() }))
    }

    /// A place for a connection from `peer`; `unlimited` says that this address may have any number of them.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(crate) fn take(&self, peer: IpAddr, unlimited: bool) -> Result<Place, Limit> {
        let Inner { most, most_per_address, taken } = &*self.0;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= *most {
            return Err(Limit::Connections);
        }
        let address = (!unlimited).then(|| subscriber(peer));
        if let Some(address) = address {
            let count = taken.by_address.get(&address).copied().unwrap_or(0);
            if count >= *most_per_address {
                return Err(Limit::ConnectionsPerAddress);
            }
            taken.by_address.insert(address, count + 1);
        }
        taken.all += 1;
        Ok(Place { places: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(address) = self.address {
            match taken.by_address.get_mut(&address) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(taken.by_address.remove(&address)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_cannot_take_all_places_and_gives_back_what_it_took() {
        let places = Places::new(4, 2);
        let first = places.take(ip("192.0.2.1"), false).unwrap();
        let _second = places.take(ip("::ffff:192.0.2.1"), false).unwrap();
        assert_eq!(places.take(ip("192.0.2.1"), false).unwrap_err(), Limit::ConnectionsPerAddress);
        let _other = places.take(ip("192.0.2.2"), false).unwrap();
        drop(first);
        let _again = places.take(ip("192.0.2.1"), false).unwrap();
        let _last = places.take(ip("192.0.2.3"), false).unwrap();
        assert_eq!(places.take(ip("192.0.2.4"), false).unwrap_err(), Limit::Connections);
    }

    #[test]
    fn a_trusted_address_may_have_any_number_up_to_all() {
        let places = Places::new(3, 1);
        let open: Vec<_> = (0..3).map(|_| places.take(ip("192.0.2.1"), true).unwrap()).collect();
        assert_eq!(places.take(ip("192.0.2.1"), true).unwrap_err(), Limit::Connections);
        drop(open);
        assert!(places.0.taken.lock().unwrap().by_address.is_empty());
    }

    #[test]
    fn addresses_of_one_ipv6_subscriber_count_as_one() {
        let places = Places::new(9, 1);
        let _first = places.take(ip("2001:db8::1"), false).unwrap();
        assert!(places.take(ip("2001:db8::ffff:2"), false).is_err());
        assert!(places.take(ip("2001:db8:0:1::1"), false).is_ok());
    }
}
