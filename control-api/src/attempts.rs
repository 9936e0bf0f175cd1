//! How often each address, and each account, failed to sign in, so that nobody can guess quickly.
//!
//! Reads no clock and no database. A try counts when it begins, so that many at once are no way
//! around the limit, and is forgiven unless its token was wrong.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use schema::subscriber;

/// The most failures of one address within [`WINDOW`].
const FAILURES_MAX: u32 = 10;
/// How long failures count, from the first of them.
const WINDOW: Duration = Duration::from_secs(60);
/// The most addresses remembered; beyond them the oldest is forgotten.
const ADDRESSES_MAX: usize = 4_096;

/// Who counts as one; all whose address is not known count as one together.
type Source = Option<IpAddr>;

#[derive(Debug)]
struct Failures {
    since: Instant,
    count: u32,
}

impl Failures {
    /// How long they count still; zero when they are over.
    fn left(&self, now: Instant) -> Duration {
        (self.since + WINDOW).saturating_duration_since(now)
    }
}

/// Too many failures: try again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany(pub(crate) Duration);

/// The failures of all addresses, or of all that a key of another type stands for.
#[derive(Debug)]
pub(crate) struct Attempts<K = Source>(Mutex<HashMap<K, Failures>>);

impl<K> Default for Attempts<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl Attempts {
    /// Counts a try of `address`, or refuses it.
    pub(crate) fn begin(&self, address: Option<IpAddr>, now: Instant) -> Result<(), TooMany> {
        self.begin_as(address.map(subscriber), now)
    }

    /// Takes a try back that did not fail for its token.
    pub(crate) fn forgive(&self, address: Option<IpAddr>) {
        self.forgive_as(&address.map(subscriber));
    }
}

impl<K: Eq + Hash + Clone> Attempts<K> {
    /// Counts a try of `source`, or refuses it.
    pub(crate) fn begin_as(&self, source: K, now: Instant) -> Result<(), TooMany> {
        let mut known = self.lock();
        make_room(&mut known, &source, now);
        let failures = known.entry(source).or_insert(Failures { since: now, count: 0 });
        if failures.left(now).is_zero() {
            *failures = Failures { since: now, count: 0 };
        }
        if failures.count >= FAILURES_MAX {
            return Err(TooMany(failures.left(now)));
        }
        failures.count += 1;
        Ok(())
    }

    /// Takes a try back that did not fail for what was guessed.
    pub(crate) fn forgive_as(&self, source: &K) {
        if let Some(failures) = self.lock().get_mut(source) {
            failures.count = failures.count.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for one more source: first what is over goes, then the oldest.
fn make_room<K: Eq + Hash + Clone>(known: &mut HashMap<K, Failures>, source: &K, now: Instant) {
    if known.len() < ADDRESSES_MAX || known.contains_key(source) {
        return;
    }
    known.retain(|_, failures| !failures.left(now).is_zero());
    if known.len() >= ADDRESSES_MAX {
        let oldest = known.iter().min_by_key(|(_, failures)| failures.since);
        if let Some(oldest) = oldest.map(|(source, _)| source.clone()) {
            known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn fail(attempts: &Attempts, address: Option<IpAddr>, times: u32, now: Instant) {
        for _ in 0..times {
            attempts.begin(address, now).unwrap();
        }
    }

    #[test]
    fn ten_failures_close_the_door_until_a_minute_after_the_first() {
        let (attempts, begin) = (Attempts::default(), Instant::now());
        let guesser = address("192.0.2.1");
        fail(&attempts, guesser, 10, begin);
        let later = begin + Duration::from_secs(20);
        assert_eq!(attempts.begin(guesser, later), Err(TooMany(Duration::from_secs(40))));
        assert_eq!(attempts.begin(address("192.0.2.2"), later), Ok(()));
        assert_eq!(attempts.begin(None, later), Ok(()));
        assert_eq!(attempts.begin(guesser, begin + WINDOW), Ok(()));
    }

    #[test]
    fn tries_that_did_not_fail_cost_nothing() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..100 {
            attempts.begin(None, now).unwrap();
            attempts.forgive(None);
        }
        attempts.forgive(None);
        fail(&attempts, None, 10, now);
        assert!(attempts.begin(None, now).is_err());
    }

    #[test]
    fn one_network_of_64_bits_is_one_source_and_a_mapped_address_its_own() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        fail(&attempts, address("2001:db8::1"), 10, now);
        assert!(attempts.begin(address("2001:db8::ffff:1"), now).is_err());
        assert!(attempts.begin(address("2001:db8:0:1::1"), now).is_ok());
        fail(&attempts, address("::ffff:192.0.2.1"), 10, now);
        assert!(attempts.begin(address("192.0.2.1"), now).is_err());
        assert!(attempts.begin(address("::ffff:192.0.2.2"), now).is_ok());
    }

    #[test]
    fn the_table_stays_bounded_and_forgets_the_oldest_first() {
        let (attempts, begin) = (Attempts::default(), Instant::now());
        let of = |number: usize| Some(IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap())));
        for number in 0..ADDRESSES_MAX {
            let now = begin + Duration::from_millis(u64::try_from(number).unwrap());
            fail(&attempts, of(number), 10, now);
        }
        let now = begin + Duration::from_secs(10);
        attempts.begin(of(ADDRESSES_MAX), now).unwrap();
        assert_eq!(attempts.lock().len(), ADDRESSES_MAX);
        assert!(attempts.begin(of(1), now).is_err());
        assert!(attempts.begin(of(0), now).is_ok());
        attempts.begin(of(ADDRESSES_MAX + 1), now + WINDOW).unwrap();
        assert!(attempts.lock().len() < ADDRESSES_MAX);
    }
}
