//! What a broadcast gives up while its encoding falls behind, and when it takes it back.
//!
//! All that can be given up stands in one order: first cheaper presets, then half the frame rate, then rungs'
//! own encoders, each time of the largest rung first; what gains next to nothing is left out. So a broadcast has one
//! level. It goes down quickly, by as much as is missing, and up slowly, one at a time; what did not last is
//! tried again later and later. Pure: time and figures are passed in.

use std::time::{Duration, Instant};

use packager_transcode::wire::Step;
use schema::MediaTime;

use crate::cost;

/// Output that lies further behind its input than this is behind. More than a worker lies where it fills in what does
/// not come, less than where the queues to it are full.
const BEHIND: MediaTime = MediaTime(MediaTime::PER_SECOND * 11 / 20);
/// Output that lies no further behind its input than this is well.
const WELL: MediaTime = MediaTime(MediaTime::PER_SECOND / 4);
/// It has to be behind for so long.
const WINDOW: Duration = Duration::from_millis(1_500);
/// Media for each second of time above which a broadcast catches up by itself, as after a publisher's burst.
const CATCHES_UP: f64 = 1.1;
/// What is left of the load where a broadcast just keeps pace: it has to catch up, too.
const RESERVE: f64 = 0.9;
/// The load is at most halved at once, whatever a moment's figures say.
const HALF: f64 = 0.5;
/// After a change has taken effect nothing is decided for so long.
const SETTLE: Duration = Duration::from_secs(1);
/// A change that has taken no effect after so long is no longer waited for: the longest segment twice, and some.
const EFFECT: Duration = Duration::from_secs(15);
/// How long a new worker is left alone: it begins with media of the past.
const BEGIN: Duration = Duration::from_secs(5);
/// All has to be well for so long before something is taken back; twice as long each time that it did not last.
const WAIT: Duration = Duration::from_secs(20);
/// The longest such wait.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// What was taken back and was well for so long has lasted.
const LASTS: Duration = Duration::from_secs(60);
/// What gains less of the whole load than this is not worth a change.
const GAIN_MIN: f64 = 0.03;

/// One video rung that is encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rung {
    /// Its rendition's number.
    pub rendition: u8,
    /// What its encoder takes where it gives nothing up, in cores.
    pub cores: f64,
    /// Whether it may keep its pictures' presets alone.
    pub presets: Presets,
}

/// Whether a rung's preset may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presets {
    /// It may.
    Change,
    /// Another would change its parameter sets.
    Keep,
}

/// How the output of a worker is, at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// When.
    pub now: Instant,
    /// How far the slowest rung's output lies behind the newest picture that was handed over.
    pub lag: MediaTime,
    /// How far the slowest rung's output has come.
    pub reached: MediaTime,
}

/// Which way a broadcast goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It gives something up.
    Down,
    /// It takes something back.
    Up,
}

impl Direction {
    /// The word used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
        }
    }
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which way.
    pub direction: Direction,
    /// Each rendition that changes, and what it gives up from now on.
    pub steps: Vec<(u8, Step)>,
}

/// The pace of one broadcast.
#[derive(Debug)]
pub struct Pace {
    /// Largest first.
    rungs: Vec<Rung>,
    /// What is taken besides, in cores.
    besides: f64,
    /// Everything that can be given up, in order.
    moves: Vec<(u8, Step)>,
    /// How many of them are.
    taken: usize,
    behind: Option<Behind>,
    well: Option<Instant>,
    settling: Option<Settling>,
    wait: Duration,
    /// The last time that something was taken back, while it has not been given up again.
    taken_back: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Behind {
    since: Instant,
    reached: MediaTime,
}

/// A change whose effect is waited for.
#[derive(Debug)]
struct Settling {
    awaited: Vec<(u8, Step)>,
    until: Instant,
}

impl Pace {
    /// The pace of a broadcast with these rungs, largest first, that takes `besides` cores for all else.
    #[must_use]
    pub fn new(rungs: Vec<Rung>, besides: f64) -> Self {
        let moves = moves(&rungs, besides);
        Self { rungs, besides, moves, taken: 0, behind: None, well: None, settling: None, wait: WAIT, taken_back: None }
    }

    /// Takes note of how the output is; a decision, if it is time for one.
    pub fn observe(&mut self, seen: Seen) -> Option<Change> {
        if self.settling.as_ref().is_some_and(|settling| seen.now < settling.until) {
            (self.behind, self.well) = (None, None);
            return None;
        }
        self.settling = None;
        if seen.lag > BEHIND {
            self.well = None;
            return self.is_behind(seen);
        }
        self.behind = None;
        if seen.lag > WELL {
            self.well = None;
            return None;
        }
        self.is_well(seen.now)
    }

