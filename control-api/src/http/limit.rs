//! How often somebody may ask: by address and by account, for each class of route.
//!
//! Whoever stayed away for long enough may ask for a minute's worth at once, and then at its pace. Time is tokio's.
//! Knows no route and no permission; [`super::access`] asks here before it does anything else.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use schema::subscriber;

use super::problem::ApiError;
use crate::ControlApi;
use crate::principal::Who;

/// The most addresses, and the most accounts, that are remembered in one class.
const KEYS_MAX: usize = 1 << 16;

/// What requests cost, and so which limit they count against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// What changes nothing.
    Read,
    /// What changes something.
    Write,
    /// What proves who somebody is, or sends them mail.
    SignIn,
    /// What programs send by themselves, over and over.
    Heartbeat,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::SignIn, Self::Heartbeat];

    /// Its word in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::SignIn => "sign_in",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// How many requests a minute one address, and one account, may send; 0 is any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// Of [`Class::Read`].
    pub reads_per_minute: u32,
    /// Of [`Class::Write`].
    pub writes_per_minute: u32,
    /// Of [`Class::SignIn`].
    pub sign_ins_per_minute: u32,
    /// Of [`Class::Heartbeat`].
    pub heartbeats_per_minute: u32,
}

impl RateLimits {
    /// Any number of everything.
    pub const NONE: Self =
        Self { reads_per_minute: 0, writes_per_minute: 0, sign_ins_per_minute: 0, heartbeats_per_minute: 0 };
    /// What a whole school or office behind one address does not reach.
    pub const USUAL: Self = Self {
        reads_per_minute: 6_000,
        writes_per_minute: 600,
        sign_ins_per_minute: 120,
        heartbeats_per_minute: 6_000,
    };

    fn of(&self, class: Class) -> u32 {
        match class {
            Class::Read => self.reads_per_minute,
            Class::Write => self.writes_per_minute,
            Class::SignIn => self.sign_ins_per_minute,
            Class::Heartbeat => self.heartbeats_per_minute,
        }
    }
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Address,
    Account,
}

impl By {
    pub(crate) const ALL: [Self; 2] = [Self::Address, Self::Account];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Account => "account",
        }
    }
}

/// Who asked how often, in all classes.
#[derive(Debug)]
pub(crate) struct Limiters([ClassLimiters; Class::ALL.len()]);

#[derive(Debug)]
struct ClassLimiters {
    class: Class,
    /// All whose address is not known count as one.
    addresses: Keyed<Option<IpAddr>>,
    accounts: Keyed<Who>,
}

impl Limiters {
    pub(crate) fn new(limits: &RateLimits) -> Self {
        Self(Class::ALL.map(|class| ClassLimiters {
            class,
            addresses: Keyed::new(limits.of(class)),
            accounts: Keyed::new(limits.of(class)),
        }))
    }

    fn of(&self, class: Class) -> Option<&ClassLimiters> {
        self.0.iter().find(|limiters| limiters.class == class)
    }

    /// Counts a request of `address`, or tells how long it must wait. This machine may ask any number of times.
    fn by_address(&self, class: Class, address: Option<IpAddr>) -> Result<(), Duration> {
        match address.map(|address| address.to_canonical()) {
            Some(own) if own.is_loopback() => Ok(()),
            address => self.of(class).map_or(Ok(()), |limiters| limiters.addresses.count(&address.map(subscriber))),
        }
    }

    fn by_account(&self, class: Class, who: Who) -> Result<(), Duration> {
        self.of(class).map_or(Ok(()), |limiters| limiters.accounts.count(&who))
    }
}

/// Counts a request of `address`.
///
/// # Errors
/// `requests_too_many` where it sent too many.
pub(crate) fn count_address(api: &ControlApi, class: Class, address: Option<IpAddr>) -> Result<(), ApiError> {
    let counted = api.limiters().by_address(class, address);
    counted.map_err(|wait| refuse(api, class, By::Address, wait))
}

/// Counts a request of `who`, from wherever it comes.
///
/// # Errors
/// `requests_too_many` where they sent too many.
pub(crate) fn count_account(api: &ControlApi, class: Class, who: Who) -> Result<(), ApiError> {
    let counted = api.limiters().by_account(class, who);
    counted.map_err(|wait| refuse(api, class, By::Account, wait))
}

fn refuse(api: &ControlApi, class: Class, by: By, wait: Duration) -> ApiError {
    api.metrics().limited.with_label_values(&[class.as_str(), by.as_str()]).inc();
    // Whole seconds, rounded up: who comes back then finds the door open.
    let retry_after_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    ApiError::RequestsTooMany { retry_after_s: retry_after_s.max(1) }
}

