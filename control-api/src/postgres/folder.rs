//! The folders and files of a cluster, and the lock on them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::StartError;
use super::account::Account;

/// The longest path of a Unix socket, in bytes (`sun_path` without its NUL).
const SOCKET_PATH_LONGEST: usize = 107;
/// The name of the server's socket in its folder.
const SOCKET_NAME: &str = ".s.PGSQL.5432";
/// Where short socket folders go.
const SHORT: &str = "/tmp";
/// The log is emptied beyond this many bytes.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// The paths of a cluster. The lock is held until this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes and locks `data_dir`.
    pub(super) fn open(data_dir: &Path) -> Result<Self, StartError> {
        let failed = |what, source| StartError::Folder { what, path: data_dir.to_owned(), source };
        fs::create_dir_all(data_dir).map_err(|error| failed("create", error))?;
        let dir = fs::canonicalize(data_dir).map_err(|error| failed("enter", error))?;
        let lock = lock(&dir)?;
        Ok(Self { dir, _lock: lock })
    }

    /// `DIR/postgres`, the server user's own.
    pub(super) fn root(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    /// The cluster.
    pub(super) fn data(&self) -> PathBuf {
        self.root().join("data")
    }

    /// A cluster in the making.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.root().join("data.new")
    }

    /// What the server says. It lies outside the folder that the server's user owns, as we
    /// open it with our own rights.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// The major version that wrote the cluster; `None` where there is none yet.
    pub(super) fn cluster_major(&self) -> Result<Option<u32>, StartError> {
        let path = self.data().join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().parse().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StartError::Folder { what: "read", path, source }),
        }
    }

    /// The log, opened for appending, so that it can be emptied while the server writes to it.
    pub(super) fn open_log(&self) -> io::Result<File> {
        let mut open = OpenOptions::new();
        open.append(true).create(true).mode(0o600).open(self.log())
    }

    /// Empties the log once it is too long.
    pub(super) fn trim_log(&self) -> io::Result<()> {
        let log = self.open_log()?;
        if log.metadata()?.len() > LOG_BYTES_MAX {
            log.set_len(0)?;
        }
        Ok(())
    }

    /// The last line of the log, for an error message.
    pub(super) fn last_log_line(&self) -> String {
        let tail = || -> io::Result<String> {
            let mut log = File::open(self.log())?;
            let back = log.metadata()?.len().min(2_000);
            log.seek(SeekFrom::End(-i64::try_from(back).unwrap_or(0)))?;
            let mut bytes = Vec::new();
            log.read_to_end(&mut bytes)?;
            Ok(last_line(&bytes))
        };
        tail().unwrap_or_default()
    }

    /// The folder for the server's socket: `DIR/postgres/run`, or a short one.
    pub(super) fn socket_folder(&self, account: &Account) -> Result<PathBuf, StartError> {
        let near = self.root().join("run");
        let folder = match fits(&near.join(SOCKET_NAME)) {
            true => near,
            false => short_folder(&self.dir, "pg"),
        };
        claim(&folder, account)
            .map_err(|error| StartError::SocketFolder { reason: format!("{}: {error}", folder.display()) })?;
        Ok(folder)
    }
}

/// The last line with something on it.
pub(super) fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines().rev();
    let line = lines.find(|line| !line.trim().is_empty());
    line.unwrap_or("it said nothing").trim().to_owned()
}

fn lock(dir: &Path) -> Result<File, StartError> {
    let path = dir.join("postgres.lock");
    let failed = |source| StartError::Folder { what: "lock", path: path.clone(), source };
    let mut open = OpenOptions::new();
    let file = open.write(true).create(true).truncate(false).mode(0o600);
    let file = file.open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse { folder: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn fits(socket: &Path) -> bool {
    socket.as_os_str().len() <= SOCKET_PATH_LONGEST
}

/// A short path of our own for `dir`: the same at every start, so that none are left over.
fn short_folder(dir: &Path, purpose: &str) -> PathBuf {
    let digest = Sha256::digest(dir.as_os_str().as_encoded_bytes());
    let name = hex::encode(&digest[..8]);
    Path::new(SHORT).join(format!("headwater-{purpose}-{name}"))
}

/// Makes `folder`, or takes it if it is the account's own already; never one that somebody else
/// put there.
fn claim(folder: &Path, account: &Account) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(folder)?;
            if !found.is_dir() || !(account.owns(&found) || found.uid() == 0) {
                return Err(io::Error::other("it belongs to somebody else"));
            }
        }
        made => made?,
    }
    account.own_folder(folder)
}

/// A path for a Unix socket called `name`: in `data_dir`, or, where that would be too long for
/// the system, in a short folder of mode 0700.
///
/// # Errors
/// If `data_dir` does not exist, or the short folder is not ours.
pub fn short_socket_path(data_dir: &Path, name: &str) -> io::Result<PathBuf> {
    let dir = fs::canonicalize(data_dir)?;
    let near = dir.join(name);
    if fits(&near) {
        return Ok(near);
    }
    let folder = short_folder(&dir, "run");
    claim(&folder, &Account::ourselves())?;
    Ok(folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_data_folder_gets_a_short_socket_path() {
        let base = tempfile::tempdir().unwrap();
        let long = base.path().join("x".repeat(120));
        fs::create_dir(&long).unwrap();
        let path = short_socket_path(&long, "control.sock").unwrap();
        assert!(fits(&path), "{path:?}");
        let folder = path.parent().unwrap();
        assert_eq!(fs::metadata(folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(short_socket_path(&long, "control.sock").unwrap(), path);
        fs::remove_dir(folder).unwrap();
    }

    #[test]
    fn a_short_folder_that_is_a_link_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let link = base.path().join("link");
        std::os::unix::fs::symlink(base.path(), &link).unwrap();
        assert!(claim(&link, &Account::ourselves()).is_err());
    }

    #[test]
    fn the_last_line_skips_blank_ones() {
        assert_eq!(last_line(b"a\nb \n\n"), "b");
        assert_eq!(last_line(b""), "it said nothing");
    }
}
