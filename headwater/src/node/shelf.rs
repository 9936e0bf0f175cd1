//! What a running broadcast needs to go on after its node was restarted: one small file each.
//!
//! A file is written whole and renamed, so a killed node leaves the one before. It is not forced to the disk: where
//! the machine itself falls, the broadcast begins anew under another URL.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use packager::broadcast::{Outline, Publishing};
use schema::api::PublishGrant;
use schema::{BroadcastId, UnixMicros};
use serde::{Deserialize, Serialize};

/// How a file's name ends.
const EXTENSION: &str = "json";
/// No more broadcasts than this are taken up again.
const SAVED_MAX: usize = 1_000;

/// A broadcast that its node left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) broadcast: BroadcastId,
    pub(super) grant: PublishGrant,
    /// Who published it last.
    pub(super) publisher: Publishing,
    pub(super) outline: Outline,
    /// Above every media sequence number that was ever listed.
    pub(super) next_msn: u64,
    /// The discontinuity sequence number of what was listed last.
    pub(super) epoch: u64,
    /// When this was written.
    pub(super) written: UnixMicros,
}

/// The folder of those files.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// Opens or begins the folder.
    ///
    /// # Errors
    /// It can neither be found nor made.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The broadcasts whose grace is not over at `now`; all others are forgotten. A file that cannot be read is
    /// told and left out.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub(super) fn take(&self, now: UnixMicros) -> io::Result<Vec<Saved>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != EXTENSION) {
                continue;
            }
            match read(&path) {
                Ok(saved) if is_awaited(&saved, now) && found.len() < SAVED_MAX => found.push(saved),
                Ok(_) => remove(&path),
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "a broadcast cannot be taken up again");
                    remove(&path);
                }
            }
        }
        Ok(found)
    }

    /// Writes what is known of a broadcast now.
    ///
    /// # Errors
    /// It could not be written; the file before stays.
    pub(super) fn keep(&self, saved: &Saved) -> io::Result<()> {
        let path = self.path(&saved.broadcast);
        let written = path.with_extension("new");
        fs::write(&written, serde_json::to_vec(saved)?)?;
        fs::rename(&written, &path)
    }

    /// Forgets a broadcast that is over.
    pub(super) fn forget(&self, broadcast: &BroadcastId) {
        remove(&self.path(broadcast));
    }

    fn path(&self, broadcast: &BroadcastId) -> PathBuf {
        self.folder.join(broadcast.as_str()).with_extension(EXTENSION)
    }
}

fn read(path: &Path) -> io::Result<Saved> {
    serde_json::from_slice(&fs::read(path)?).map_err(Into::into)
}

/// The grace counts from the last word of the node, which is two minutes old at most while it lives.
fn is_awaited(saved: &Saved, now: UnixMicros) -> bool {
    const LAST_WORD_S: i64 = 120;
    let grace = i64::from(saved.grant.grace_s);
    grace > 0 && now.0.saturating_sub(saved.written.0) < (grace + LAST_WORD_S) * 1_000_000
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(file = %path.display(), %error, "cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use packager::broadcast::Tracks;
    use schema::api::{KeyRole, SecondPublisher};
    use schema::ladder::{FrameRate, Ladder, LatencyProfile, PictureSize};

    use super::*;

    fn saved(id: &str, grace_s: u32) -> Saved {
        Saved {
            broadcast: id.parse().unwrap(),
            grant: PublishGrant {
                channel: "demo".parse().unwrap(),
                key_id: "k1".into(),
                title: "Demo".into(),
                ladder: Ladder::default(),
                profile: LatencyProfile::Low,
                frame_rate: None,
                last_size: None,
                grace_s,
                second_publisher: SecondPublisher::Replace,
                passthrough: true,
                role: KeyRole::Primary,
                slate: None,
                dvr_s: 0,
                access: Default::default(),
            },
            publisher: Publishing { session: "s1".parse().unwrap(), key_id: "k1".into() },
            outline: Outline {
                tracks: Tracks { video: true, audio: true },
                source: Some(PictureSize { width: 1280, height: 720 }),
                frame_rate: FrameRate::THIRTY,
                zero: UnixMicros(5),
                coding: Default::default(),
            },
            next_msn: 77,
            epoch: 3,
            written: UnixMicros(1_000_000_000),
        }
    }

    fn at(seconds: i64) -> UnixMicros {
        UnixMicros(1_000_000_000 + seconds * 1_000_000)
    }

    #[test]
    fn what_was_kept_is_taken_up_within_its_grace_and_forgotten_after() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(&folder.path().join("broadcasts")).unwrap();
        for one in [saved("b1", 60), saved("b2", 600), saved("b3", 0)] {
            shelf.keep(&one).unwrap();
        }
        let taken = |seconds| {
            let mut taken = shelf.take(at(seconds)).unwrap();
            taken.sort_by_key(|saved| saved.broadcast.to_string());
            taken
        };
        assert_eq!(taken(179), [saved("b1", 60), saved("b2", 600)]);
        assert_eq!(taken(180), [saved("b2", 600)]);
        assert_eq!(taken(0), [saved("b2", 600)], "the others are forgotten");
        shelf.forget(&"b2".parse().unwrap());
        shelf.forget(&"b2".parse().unwrap());
        assert_eq!(taken(0), []);
    }

    #[test]
    fn a_file_of_nonsense_hinders_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path()).unwrap();
        shelf.keep(&saved("b1", 60)).unwrap();
        fs::write(folder.path().join("b2.json"), "{").unwrap();
        fs::write(folder.path().join("b3.new"), "{").unwrap();
        assert_eq!(shelf.take(at(1)).unwrap().len(), 1);
    }
}
