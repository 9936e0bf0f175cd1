//! Room for broadcasts on this machine: what those that run take, and whether another one fits.
//!
//! A broadcast is planned with what its ladder is estimated to take, and counted with what its worker really takes once
//! that is known. Whoever holds a [`Place`] of a channel has room; all holders of a channel share it, so a publisher that comes
//! to a broadcast that runs is never turned away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use packager::{cost, ladder};
use prometheus::core::Collector;
use prometheus::{Gauge, Registry};
use schema::ChannelName;
use schema::api::PublishGrant;
use schema::ladder::{FrameRate, Ladder, LatencyProfile, PictureSize};

/// How much of the difference a measured figure moves the smoothed one: quickly up, slowly down, as a publisher who is
/// away for a while costs little and comes back.
const RISE: f64 = 0.25;
const FALL: f64 = 0.02;
/// Estimates are corrected by no more than this, whatever running workers take.
const CORRECTION: std::ops::RangeInclusive<f64> = 0.4..=2.5;
/// What a channel's ladder is planned for whose source was never seen.
const SIZE_UNKNOWN: PictureSize = PictureSize { width: 1280, height: 720 };

/// The machine has no room for another broadcast now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom;

/// What one broadcast takes.
#[derive(Debug, Clone, Copy)]
struct Use {
    holders: usize,
    /// By its ladder, in cores.
    estimate: f64,
    /// By its worker, in cores, smoothed; `None` while nothing is known.
    measured: Option<f64>,
    /// Whether it gives quality up to keep pace.
    is_degraded: bool,
}

/// What is known of all broadcasts. Pure.
#[derive(Debug)]
struct Ledger {
    /// What all together may take, in cores; `None`: any.
    limit: Option<f64>,
    uses: HashMap<ChannelName, Use>,
}

impl Ledger {
    fn take(&mut self, channel: &ChannelName, estimate: f64) -> Result<(), NoRoom> {
        if !self.uses.contains_key(channel) && !self.fits(estimate) {
            return Err(NoRoom);
        }
        self.hold(channel, estimate);
        Ok(())
    }

    fn hold(&mut self, channel: &ChannelName, estimate: f64) {
        let new = Use { holders: 0, estimate, measured: None, is_degraded: false };
        self.uses.entry(channel.clone()).or_insert(new).holders += 1;
    }

    fn give_back(&mut self, channel: &ChannelName) {
        if let Some(taken) = self.uses.get_mut(channel) {
            taken.holders -= 1;
            if taken.holders == 0 {
                self.uses.remove(channel);
            }
        }
    }

    fn note(&mut self, channel: &ChannelName, cores: Option<f64>, is_degraded: bool) {
        if let Some(taken) = self.uses.get_mut(channel) {
            taken.is_degraded = is_degraded;
            if let Some(cores) = cores {
                let before = taken.measured.unwrap_or(taken.estimate);
                let part = if cores > before { RISE } else { FALL };
                taken.measured = Some(before + (cores - before) * part);
            }
        }
    }

    /// An idle machine takes any broadcast, which may have to give quality up; one that is behind takes none.
    fn fits(&self, estimate: f64) -> bool {
        let Some(limit) = self.limit else { return true };
        let correction = self.correction();
        let wanted = self.in_use() + estimate * correction;
        self.uses.is_empty() || wanted <= limit && !self.uses.values().any(|taken| taken.is_degraded)
    }

    /// What all broadcasts take, in cores; of one that gives quality up, what it would without.
    fn in_use(&self) -> f64 {
        let correction = self.correction();
        let cores = |taken: &Use| taken.measured.unwrap_or(taken.estimate * correction);
        self.uses.values().map(cores).sum()
    }

    /// What workers take for each core that was estimated, as far as they are measured.
    fn correction(&self) -> f64 {
        let known = self.uses.values().filter(|taken| !taken.is_degraded);
        let known = known.filter_map(|taken| Some((taken.measured?, taken.estimate)));
        let (measured, estimated) = known.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        if estimated <= 0.0 { 1.0 } else { (measured / estimated).clamp(*CORRECTION.start(), *CORRECTION.end()) }
    }
}

