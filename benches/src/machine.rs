//! The machine: what it is, how idle it is, and what a child process costs.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use serde::Serialize;

/// How long the machine is watched before each round.
const WATCH: Duration = Duration::from_secs(1);
/// The unit of `/proc/stat`: USER_HZ is 100 on every Linux.
const TICK_S: f64 = 0.01;

/// What the figures belong to.
#[derive(Debug, Serialize)]
pub struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
    ffmpeg: String,
}

impl Machine {
    /// This one.
    ///
    /// # Errors
    /// `/proc` cannot be read, or there is no `ffmpeg`.
    pub fn get() -> Result<Self> {
        let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let version = Command::new("ffmpeg").arg("-version").output().context("no ffmpeg command")?;
        let version = String::from_utf8_lossy(&version.stdout);
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            cpu: model.map_or("unknown", |(_, model)| model).to_owned(),
            kernel: kernel.trim().to_owned(),
            ffmpeg: version.split_whitespace().nth(2).unwrap_or("unknown").to_owned(),
        })
    }
}

/// A machine that is busier than this before a round has other things to do.
pub const IDLE_MIN: f64 = 0.10;
/// So does one of which others take more than this during a run.
pub const OTHERS_MAX: f64 = 0.10;

/// What a child process took.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Usage {
    user_s: f64,
    system_s: f64,
    wall_s: f64,
    /// The share of all cores' time that went to anybody else meanwhile, 0 to 1.
    others: f64,
}

impl Usage {
    /// Of the child processes that `run` starts and waits for.
    ///
    /// # Errors
    /// Those of `run`.
    pub fn of(run: impl FnOnce() -> Result<()>) -> Result<Self> {
        let (before, began) = (Counters::get()?, Instant::now());
        run()?;
        let (after, wall) = (Counters::get()?, began.elapsed());
        let (user_s, system_s) = (after.user_s - before.user_s, after.system_s - before.system_s);
        let all_s = after.ticks.all_s - before.ticks.all_s;
        let busy_s = all_s - (after.ticks.idle_s - before.ticks.idle_s);
        let ours_s = user_s + system_s + after.own_s - before.own_s;
        let others = ((busy_s - ours_s) / all_s.max(TICK_S)).max(0.0);
        Ok(Self { user_s, system_s, wall_s: wall.as_secs_f64(), others })
    }

    /// User and system time, in seconds.
    #[must_use]
    pub fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }

    /// How long it took, in seconds.
    #[must_use]
    pub fn wall_s(&self) -> f64 {
        self.wall_s
    }

    /// The share of all cores' time that went to anybody else, 0 to 1.
    #[must_use]
    pub fn others(&self) -> f64 {
        self.others
    }
}

/// What the kernel has counted so far, in seconds.
struct Counters {
    /// Of all children that were waited for.
    user_s: f64,
    system_s: f64,
    /// Of this process, user and system.
    own_s: f64,
    ticks: Ticks,
}

impl Counters {
    fn get() -> Result<Self> {
        let children = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let own = getrusage(UsageWho::RUSAGE_SELF)?;
        Ok(Self {
            user_s: seconds(children.user_time())?,
            system_s: seconds(children.system_time())?,
            own_s: seconds(own.user_time())? + seconds(own.system_time())?,
            ticks: Ticks::get()?,
        })
    }
}

fn seconds(time: TimeVal) -> Result<f64> {
    Ok(Duration::from_micros(u64::try_from(time.num_microseconds())?).as_secs_f64())
}

/// The share of all cores' time that nobody used in the last second, 0 to 1.
///
/// # Errors
/// `/proc/stat` cannot be read.
#[allow(clippy::disallowed_methods)] // a stretch of real time is what is watched
pub fn idle_share() -> Result<f64> {
    let before = Ticks::get()?;
    std::thread::sleep(WATCH);
    let after = Ticks::get()?;
    Ok((after.idle_s - before.idle_s) / (after.all_s - before.all_s).max(TICK_S))
}

/// A stretch of time, and how busy the machine was in it.
#[derive(Debug)]
pub struct Stretch {
    began: Instant,
    ticks: Ticks,
}

/// What became of a [`Stretch`].
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Busy {
    /// How long it was.
    pub wall_s: f64,
    /// The share of all cores' time that nobody used, 0 to 1.
    pub idle: f64,
    /// The time that all cores were busy, in seconds.
    pub busy_s: f64,
    /// The time of all cores, in seconds.
    pub all_s: f64,
}

impl Stretch {
    /// Begins now.
    ///
    /// # Errors
    /// `/proc/stat` cannot be read.
    pub fn begin() -> Result<Self> {
        Ok(Self { began: Instant::now(), ticks: Ticks::get()? })
    }

    /// Ends now.
    ///
    /// # Errors
    /// `/proc/stat` cannot be read.
    pub fn end(&self) -> Result<Busy> {
        let now = Ticks::get()?;
        let all_s = (now.all_s - self.ticks.all_s).max(TICK_S);
        let idle_s = now.idle_s - self.ticks.idle_s;
        Ok(Busy { wall_s: self.began.elapsed().as_secs_f64(), idle: idle_s / all_s, busy_s: all_s - idle_s, all_s })
    }
}

impl Busy {
    /// The share of all cores' time that went to others than those who took `ours_s` seconds, 0 to 1.
    #[must_use]
    pub fn others(&self, ours_s: f64) -> f64 {
        ((self.busy_s - ours_s) / self.all_s).max(0.0)
    }
}

/// The time of all cores together.
#[derive(Debug)]
struct Ticks {
    idle_s: f64,
    all_s: f64,
}

impl Ticks {
    /// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal (proc_stat(5)).
    fn get() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().context("/proc/stat is empty")?;
        let fields = line.split_whitespace().skip(1).take(8).map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let [_, _, _, idle, waiting, ..] = fields[..] else { bail!("/proc/stat is too short") };
        Ok(Self { idle_s: (idle + waiting) * TICK_S, all_s: fields.iter().sum::<f64>() * TICK_S })
    }
}
