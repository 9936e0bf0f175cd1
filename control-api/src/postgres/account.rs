//! As whom the server runs: as ourselves, or, where we are root, as an unprivileged user.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, User, getegid, geteuid};

use super::StartError;

/// Tried in this order when we are root.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// The user that runs the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Account {
    /// We are not root: ourselves.
    Own { uid: Uid, gid: Gid },
    /// We are root: this one.
    Other { uid: Uid, gid: Gid, name: String },
}

impl Account {
    /// Whoever owns the cluster `data` already, else the first unprivileged user there is.
    pub(super) fn resolve(data: &Path) -> Result<Self, StartError> {
        if !geteuid().is_root() {
            return Ok(Self::ourselves());
        }
        let owner = fs::metadata(data).ok().map(|found| Uid::from_raw(found.uid()));
        owner
            .filter(|uid| !uid.is_root())
            .and_then(|uid| User::from_uid(uid).ok().flatten())
            .or_else(|| {
                let mut users = UNPRIVILEGED.iter();
                users.find_map(|name| User::from_name(name).ok().flatten())
            })
            .map(|user| Self::Other { uid: user.uid, gid: user.gid, name: user.name })
            .ok_or(StartError::NoUser)
    }

    /// Whoever runs this process.
    pub(super) fn ourselves() -> Self {
        Self::Own { uid: geteuid(), gid: getegid() }
    }

    fn ids(&self) -> (Uid, Gid) {
        match self {
            Self::Own { uid, gid } | Self::Other { uid, gid, .. } => (*uid, *gid),
        }
    }

    /// Makes `command` run as this user, with an empty environment: a `PGDATA` or `PGOPTIONS`
    /// of ours is not the server's.
    pub(super) fn run_as(&self, command: &mut Command) {
        command.env_clear().env("LC_ALL", "C");
        if let Self::Other { uid, gid, .. } = self {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
    }

    /// Makes `folder`, unless it exists, and gives it to this user with mode 0700.
    pub(super) fn own_folder(&self, folder: &Path) -> io::Result<()> {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let (uid, gid) = self.ids();
        if matches!(self, Self::Other { .. }) {
            chown(folder, Some(uid.as_raw()), Some(gid.as_raw()))?;
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
    }

    /// True if this user owns what `found` describes.
    pub(super) fn owns(&self, found: &fs::Metadata) -> bool {
        self.ids().0.as_raw() == found.uid()
    }

    /// The topmost folder on the way to `path` that this user cannot enter by its mode, if any.
    pub(super) fn barred(&self, path: &Path) -> Option<PathBuf> {
        let Self::Other { .. } = self else {
            return None;
        };
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        way.into_iter().find(|folder| !self.enters(folder)).map(Path::to_owned)
    }

    fn enters(&self, folder: &Path) -> bool {
        let Ok(found) = fs::metadata(folder) else {
            return false;
        };
        let (uid, gid) = self.ids();
        let bit = match () {
            () if found.uid() == uid.as_raw() => 0o100,
            () if found.gid() == gid.as_raw() => 0o010,
            () => 0o001,
        };
        found.mode() & bit != 0
    }

    /// `source`, or the folder that bars the way to `path`, where that is why.
    pub(super) fn explain(&self, path: &Path, program: &Path, source: io::Error) -> StartError {
        if let (io::ErrorKind::PermissionDenied, Self::Other { name, .. }, Some(folder)) =
            (source.kind(), self, self.barred(path))
        {
            return StartError::NotTraversable { folder, user: name.clone() };
        }
        StartError::Spawn { program: program.to_owned(), source }
    }
}
