//! Watches the certificate's files and takes a changed pair for new connections. A broken one changes nothing but
//! the log and the figures.

use std::fs::{Metadata, metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::Signal;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Current, Figures, Files, Pair, PairError};

/// How often the files are looked at.
const POLL_EVERY: Duration = Duration::from_secs(5);

/// Keeps the certificate in force up to date.
pub(crate) struct Reloader {
    files: Files,
    current: Arc<Current>,
    figures: Figures,
    seen: Seen,
}

impl Reloader {
    /// Loads `files` for the first time.
    pub(super) fn load(files: Files, figures: Figures) -> Result<(Self, Arc<Current>), PairError> {
        // Looked at before they are read: a change in between is then seen as one.
        let seen = Seen::new(Look::at(&files));
        let pair = Pair::load(&files)?;
        let current = Arc::new(Current(ArcSwap::new(Arc::clone(&pair.certified))));
        in_force(&pair, &figures);
        Ok((Self { files, current: Arc::clone(&current), figures, seen }, current))
    }

    /// Watches until `cancel`; `hangup` (SIGHUP) has the files read at once.
    pub(crate) async fn run(mut self, mut hangup: Signal, cancel: CancellationToken) {
        let mut ticks = interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = hangup.recv() => self.reload(),
                _ = ticks.tick() => self.poll(),
            }
        }
    }

    /// Looks at the files, and reads them if they changed and rest again.
    pub(crate) fn poll(&mut self) {
        if self.seen.is_new(Look::at(&self.files)) {
            self.reload();
        }
    }

    /// Reads the files and takes what they hold, if it is usable.
    pub(crate) fn reload(&mut self) {
        self.seen = Seen::new(Look::at(&self.files));
        match Pair::load(&self.files) {
            Ok(pair) => {
                self.current.set(&pair);
                self.figures.reloads.inc();
                self.figures.reload_failed.set(0);
                tracing::info!("the TLS certificate was read again and is in force");
                in_force(&pair, &self.figures);
            }
            Err(error) => {
                self.figures.reload_failures.inc();
                self.figures.reload_failed.set(1);
                tracing::error!(%error, "the TLS certificate on disk cannot be used; the earlier one stays in force");
            }
        }
    }
}

fn in_force(pair: &Pair, figures: &Figures) {
    figures.expires.set(pair.expires());
    if pair.has_expired() {
        tracing::warn!("the TLS certificate has expired: clients will refuse it");
    }
}

/// What can be seen of the two files without reading them. Links are followed: tools that renew certificates often
/// only turn a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look([Option<FileLook>; 2]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileLook {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Look {
    fn at(files: &Files) -> Self {
        let look = |file: &Path| metadata(file).ok().map(|found| FileLook::of(&found));
        Self([look(&files.certificate), look(&files.key)])
    }
}

impl FileLook {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
        }
    }
}

/// Which look the files had when they were last read, and at the last poll. Two files never change in one instant:
/// a change counts once it is the same at two polls.
#[derive(Debug)]
struct Seen {
    read: Look,
    last: Look,
}

impl Seen {
    fn new(look: Look) -> Self {
        Self { read: look, last: look }
    }

    fn is_new(&mut self, look: Look) -> bool {
        let rests = look == self.last;
        self.last = look;
        rests && look != self.read
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use prometheus::Registry;

    use super::super::testing::Authority;
    use super::*;

    struct Setup {
        folder: tempfile::TempDir,
        authority: Authority,
        files: Files,
        reloader: Reloader,
        current: Arc<Current>,
    }

    impl Setup {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let authority = Authority::new();
            let files = authority.issue(folder.path(), "live", 2030);
            let figures = Figures::register(&Registry::new()).unwrap();
            let (reloader, current) = Reloader::load(files.clone(), figures).unwrap();
            Self { folder, authority, files, reloader, current }
        }

        fn certificate(&self) -> Vec<u8> {
            self.current.0.load().cert[0].to_vec()
        }

        fn figures(&self) -> (u64, u64, i64) {
            let figures = &self.reloader.figures;
            (figures.reloads.get(), figures.reload_failures.get(), figures.reload_failed.get())
        }
    }

    #[test]
    fn unchanged_files_are_not_read_again() {
        let mut setup = Setup::new();
        for _ in 0..3 {
            setup.reloader.poll();
        }
        assert_eq!(setup.figures(), (0, 0, 0));
    }

    #[test]
    fn a_changed_pair_is_taken_once_it_rests() {
        let mut setup = Setup::new();
        let before = setup.certificate();
        setup.authority.issue(setup.folder.path(), "live", 2031);
        setup.reloader.poll();
        assert_eq!(setup.certificate(), before, "it may still be being written");
        setup.reloader.poll();
        setup.reloader.poll();
        assert_ne!(setup.certificate(), before);
        assert_eq!(setup.figures(), (1, 0, 0));
        assert_eq!(setup.reloader.figures.expires.get(), 1_924_992_000, "2031-01-01");
    }

    #[test]
    fn a_broken_pair_leaves_the_old_in_force_and_is_tried_once() {
        let mut setup = Setup::new();
        let before = setup.certificate();
        fs::write(&setup.files.certificate, "broken").unwrap();
        for _ in 0..5 {
            setup.reloader.poll();
        }
        assert_eq!(setup.certificate(), before);
        assert_eq!(setup.figures(), (0, 1, 1));
        fs::remove_file(&setup.files.key).unwrap();
        for _ in 0..5 {
            setup.reloader.poll();
        }
        assert_eq!(setup.figures(), (0, 2, 1));
        setup.authority.issue(setup.folder.path(), "live", 2032);
        setup.reloader.poll();
        setup.reloader.poll();
        assert_eq!(setup.figures(), (1, 2, 0));
        assert_ne!(setup.certificate(), before);
    }

    #[test]
    fn a_key_of_another_certificate_leaves_the_old_in_force() {
        let mut setup = Setup::new();
        let before = setup.certificate();
        let other = setup.authority.issue(setup.folder.path(), "other", 2030);
        fs::copy(&other.key, &setup.files.key).unwrap();
        setup.reloader.reload();
        assert_eq!(setup.certificate(), before);
        assert_eq!(setup.figures(), (0, 1, 1));
    }

    #[test]
    fn a_turned_link_is_a_change() {
        let mut setup = Setup::new();
        let before = setup.certificate();
        let next = setup.authority.issue(setup.folder.path(), "next", 2033);
        for (from, to) in [(&next.certificate, &setup.files.certificate), (&next.key, &setup.files.key)] {
            fs::remove_file(to).unwrap();
            std::os::unix::fs::symlink(from, to).unwrap();
        }
        setup.reloader.poll();
        setup.reloader.poll();
        assert_ne!(setup.certificate(), before);
    }
}
