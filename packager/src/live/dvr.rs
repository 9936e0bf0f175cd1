//! What viewers can rewind to, of one rendition.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::playlist::dvr::DvrSnapshot;

/// The DVR window of one rendition as viewers see it.
#[derive(Debug, Clone)]
pub struct LiveDvr {
    /// The newest revision of its list; the sender is dropped when the window is gone.
    pub snapshot: watch::Receiver<Arc<DvrSnapshot>>,
    /// Where its files lie.
    pub(crate) folder: PathBuf,
}

/// An object that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DvrFile {
    /// Where it lies. The name is ours, whatever was asked for.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: u64,
}

impl LiveDvr {
    /// The file of the init section or segment of that name, if it is still owed to viewers.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<DvrFile> {
        let file = self.snapshot.borrow().file(name)?;
        Some(DvrFile { path: self.folder.join(file.to_string()), length: file.length() })
    }
}
