//! What a process takes, by `/proc`. Only processes of the bench itself are looked at.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

/// The unit of `/proc/PID/stat`: USER_HZ is 100 on every Linux.
const TICK_S: f64 = 0.01;

/// A running process by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process(pub u32);

impl Process {
    /// This one.
    #[must_use]
    pub fn own() -> Self {
        Self(std::process::id())
    }

    /// User and system time of all its threads so far, also of those that ended, in seconds.
    ///
    /// # Errors
    /// It is gone.
    pub fn cpu_s(self) -> Result<f64> {
        let fields = self.stat()?;
        // utime and stime, counted from the state (proc_pid_stat(5)).
        let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).context("/proc/PID/stat is too short")?;
        Ok((user + system) * TICK_S)
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    /// It is gone.
    pub fn memory_bytes(self) -> Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in status")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// How many threads it has.
    ///
    /// # Errors
    /// It is gone.
    pub fn threads(self) -> Result<usize> {
        self.count("task")
    }

    /// How many files and sockets it has open.
    ///
    /// # Errors
    /// It is gone.
    pub fn descriptors(self) -> Result<usize> {
        self.count("fd")
    }

    /// It and its living descendants, with the words of each one's command line.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn family(self) -> Result<BTreeMap<Process, Vec<String>>> {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // One that ended meanwhile has no parent.
            let parent = Self(id).stat().ok().and_then(|fields| fields.get(1)?.parse().ok());
            children.entry(parent.unwrap_or(0)).or_default().push(id);
        }
        let (mut found, mut queue) = (BTreeMap::new(), vec![self.0]);
        while let Some(id) = queue.pop() {
            queue.extend(children.get(&id).into_iter().flatten());
            found.insert(Self(id), Self(id).command());
        }
        Ok(found)
    }

    fn command(self) -> Vec<String> {
        let words = self.read("cmdline").unwrap_or_default();
        words.split_terminator('\0').map(str::to_owned).collect()
    }

    /// What follows the name in `/proc/PID/stat`; the name may hold spaces.
    fn stat(self) -> Result<Vec<String>> {
        let text = self.read("stat")?;
        let (_, rest) = text.rsplit_once(')').context("/proc/PID/stat has no name")?;
        Ok(rest.split_whitespace().map(str::to_owned).collect())
    }

    fn read(self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {path}"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn count(self, folder: &str) -> Result<usize> {
        let path = format!("/proc/{}/{folder}", self.0);
        Ok(fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?.count())
    }
}

/// The CPU of all of them together, in seconds.
///
/// # Errors
/// One is gone.
pub fn cpu_s_of(processes: &[Process]) -> Result<f64> {
    processes.iter().map(|process| process.cpu_s()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something_and_is_its_own_family() {
        let own = Process::own();
        assert!(own.memory_bytes().unwrap() > 100_000);
        assert!(own.threads().unwrap() >= 1 && own.descriptors().unwrap() >= 3);
        assert!(own.cpu_s().unwrap() >= 0.0);
        assert!(own.family().unwrap().contains_key(&own));
    }
}