    /// What a worker was told has taken effect.
    pub fn paced(&mut self, rendition: u8, step: Step, now: Instant) {
        if let Some(settling) = &mut self.settling {
            let awaited = settling.awaited.len();
            settling.awaited.retain(|told| *told != (rendition, step));
            if settling.awaited.is_empty() && awaited > 0 {
                settling.until = now + SETTLE;
            }
        }
    }

    /// A rendition's preset may not change after all.
    pub fn keep_preset(&mut self, rendition: u8) {
        for rung in self.rungs.iter_mut().filter(|rung| rung.rendition == rendition) {
            rung.presets = Presets::Keep;
        }
        let stays = |told: &&(u8, Step)| told.0 != rendition || !is_preset(told.1);
        self.taken = self.moves[..self.taken].iter().filter(stays).count();
        self.moves.retain(|told| stays(&told));
    }

    /// A new worker begins.
    pub fn restart(&mut self, now: Instant) {
        self.settling = Some(Settling { awaited: Vec::new(), until: now + BEGIN });
    }

    /// What each rung gives up.
    #[must_use]
    pub fn steps(&self) -> Vec<(u8, Step)> {
        self.steps_at(self.taken)
    }

    /// Whether anything is given up.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.taken > 0
    }

    fn steps_at(&self, taken: usize) -> Vec<(u8, Step)> {
        let step = |rung: &Rung| {
            let last = self.moves[..taken].iter().rev().find(|(rendition, _)| *rendition == rung.rendition);
            (rung.rendition, last.map_or(Step::Whole, |(_, step)| *step))
        };
        self.rungs.iter().map(step).collect()
    }

    /// The load after so many moves, in cores.
    fn load(&self, taken: usize) -> f64 {
        let steps = self.steps_at(taken);
        let encoders = self.rungs.iter().zip(steps).map(|(rung, (_, step))| rung.cores * share(rung, step));
        encoders.sum::<f64>() + self.besides
    }

    fn is_behind(&mut self, seen: Seen) -> Option<Change> {
        let behind = *self.behind.get_or_insert(Behind { since: seen.now, reached: seen.reached });
        let passed = seen.now.saturating_duration_since(behind.since);
        if passed < WINDOW {
            return None;
        }
        self.behind = None;
        let speed = (seen.reached - behind.reached).as_seconds() / passed.as_secs_f64();
        if speed >= CATCHES_UP || self.taken == self.moves.len() {
            return None;
        }
        let bearable = self.load(self.taken) * (speed * RESERVE).clamp(HALF, RESERVE);
        let enough = (self.taken + 1..self.moves.len()).find(|&taken| self.load(taken) <= bearable);
        if self.taken_back.take().is_some_and(|at| seen.now.saturating_duration_since(at) < LASTS) {
            self.wait = (self.wait * 2).min(WAIT_MAX);
        }
        Some(self.change(enough.unwrap_or(self.moves.len()), Direction::Down, seen.now))
    }

    fn is_well(&mut self, now: Instant) -> Option<Change> {
        if self.taken_back.is_some_and(|at| now.saturating_duration_since(at) >= LASTS) {
            self.wait = WAIT;
        }
        let since = *self.well.get_or_insert(now);
        if self.taken == 0 || now.saturating_duration_since(since) < self.wait {
            return None;
        }
        self.taken_back = Some(now);
        Some(self.change(self.taken - 1, Direction::Up, now))
    }

    fn change(&mut self, taken: usize, direction: Direction, now: Instant) -> Change {
        let before = self.steps_at(self.taken);
        self.taken = taken;
        let steps: Vec<_> = self.steps_at(taken).into_iter().filter(|step| !before.contains(step)).collect();
        self.settling = Some(Settling { awaited: steps.clone(), until: now + EFFECT });
        self.well = None;
        Change { direction, steps }
    }
}

fn is_preset(step: Step) -> bool {
    matches!(step, Step::Faster | Step::Fastest)
}

/// What a rung's encoder takes of what it would without giving anything up.
fn share(rung: &Rung, step: Step) -> f64 {
    match (rung.presets, step) {
        (Presets::Keep, Step::HalfRate) => 0.5,
        _ => cost::share(step),
    }
}

