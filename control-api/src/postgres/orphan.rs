//! What an earlier server left behind: its pid file, and perhaps its processes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The lines of `postmaster.pid` that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PidFile {
    /// The server's process id.
    pub(super) pid: i32,
    /// Where its socket lies.
    pub(super) socket: PathBuf,
}

impl PidFile {
    /// Reads that of the cluster `data`; `None` where there is none, or it is cut short.
    pub(super) fn read(data: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(data.join("postmaster.pid")) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        let socket = lines.nth(3)?.trim();
        Some(Self { pid, socket: socket.into() })
    }

    /// Removes that of the cluster `data`, once no process lives there.
    pub(super) fn remove(data: &Path) -> io::Result<()> {
        match fs::remove_file(data.join("postmaster.pid")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// True if `pid` is a Postgres process of the cluster `data`: each of them has it as its working
/// folder, which a stranger with a reused number has not.
pub(super) fn lives_in(pid: i32, data: &Path) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    name.starts_with("post") && fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == data)
}

/// Any process of the cluster `data`.
pub(super) fn survivor(data: &Path) -> Option<i32> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid| lives_in(*pid, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_gives_process_and_socket_folder() {
        let text = "71\n/d/data\n1700000000\n5432\n/d/run\n\n 1 2\nready   \n";
        let found = PidFile::parse(text).unwrap();
        assert_eq!((found.pid, found.socket), (71, PathBuf::from("/d/run")));
    }

    #[test]
    fn a_pid_file_that_is_cut_short_is_none() {
        assert_eq!(PidFile::parse("71\n/d/data\n"), None);
        assert_eq!(PidFile::parse(""), None);
    }

    #[test]
    fn a_stranger_with_a_reused_number_does_not_live_in_the_cluster() {
        let own = i32::try_from(std::process::id()).unwrap();
        let here = std::env::current_dir().unwrap();
        assert!(!lives_in(own, &here));
    }
}
