//! Keeps finished segments on disk, so that viewers can rewind: one thread per broadcast, off the media path.
//!
//! The broadcast hands each finished segment to a bounded queue and never waits. What cannot be kept is a gap in the DVR
//! list, counted, and nothing more. Nothing is listed before its file is whole, and no file goes before it is owed to
//! nobody. Knows no HTTP.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::Registry;
use schema::BroadcastId;
use schema::id::RenditionName;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;
use tracing::{error, warn};

mod files;
mod metrics;
mod room;
mod writer;

use self::metrics::{Metrics, Missed};
use self::room::{Share, Shares, Standing};
use self::writer::{Beginning, Writer};
use crate::live::LiveDvr;
use crate::playlist::Finished;
use crate::playlist::dvr::{DvrWindow, Rules};

/// Finished segments of all renditions that wait for the disk: half a minute of the usual ladder.
const QUEUE: usize = 64;
/// How often a broadcast whose disk is slow or whose segments are long looks after its files.
const TICK: Duration = Duration::from_secs(1);
/// How long the end of a broadcast waits for the disk.
const DRAIN: Duration = Duration::from_secs(5);

/// Bounds of all DVR windows of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// All files together have no more bytes than this.
    pub bytes_max: u64,
    /// So many bytes of the file system stay free.
    pub free_bytes_min: u64,
    /// How long the window of a broadcast that has ended is kept, in seconds; no shorter than the live one.
    pub keep_after_end_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 100_000_000_000, free_bytes_min: 2_000_000_000, keep_after_end_s: 600 }
    }
}

/// The DVR windows of a node, in one folder. Cloning is cheap and shares.
#[derive(Debug, Clone)]
pub struct DvrStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    limits: Limits,
    metrics: Metrics,
    /// No lock is held across I/O or an await.
    shares: Mutex<Shares>,
    /// Rings when those that have ended must go.
    ended_must_go: Notify,
}

