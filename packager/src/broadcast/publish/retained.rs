//! What viewers are owed of a broadcast that is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::archive::Ended;
use crate::live::{LiveBroadcast, Snapshot};

/// The window of a broadcast that is over: its playlists and objects stay as long as it is kept.
#[derive(Debug)]
pub struct Retained {
    live: Arc<LiveBroadcast>,
    retention: Duration,
    _senders: Vec<watch::Sender<Arc<Snapshot>>>,
    dvr: Option<Ended>,
}

impl Retained {
    pub(super) fn new(
        live: Arc<LiveBroadcast>,
        retention: Duration,
        senders: Vec<watch::Sender<Arc<Snapshot>>>,
    ) -> Self {
        Self { live, retention, _senders: senders, dvr: None }
    }

    /// The broadcast as viewers see it.
    #[must_use]
    pub fn live(&self) -> &Arc<LiveBroadcast> {
        &self.live
    }

    /// Keeps what can be rewound to as well.
    pub(in crate::broadcast) fn with_dvr(mut self, dvr: Option<Ended>) -> Self {
        self.dvr = dvr;
        self
    }

    /// How long viewers are still owed it (rfc8216bis 6.2.2), or may rewind in it.
    #[must_use]
    pub fn retention(&self) -> Duration {
        self.dvr.as_ref().map_or(self.retention, |dvr| self.retention.max(dvr.keep()))
    }

    /// Keeps it until its time is over or `cancel` is called, and drops it then. Where others need the room, what is owed
    /// is kept and no more.
    pub async fn hold(self, cancel: CancellationToken) {
        let room_is_wanted = async {
            match &self.dvr {
                Some(dvr) => dvr.must_go().await,
                None => std::future::pending().await,
            }
        };
        let (owed, kept) = (tokio::time::sleep(self.retention), tokio::time::sleep(self.retention()));
        tokio::select! {
            () = cancel.cancelled() => {}
            () = kept => {}
            ((), ()) = async { tokio::join!(owed, room_is_wanted) } => {}
        }
    }
}
