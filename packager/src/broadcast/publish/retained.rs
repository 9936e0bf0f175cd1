//! What is left of a broadcast that is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::live::{LiveBroadcast, Snapshot};

/// The window of a broadcast that is over: its playlists and objects stay as long as it is kept.
#[derive(Debug)]
pub struct Retained {
    pub(super) live: Arc<LiveBroadcast>,
    pub(super) retention: Duration,
    /// Readers see the window as long as these are there.
    pub(super) _senders: Vec<watch::Sender<Arc<Snapshot>>>,
}

impl Retained {
    /// The broadcast as viewers see it.
    #[must_use]
    pub fn live(&self) -> &Arc<LiveBroadcast> {
        &self.live
    }

    /// How long viewers are still owed it (rfc8216bis 6.2.2).
    #[must_use]
    pub fn retention(&self) -> Duration {
        self.retention
    }

    /// Keeps it until its time is over or `cancel` is called, and drops it then.
    pub async fn hold(self, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = tokio::time::sleep(self.retention) => {}
        }
    }
}