/// The room of this machine. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    ledger: Arc<Mutex<Ledger>>,
    metrics: Metrics,
}

/// Room that is taken for a channel, and given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    channel: ChannelName,
    room: Room,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.lock().give_back(&self.channel);
        self.room.show();
    }
}

impl Room {
    /// Room for broadcasts that take `limit` cores together; `None`: for any number.
    ///
    /// # Errors
    /// The metrics exist already.
    pub(crate) fn new(limit: Option<f64>, registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::register(registry)?;
        metrics.limit.set(limit.unwrap_or(0.0));
        Ok(Self { ledger: Arc::new(Mutex::new(Ledger { limit, uses: HashMap::new() })), metrics })
    }

    /// Takes room for a broadcast of that grant's channel, or a share of what it has.
    ///
    /// # Errors
    /// [`NoRoom`], where none runs or is about to and another does not fit.
    pub(crate) fn take(&self, grant: &PublishGrant) -> Result<Place, NoRoom> {
        self.lock().take(&grant.channel, estimate(grant))?;
        Ok(self.place(grant))
    }

    /// Takes room for a broadcast that goes on in any case.
    pub(crate) fn take_any(&self, grant: &PublishGrant) -> Place {
        self.lock().hold(&grant.channel, estimate(grant));
        self.place(grant)
    }

    /// Takes note of what a broadcast takes, in cores, where that is known, and whether it gives quality up.
    pub(crate) fn note(&self, channel: &ChannelName, cores: Option<f64>, is_degraded: bool) {
        self.lock().note(channel, cores, is_degraded);
        self.show();
    }

    fn place(&self, grant: &PublishGrant) -> Place {
        self.show();
        Place { channel: grant.channel.clone(), room: self.clone() }
    }