/// Tokio's clock, which tests can stop.
#[derive(Debug, Clone)]
struct Ticks;

impl Clock for Ticks {
    type Instant = Instant;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, Ticks, NoOpMiddleware<Instant>>;

/// A bounded limiter of all that keys stand for.
#[derive(Debug)]
struct Keyed<K: Hash + Eq + Clone>(Option<(Quota, Mutex<Limiter<K>>)>);

impl<K: Hash + Eq + Clone> Keyed<K> {
    fn new(per_minute: u32) -> Self {
        let quota = NonZeroU32::new(per_minute).map(Quota::per_minute);
        Self(quota.map(|quota| (quota, Mutex::new(RateLimiter::hashmap_with_clock(quota, Ticks)))))
    }

    fn count(&self, key: &K) -> Result<(), Duration> {
        let Some((quota, limiter)) = &self.0 else {
            return Ok(());
        };
        let mut limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
        if limiter.len() >= KEYS_MAX {
            limiter.retain_recent();
            // Half a table at least is free after a sweep, so that sweeps stay rare. Nobody with so many addresses
            // is held up by the limit of one.
            if limiter.len() > KEYS_MAX / 2 {
                *limiter = RateLimiter::hashmap_with_clock(*quota, Ticks);
            }
        }
        limiter.check_key(key).map_err(|until| until.wait_time_from(Ticks.now()))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |(_, limiter)| limiter.lock().unwrap().len())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::advance;
    use uuid::Uuid;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limiters() -> Limiters {
        let limits =
            RateLimits { reads_per_minute: 60, writes_per_minute: 6, sign_ins_per_minute: 0, heartbeats_per_minute: 1 };
        Limiters::new(&limits)
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_minutes_worth_may_come_at_once_and_then_its_pace() {
        let limiters = limiters();
        let asker = address("192.0.2.1");
        for _ in 0..6 {
            limiters.by_address(Class::Write, asker).unwrap();
        }
        assert_eq!(limiters.by_address(Class::Write, asker), Err(10 * SECOND));
        advance(4 * SECOND).await;
        assert_eq!(limiters.by_address(Class::Write, asker), Err(6 * SECOND));
        advance(6 * SECOND).await;
        assert_eq!(limiters.by_address(Class::Write, asker), Ok(()));
        assert_eq!(limiters.by_address(Class::Write, asker), Err(10 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn classes_addresses_and_accounts_are_counted_apart() {
        let limiters = limiters();
        let (one, other) = (address("2001:db8::1"), address("2001:db8:0:1::1"));
        limiters.by_address(Class::Heartbeat, one).unwrap();
        assert!(limiters.by_address(Class::Heartbeat, address("2001:db8::2")).is_err(), "the same /64");
        limiters.by_address(Class::Heartbeat, other).unwrap();
        limiters.by_address(Class::Heartbeat, None).unwrap();
        assert!(limiters.by_address(Class::Heartbeat, None).is_err());
        limiters.by_address(Class::Read, one).unwrap();
        let (user, token) = (Who::User(Uuid::nil()), Who::Token(Uuid::nil()));
        limiters.by_account(Class::Heartbeat, user).unwrap();
        limiters.by_account(Class::Heartbeat, token).unwrap();
        assert_eq!(limiters.by_account(Class::Heartbeat, user), Err(60 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn this_machine_and_classes_without_a_limit_may_ask_any_number_of_times() {
        let limiters = limiters();
        for _ in 0..1_000 {
            for own in ["127.0.0.1", "::1", "::ffff:127.0.0.9"] {
                limiters.by_address(Class::Heartbeat, address(own)).unwrap();
            }
            limiters.by_address(Class::SignIn, address("192.0.2.1")).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_stays_bounded_and_keeps_those_who_still_owe() {
        let keyed = Keyed::new(1);
        let of = |number: usize| IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap()));
        for number in 0..KEYS_MAX - 1 {
            keyed.count(&of(number)).unwrap();
        }
        advance(121 * SECOND).await;
        let late = of(KEYS_MAX);
        keyed.count(&late).unwrap();
        assert_eq!(keyed.len(), KEYS_MAX);
        assert!(keyed.count(&late).is_err(), "the sweep takes only what is over");
        assert_eq!(keyed.len(), 1);
        for number in 0..2 * KEYS_MAX {
            keyed.count(&of(KEYS_MAX + 1 + number)).unwrap();
            assert!(keyed.len() <= KEYS_MAX);
        }
    }
}