/// Everything that these rungs can give up, in order: one kind after the other, the largest rung first.
fn moves(rungs: &[Rung], besides: f64) -> Vec<(u8, Step)> {
    let whole = rungs.iter().map(|rung| rung.cores).sum::<f64>() + besides;
    let kinds = [
        (Step::Whole, Step::Faster),
        (Step::Faster, Step::Fastest),
        (Step::Fastest, Step::HalfRate),
        (Step::HalfRate, Step::LowerRung),
    ];
    let mut moves = Vec::new();
    for (before, step) in kinds {
        // There is nothing below the smallest.
        let among = if step == Step::LowerRung { rungs.len().saturating_sub(1) } else { rungs.len() };
        for rung in rungs[..among].iter().filter(|rung| rung.presets == Presets::Change || !is_preset(step)) {
            let gain = rung.cores * (share(rung, before) - share(rung, step));
            if gain >= whole * GAIN_MIN {
                moves.push((rung.rendition, step));
            }
        }
    }
    moves
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The default ladder at 1080p: 1080p, 720p, 480p, 360p.
    fn pace() -> Pace {
        let cores = [0.56, 0.25, 0.11, 0.06];
        let rung = |(rendition, cores)| Rung { rendition, cores, presets: Presets::Change };
        Pace::new((0..).zip(cores).map(rung).collect(), 0.2)
    }

    /// A broadcast on virtual time, whose worker carries out at once what it is told.
    struct Run {
        pace: Pace,
        began: Instant,
        now: Duration,
        reached: Duration,
        changes: Vec<(f64, Direction, usize)>,
    }

    impl Run {
        fn new(pace: Pace) -> Self {
            Self { pace, began: Instant::now(), now: Duration::ZERO, reached: Duration::ZERO, changes: Vec::new() }
        }

        /// For so long the output lies so far behind, and goes on at that speed.
        fn go(&mut self, seconds: f64, lag_ms: i64, speed: f64) -> &mut Self {
            self.go_by(seconds, lag_ms, |_| speed)
        }

        /// The same, with a speed that depends on the pace.
        fn go_by(&mut self, seconds: f64, lag_ms: i64, speed: impl Fn(&Pace) -> f64) -> &mut Self {
            let end = self.now + Duration::from_secs_f64(seconds);
            while self.now < end {
                self.now += Duration::from_millis(50);
                self.reached += Duration::from_secs_f64(0.05 * speed(&self.pace));
                let now = self.began + self.now;
                let reached = MediaTime::from_micros(i64::try_from(self.reached.as_micros()).unwrap());
                let seen = Seen { now, lag: MediaTime::from_millis(lag_ms), reached };
                if let Some(change) = self.pace.observe(seen) {
                    self.changes.push((self.now.as_secs_f64(), change.direction, self.pace.taken));
                    for (rendition, step) in change.steps {
                        self.pace.paced(rendition, step, now);
                    }
                }
            }
            self
        }

        fn levels(&self) -> Vec<usize> {
            self.changes.iter().map(|(.., level)| *level).collect()
        }
    }

    #[test]
    fn presets_come_first_then_rates_then_encoders_and_of_each_the_largest_rung() {
        let expected = [
            (0, Step::Faster),
            (1, Step::Faster),
            (2, Step::Faster),
            (0, Step::Fastest),
            (1, Step::Fastest),
            (0, Step::HalfRate),
            (1, Step::HalfRate),
            (0, Step::LowerRung),
            (1, Step::LowerRung),
        ];
        assert_eq!(pace().moves, expected);
    }

    #[test]
    fn a_worker_that_keeps_pace_is_left_alone() {
        assert!(Run::new(pace()).go(600.0, 120, 1.0).changes.is_empty());
    }

    #[test]
    fn a_moments_lag_and_a_burst_that_is_caught_up_with_are_no_reason() {
        let mut run = Run::new(pace());
        run.go(1.4, 2_000, 0.1).go(0.1, 300, 1.0).go(1.4, 2_000, 0.1).go(1.0, 100, 1.0).go(5.0, 900, 1.6);
        assert!(run.changes.is_empty(), "{:?}", run.changes);
    }

    #[test]
    fn it_goes_down_within_seconds_by_as_much_as_is_missing() {
        let little = Run::new(pace()).go(2.0, 800, 0.97).levels();
        let more = Run::new(pace()).go(2.0, 800, 0.75).levels();
        let much = Run::new(pace()).go(2.0, 800, 0.1).levels();
        assert_eq!((little, more, much), (vec![1], vec![4], vec![6]));
    }

    #[test]
    fn the_next_decision_waits_for_the_effect_of_the_one_before() {
        let mut run = Run::new(pace());
        run.go(2.0, 800, 0.97);
        let first = run.changes[0].0;
        run.go(10.0, 800, 0.97);
        let (second, ..) = run.changes[1];
        assert!((2.5..=2.7).contains(&(second - first)), "{:?}", run.changes);
        let mut unheard = pace();
        let began = Instant::now();
        let seen =
            |ms| Seen { now: began + Duration::from_millis(ms), lag: MediaTime::SECOND, reached: MediaTime::ZERO };
        let at: Vec<u64> = (0..40_000).step_by(50).filter(|ms| unheard.observe(seen(*ms)).is_some()).collect();
        assert_eq!(at, [1_500, 18_000], "one that is never carried out");
    }

    #[test]
    fn on_a_machine_too_slow_by_a_third_it_settles_where_it_keeps_pace() {
        // The machine gives so many cores; the worker is as fast as its load lets it be.
        let mut run = Run::new(pace());
        let speed = |pace: &Pace| 0.75 / pace.load(pace.taken);
        for _ in 0..20 {
            let now = speed(&run.pace);
            run.go_by(2.0, if now < 1.0 { 900 } else { 100 }, speed);
        }
        assert!(speed(&run.pace) >= 1.0 && run.changes.iter().all(|(.., level)| *level < 7), "{:?}", run.changes);
        let down = run.changes.iter().filter(|(_, direction, _)| *direction == Direction::Down).count();
        assert!(down <= 2, "{:?}", run.changes);
    }

    #[test]
    fn it_goes_up_one_at_a_time_and_slowly() {
        let mut run = Run::new(pace());
        run.go(2.0, 800, 0.5).go(200.0, 100, 1.0);
        assert_eq!(run.levels(), [6, 5, 4, 3, 2, 1, 0]);
        let times: Vec<f64> = run.changes.iter().map(|(at, ..)| *at).collect();
        assert!(times[1..].windows(2).all(|pair| (20.9..22.0).contains(&(pair[1] - pair[0]))), "{times:?}");
    }

    #[test]
    fn what_does_not_last_is_tried_later_and_later_and_what_lasts_is_forgotten() {
        let mut run = Run::new(pace());
        run.go(2.0, 800, 0.9);
        // Each time that something is taken back, it falls behind at once.
        let mut waits = Vec::new();
        for _ in 0..8 {
            let (before, stays) = (run.now, run.pace.taken);
            while run.pace.taken == stays {
                run.go(0.05, 100, 1.0);
            }
            waits.push((run.now - before).as_secs());
            while run.pace.taken < stays {
                run.go(0.05, 800, 0.95);
            }
        }
        assert_eq!(waits, [20, 41, 81, 161, 321, 601, 601, 601]);
        while run.pace.taken > 0 {
            run.go(1.0, 100, 1.0);
        }
        run.go(61.0, 100, 1.0);
        assert_eq!(run.pace.wait, WAIT);
    }

    #[test]
    fn a_rung_whose_preset_stays_gives_up_its_rate_alone() {
        let mut run = Run::new(pace());
        run.go(2.0, 800, 0.75);
        assert_eq!(run.pace.steps()[0], (0, Step::Fastest));
        run.pace.keep_preset(0);
        assert_eq!(run.pace.steps()[0], (0, Step::Whole));
        assert_eq!(run.pace.steps()[1], (1, Step::Faster));
        let left: Vec<Step> = run.pace.moves.iter().filter(|(rung, _)| *rung == 0).map(|(_, step)| *step).collect();
        assert_eq!(left, [Step::HalfRate, Step::LowerRung]);
        run.go(60.0, 800, 0.75);
        assert_eq!(run.pace.steps()[0], (0, Step::LowerRung));
    }

    #[test]
    fn a_new_worker_is_left_alone_for_a_while_and_keeps_its_pace() {
        let mut run = Run::new(pace());
        run.go(2.0, 800, 0.9);
        let level = run.pace.taken;
        run.pace.restart(run.began + run.now);
        run.go(5.0, 4_000, 0.5);
        assert_eq!(run.pace.taken, level);
        run.go(2.0, 4_000, 0.5);
        assert!(run.pace.taken > level);
    }

    proptest! {
        #[test]
        fn whatever_is_seen_steps_are_told_only_where_they_change_and_never_go_beyond_the_list(
            seen in prop::collection::vec((0_i64..2_000, 0_u32..200, 1_u32..400), 1..60),
        ) {
            let mut run = Run::new(pace());
            for (lag, speed, length) in seen {
                run.go(f64::from(length) / 10.0, lag, f64::from(speed) / 100.0);
            }
            prop_assert!(run.pace.taken <= run.pace.moves.len());
            let mut level = 0;
            for (_, direction, now) in run.changes {
                prop_assert_eq!(direction == Direction::Down, now > level);
                prop_assert!(direction == Direction::Down || now + 1 == level);
                level = now;
            }
        }
    }
}