    fn show(&self) {
        let ledger = self.lock();
        self.metrics.estimated.set(ledger.uses.values().map(|taken| taken.estimate).sum());
        self.metrics.in_use.set(ledger.in_use());
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a broadcast of that channel is going to take, in cores: its ladder, planned for its last source.
fn estimate(grant: &PublishGrant) -> f64 {
    let frame_rate = FrameRate::new(grant.frame_rate.unwrap_or(30).clamp(1, 60), 1);
    cores(&grant.ladder, grant.last_size.unwrap_or(SIZE_UNKNOWN), grant.profile, frame_rate)
}

fn cores(wishes: &Ladder, source: PictureSize, profile: LatencyProfile, frame_rate: FrameRate) -> f64 {
    let renditions = ladder::renditions(wishes, Some(source), true, profile);
    cost::ladder(&renditions, Some(source), frame_rate)
}

/// What the default ladder takes at 720p and 30 pictures a second, in cores; for `doctor`.
pub(crate) fn usual_cores() -> f64 {
    cores(&Ladder::default(), SIZE_UNKNOWN, LatencyProfile::default(), FrameRate::THIRTY)
}

/// What operators see of the room.
#[derive(Debug, Clone)]
struct Metrics {
    limit: Gauge,
    estimated: Gauge,
    in_use: Gauge,
}

impl Metrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| -> Result<Gauge, prometheus::Error> {
            let gauge = Gauge::new(format!("headwater_transcoder_cores_{name}"), help)?;
            registry.register(Box::new(gauge.clone()) as Box<dyn Collector>)?;
            Ok(gauge)
        };
        Ok(Self {
            limit: gauge("limit", "Cores that all broadcasts may take together; 0 where there is no limit")?,
            estimated: gauge("estimated", "Cores that the ladders of all broadcasts are estimated to take")?,
            in_use: gauge("in_use", "Cores that all broadcasts take, measured as far as they were")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str) -> ChannelName {
        name.parse().unwrap()
    }

    fn ledger(limit: f64) -> Ledger {
        Ledger { limit: Some(limit), uses: HashMap::new() }
    }

    #[test]
    fn broadcasts_are_taken_up_to_the_limit_and_again_when_one_has_ended() {
        let mut ledger = ledger(1.0);
        let [a, b, c] = ["a", "b", "c"].map(channel);
        assert_eq!(ledger.take(&a, 0.5), Ok(()));
        assert_eq!(ledger.take(&b, 0.5), Ok(()));
        assert_eq!(ledger.take(&c, 0.1), Err(NoRoom));
        ledger.give_back(&a);
        assert_eq!(ledger.take(&c, 0.1), Ok(()));
        ledger.give_back(&c);
        ledger.give_back(&c);
        assert_eq!(ledger.uses.len(), 1);
    }

    #[test]
    fn who_comes_to_a_broadcast_that_runs_shares_its_room() {
        let mut ledger = ledger(0.6);
        let [a, b] = ["a", "b"].map(channel);
        ledger.take(&a, 0.5).unwrap();
        ledger.take(&a, 0.5).unwrap();
        ledger.give_back(&a);
        assert_eq!(ledger.take(&b, 0.5), Err(NoRoom), "one of two has left");
        ledger.give_back(&a);
        assert_eq!(ledger.take(&b, 0.5), Ok(()));
    }

    #[test]
    fn an_idle_machine_takes_any_broadcast_and_one_that_is_behind_none() {
        let mut ledger = ledger(4.0);
        let [a, b] = ["a", "b"].map(channel);
        ledger.take(&a, 9.0).unwrap();
        assert_eq!(ledger.take(&b, 0.1), Err(NoRoom));
        ledger.give_back(&a);
        ledger.take(&a, 1.0).unwrap();
        ledger.note(&a, Some(0.5), true);
        assert_eq!(ledger.take(&b, 0.1), Err(NoRoom));
        ledger.note(&a, Some(1.0), false);
        assert_eq!(ledger.take(&b, 0.1), Ok(()));
    }

    #[test]
    fn without_a_limit_all_are_taken() {
        let mut ledger = Ledger { limit: None, uses: HashMap::new() };
        assert!((0..100).all(|number| ledger.take(&channel(&format!("c{number}")), 9.0).is_ok()));
    }

    #[test]
    fn what_workers_take_corrects_the_estimates() {
        let [a, b] = ["a", "b"].map(channel);
        let table = [(0.25, 30, true), (0.5, 30, true), (0.8, 30, false), (0.8, 1, true)];
        for (measured, reports, fits) in table {
            let mut ledger = ledger(1.2);
            ledger.take(&a, 0.5).unwrap();
            (0..reports).for_each(|_| ledger.note(&a, Some(measured), false));
            assert_eq!(ledger.take(&b, 0.5).is_ok(), fits, "{measured} after {reports}");
        }
    }

    #[test]
    fn a_publisher_who_is_away_for_a_minute_keeps_most_of_its_room() {
        let mut ledger = ledger(1.0);
        let a = channel("a");
        ledger.take(&a, 0.8).unwrap();
        (0..30).for_each(|_| ledger.note(&a, Some(0.1), false));
        assert!(ledger.in_use() > 0.4, "{}", ledger.in_use());
    }

    #[test]
    fn a_ladder_is_estimated_for_the_channels_last_size_and_rate() {
        let mut grant = PublishGrant {
            channel: channel("demo"),
            key_id: "k".to_owned(),
            title: String::new(),
            ladder: Ladder::default(),
            profile: LatencyProfile::Low,
            frame_rate: None,
            last_size: None,
            grace_s: 60,
            second_publisher: schema::api::SecondPublisher::Replace,
            role: schema::api::KeyRole::Primary,
            slate: None,
            dvr_s: 0,
            access: schema::api::Access::Public,
            passthrough: true,
        };
        let unknown = estimate(&grant);
        assert!((unknown - usual_cores()).abs() < 1e-9);
        grant.frame_rate = Some(60);
        assert!(estimate(&grant) > unknown * 1.9);
        grant.frame_rate = None;
        grant.last_size = Some(PictureSize { width: 1920, height: 1080 });
        assert!(estimate(&grant) > unknown * 2.0);
        grant.last_size = Some(PictureSize { width: 640, height: 360 });
        assert!(estimate(&grant) < unknown * 0.3);
    }
}
