//! Reads what is kept on disk, a file at a time and whole, on threads where that may block. What is in memory is bounded:
//! a file's bytes count until the last of them is sent or dropped.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use packager::live::{DvrFile, Object};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limits::Limits;
use crate::metrics::{FileRead, Metrics};
use crate::refusal::Refusal;

/// Memory is counted in pieces of so many bytes.
const PIECE: u64 = 1 << 10;
/// So long a reader waits for its turn.
const WAIT: Duration = Duration::from_secs(3);

/// Reads files within limits.
#[derive(Debug)]
pub(crate) struct Files {
    memory: Arc<Semaphore>,
    pieces_max: u32,
    reads: Arc<Semaphore>,
    metrics: Metrics,
    /// True while files cannot be read, so that it is logged once.
    broken: AtomicBool,
}

/// The bytes of a file, and its place in memory.
struct Read {
    bytes: Vec<u8>,
    _memory: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Read {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Files {
    pub(crate) fn new(limits: &Limits, metrics: Metrics) -> Self {
        let pieces_max = u32::try_from(limits.file_bytes_max as u64 / PIECE).unwrap_or(u32::MAX);
        Self {
            memory: Arc::new(Semaphore::new(pieces_max as usize)),
            pieces_max,
            reads: Arc::new(Semaphore::new(limits.file_reads_max)),
            metrics,
            broken: AtomicBool::new(false),
        }
    }

    /// Reads a file.
    pub(crate) async fn read(&self, file: DvrFile) -> Result<Object, Refusal> {
        let Some((memory, turn)) = self.turn(&file).await else {
            self.metrics.file_read(FileRead::Refused);
            return Err(Refusal::TooManyReads);
        };
        let length = file.length;
        let path = file.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let bytes = fs::read(path)?;
            let is_whole = bytes.len() as u64 == length;
            is_whole.then_some(Read { bytes, _memory: memory }).ok_or_else(|| io::Error::other("its length is another"))
        });
        let (result, answer) = match read.await.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(read) => (FileRead::Done, Ok(Object::new([Bytes::from_owner(read)]))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (FileRead::Gone, Err(Refusal::ObjectUnknown)),
            Err(error) => {
                if !self.broken.swap(true, Ordering::Relaxed) {
                    tracing::error!(path = %file.path.display(), %error, "a file kept for rewinding cannot be read");
                }
                (FileRead::Failed, Err(Refusal::FileUnreadable))
            }
        };
        if result == FileRead::Done {
            self.broken.store(false, Ordering::Relaxed);
        }
        self.metrics.file_read(result);
        answer
    }

    /// A place in memory and among those who read, as soon as there is one.
    async fn turn(&self, file: &DvrFile) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let pieces = u32::try_from(file.length.div_ceil(PIECE)).ok().filter(|pieces| *pieces <= self.pieces_max)?;
        let both = async {
            let memory = Arc::clone(&self.memory).acquire_many_owned(pieces).await.ok()?;
            Some((memory, Arc::clone(&self.reads).acquire_owned().await.ok()?))
        };
        timeout(WAIT, both).await.ok()?
    }
}