impl DvrStore {
    /// Opens or begins the folder, and registers the metrics.
    ///
    /// # Errors
    /// It can neither be found nor made; or metrics of these names are registered already.
    pub fn open(folder: &Path, limits: Limits, registry: &Registry) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let metrics = Metrics::register(registry).map_err(io::Error::other)?;
        let shares = Mutex::default();
        let folder = folder.to_owned();
        Ok(Self(Arc::new(Shared { folder, limits, metrics, shares, ended_must_go: Notify::new() })))
    }

    /// Removes what broadcasts left that none of `known` is. Blocks on the disk.
    pub fn sweep(&self, known: &[BroadcastId]) {
        let entries = match fs::read_dir(&self.0.folder) {
            Ok(entries) => entries,
            Err(error) => {
                warn!(folder = %self.0.folder.display(), %error, "cannot be listed");
                return;
            }
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !known.iter().any(|known| name == known.as_str()) {
                files::remove_any(&entry.path());
            }
        }
    }

    /// Removes the files of a broadcast that is over.
    pub async fn remove(&self, broadcast: &BroadcastId) {
        let folder = self.folder(broadcast);
        if let Err(panic) = tokio::task::spawn_blocking(move || files::remove_any(&folder)).await {
            error!(%broadcast, %panic, "the files of a DVR window stay");
        }
        self.shares().remove(broadcast);
        self.count_bytes();
    }

    /// How long the window of a broadcast that has ended is kept.
    #[must_use]
    pub fn keep_after_end(&self) -> Duration {
        Duration::from_secs(u64::from(self.0.limits.keep_after_end_s))
    }

    /// Begins the windows of a broadcast, or takes them up as an earlier run left them; `None` where no thread can be had.
    #[must_use]
    pub fn begin(&self, broadcast: &BroadcastId, rules: Rules, renditions: &[&RenditionName]) -> Option<Archive> {
        let rules = Arc::new(rules);
        let empty = Arc::new(DvrWindow::new(Arc::clone(&rules)).view());
        let (sender, queue) = sync_channel(QUEUE);
        let folder = self.folder(broadcast);
        let (mut tracks, mut windows) = (Vec::new(), Vec::new());
        for (index, name) in renditions.iter().enumerate() {
            let (shown, snapshot) = watch::channel(Arc::clone(&empty));
            let path = folder.join(name.as_str());
            let metrics = self.0.metrics.clone();
            let sink = Sink { rendition: index, sender: sender.clone(), metrics, told: AtomicBool::new(false) };
            tracks.push(Track { sink, dvr: LiveDvr { snapshot, folder: path.clone() } });
            windows.push((path, shown));
        }
        let beginning = Beginning { store: self.clone(), broadcast: broadcast.clone(), folder, rules };
        let (done, writer) = oneshot::channel();
        let work = move || {
            let mut writer = Writer::new(beginning, windows);
            writer.load();
            work(&mut writer, &queue);
            // Nobody waits any more where the end took too long.
            let _late = done.send(writer);
        };
        match std::thread::Builder::new().name("dvr".to_owned()).spawn(work) {
            Ok(_joined_by_its_last_word) => {
                Some(Archive { tracks, store: self.clone(), broadcast: broadcast.clone(), writer })
            }
            Err(error) => {
                error!(%broadcast, %error, "no thread for the DVR window: there is none");
                None
            }
        }
    }

    fn folder(&self, broadcast: &BroadcastId) -> PathBuf {
        self.0.folder.join(broadcast.as_str())
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    fn standing(&self, broadcast: &BroadcastId) -> Standing {
        let free = rustix::fs::statvfs(&self.0.folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)).ok();
        self.shares().standing(broadcast, &self.0.limits, free)
    }

    fn set_share(&self, broadcast: &BroadcastId, share: Share) {
        self.shares().set(broadcast, share);
        self.count_bytes();
    }

    fn end(&self, broadcast: &BroadcastId) {
        self.shares().end(broadcast);
    }

    fn drop_ended(&self) {
        self.0.ended_must_go.notify_waiters();
    }

    fn count_bytes(&self) {
        self.0.metrics.bytes.set(i64::try_from(self.shares().bytes()).unwrap_or(i64::MAX));
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.0.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until nobody can hand over a segment any more, and the last is kept.
fn work(writer: &mut Writer, queue: &Receiver<(usize, Finished)>) {
    loop {
        match queue.recv_timeout(TICK) {
            Ok((rendition, finished)) => writer.take(rendition, finished),
            Err(RecvTimeoutError::Timeout) => writer.settle(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The DVR windows of a running broadcast.
#[derive(Debug)]
pub struct Archive {
    /// One for each rendition.
    tracks: Vec<Track>,
    store: DvrStore,
    broadcast: BroadcastId,
    writer: oneshot::Receiver<Writer>,
}

/// Both ends of one rendition's window.
#[derive(Debug)]
pub struct Track {
    /// Where its finished segments go.
    pub sink: Sink,
    /// As viewers see it.
    pub dvr: LiveDvr,
}

/// How a broadcast's windows end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is over: the lists get their end mark.
    Final,
    /// This node stops, and goes on with it later.
    Left,
}

impl Archive {
    /// The ends of each rendition's window, in the order of the renditions. They are had once.
    #[must_use]
    pub fn tracks(&mut self) -> Vec<Track> {
        std::mem::take(&mut self.tracks)
    }

    /// Waits until the last segment is kept, once all sinks are dropped. `None` where the disk takes too long, or the
    /// writer failed.
    pub async fn end(self, end: End) -> Option<Ended> {
        drop(self.tracks);
        let mut writer = match timeout(DRAIN, self.writer).await {
            Ok(Ok(writer)) => writer,
            Ok(Err(_)) => {
                error!(broadcast = %self.broadcast, "the writer of a DVR window failed");
                return None;
            }
            Err(_) => {
                warn!(broadcast = %self.broadcast, "the disk is too slow: the end of a DVR window is left out");
                return None;
            }
        };
        if end == End::Final {
            writer.end();
        }
        Some(Ended { _windows: writer, store: self.store })
    }
}

/// The windows of a broadcast that is over: they are shown while this is kept.
#[derive(Debug)]
pub struct Ended {
    _windows: Writer,
    store: DvrStore,
}

impl Ended {
    /// How long it is kept.
    #[must_use]
    pub fn keep(&self) -> Duration {
        self.store.keep_after_end()
    }

    /// Waits until a running broadcast needs the room.
    pub async fn must_go(&self) {
        self.store.0.ended_must_go.notified().await;
    }
}

/// Where one rendition's finished segments go.
#[derive(Debug)]
pub struct Sink {
    rendition: usize,
    sender: SyncSender<(usize, Finished)>,
    metrics: Metrics,
    /// It was said that the disk is too slow.
    told: AtomicBool,
}

impl Sink {
    /// Hands one over. Where the disk is so slow that the queue is full, it is lost for rewinding, and counted.
    pub fn send(&self, finished: Finished) {
        match self.sender.try_send((self.rendition, finished)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.metrics.missed(Missed::QueueFull);
                if !self.told.swap(true, Ordering::Relaxed) {
                    warn!(
                        "the disk is slower than the broadcast: its DVR window gets gaps; the broadcast itself goes on"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use schema::{Incarnation, MediaTime};

    use super::*;
    use crate::live::{InitSection, Object};

    #[test]
    fn a_disk_that_is_too_slow_costs_segments_and_never_makes_anybody_wait() {
        let registry = Registry::new();
        let (sender, _nobody_takes) = sync_channel(QUEUE);
        let metrics = Metrics::register(&registry).unwrap();
        let sink = Sink { rendition: 0, sender, metrics, told: AtomicBool::new(false) };
        let object = Object::new([Bytes::from_static(b"segment")]);
        for msn in 0..QUEUE as u64 + 3 {
            let init = InitSection { index: 0, object: object.clone() };
            let (start, duration) = (MediaTime::ZERO, MediaTime::SECOND);
            sink.send(Finished {
                msn,
                epoch: 0,
                incarnation: Incarnation(1),
                init,
                start,
                duration,
                object: object.clone(),
            });
        }
        let families = registry.gather();
        let missed = families.iter().find(|family| family.name() == "headwater_dvr_missed_total").unwrap();
        let missed: f64 = missed.get_metric().iter().map(|one| one.get_counter().get_value()).sum();
        assert_eq!(missed, 3.0);
    }
}
