//! Finds the installed server programs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::StartError;
use super::account::Account;

/// Where Debian and its relatives install one folder per major version.
const VERSIONED: &str = "/usr/lib/postgresql";

/// The folder that holds `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs(PathBuf);

impl Programs {
    /// Those in `bin_dir` where given, else those of the cluster's own major version `wanted`,
    /// else those on `PATH`, else the newest.
    pub(super) fn find(bin_dir: Option<&Path>, wanted: Option<u32>) -> Result<Self, StartError> {
        let places = match bin_dir {
            Some(only) => vec![only.to_owned()],
            None => usual_places(wanted),
        };
        let complete = |place: &&PathBuf| place.join("initdb").is_file() && place.join("postgres").is_file();
        match places.iter().find(complete) {
            Some(place) => Ok(Self(place.clone())),
            None => Err(StartError::ProgramsMissing { searched: searched(bin_dir) }),
        }
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.0.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }

    /// The major version, asked as `account` from within `folder`: which also proves that the
    /// account can run the programs and enter the folder.
    pub(super) fn major(&self, account: &Account, folder: &Path) -> Result<u32, StartError> {
        let program = self.postgres();
        let mut command = Command::new(&program);
        command.arg("--version").current_dir(folder).stdin(Stdio::null());
        account.run_as(&mut command);
        let said = command.output().map_err(|source| account.explain(folder, &program, source))?;
        major_of(&String::from_utf8_lossy(&said.stdout))
            .ok_or_else(|| StartError::Spawn { program, source: std::io::Error::other("it does not tell its version") })
    }
}

fn usual_places(wanted: Option<u32>) -> Vec<PathBuf> {
    let own = wanted.map(|major| Path::new(VERSIONED).join(major.to_string()).join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    own.into_iter().chain(env::split_paths(&path)).chain(newest_first()).collect()
}

fn newest_first() -> Vec<PathBuf> {
    let entries = fs::read_dir(VERSIONED).into_iter().flatten().flatten();
    let mut majors: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    majors.sort_unstable_by(|a, b| b.cmp(a));
    let folder = |major: u32| Path::new(VERSIONED).join(major.to_string()).join("bin");
    majors.into_iter().map(folder).collect()
}

fn searched(bin_dir: Option<&Path>) -> String {
    match bin_dir {
        Some(only) => only.display().to_string(),
        None => format!("PATH and {VERSIONED}/*/bin"),
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` is 15.
fn major_of(said: &str) -> Option<u32> {
    let version = said.split_whitespace().nth(2)?;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_releases_and_betas() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0)"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_of("no"), None);
    }
}
