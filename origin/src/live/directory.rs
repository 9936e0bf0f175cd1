//! Which broadcasts viewers can reach: an immutable map, replaced whole, read without a lock.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use packager::live::LiveBroadcast;
use schema::api::{Access, BroadcastState};
use schema::{BroadcastId, ChannelName};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::watch;

use super::state;
use crate::guard::Entry;
use crate::refusal::Refusal;

/// Why a broadcast cannot be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ListError {
    /// The node has as many as it may; the number is the limit.
    #[error("more than {0} broadcasts are listed")]
    Full(usize),
}

/// Which broadcasts viewers can reach, by channel and by id. Cloning is cheap and shares.
///
/// A broadcast that is not its channel's current one stays reachable by id while any of its
/// `watch` senders lives, so that its viewers can finish (rfc8216bis 6.2.2). When all are dropped
/// it is found no more, and its memory is freed at the next change, failed look-up or [`Directory::sweep`].
#[derive(Debug, Clone)]
pub struct Directory {
    table: Arc<ArcSwap<Table>>,
    broadcasts_max: usize,
    /// Changes with every broadcast that is listed; true once nobody may wait any more.
    closed: Arc<watch::Sender<bool>>,
}

#[derive(Debug, Clone, Default)]
struct Table {
    current: HashMap<ChannelName, BroadcastId>,
    broadcasts: HashMap<BroadcastId, Arc<Listed>>,
}

/// A broadcast and what the origin keeps for it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) broadcast: Arc<LiveBroadcast>,
    reconnecting: AtomicBool,
    /// Only whoever comes with a right may have anything of it.
    members_only: AtomicBool,
    multivariant_gzip: OnceLock<Bytes>,
    dvr_multivariant_gzip: OnceLock<Bytes>,
}

impl Directory {
    /// The most broadcasts one node lists, current and older together: far above what one machine
    /// encodes, and each change copies the map.
    pub const BROADCASTS_MAX: usize = 1_024;

    /// Nothing is live.
    #[must_use]
    pub fn new() -> Self {
        Self { table: Arc::default(), broadcasts_max: Self::BROADCASTS_MAX, closed: Arc::default() }
    }

    /// Makes `broadcast` its channel's current one, for everybody to watch.
    ///
    /// # Errors
    /// [`ListError::Full`]; nothing has changed then.
    pub fn list(&self, broadcast: Arc<LiveBroadcast>) -> Result<(), ListError> {
        self.list_for(broadcast, Access::Public)
    }

    /// The same for whoever `access` names.
    ///
    /// # Errors
    /// [`ListError::Full`]; nothing has changed then.
    pub fn list_for(&self, broadcast: Arc<LiveBroadcast>, access: Access) -> Result<(), ListError> {
        let listed = Arc::new(Listed {
            broadcast,
            reconnecting: AtomicBool::new(false),
            members_only: AtomicBool::new(access == Access::Members),
            multivariant_gzip: OnceLock::new(),
            dvr_multivariant_gzip: OnceLock::new(),
        });
        let mut result = Ok(());
        self.table.rcu(|table| {
            let mut next = table.swept();
            next.insert(&listed);
            result = next.within(self.broadcasts_max);
            if result.is_ok() { Arc::new(next) } else { Arc::clone(table) }
        });
        self.closed.send_modify(|_| {});
        result
    }

    /// Answers all who wait for a channel to be live, and lets nobody wait any more: the node shuts down.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Wakes whenever a broadcast is listed; true once nobody may wait any more.
    pub(crate) fn closed(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    /// What everybody is told of a channel now.
    #[must_use]
    pub fn state(&self, channel: &ChannelName) -> Value {
        match self.current_listed(channel) {
            Some(listed) if listed.is_members_only() => state::for_members(),
            current => state::of(channel, current.as_deref()),
        }
    }

    /// From now on all broadcasts of `channel` that are listed are for whoever `access` names.
    pub fn set_access(&self, channel: &ChannelName, access: Access) {
        for listed in self.table.load().broadcasts.values().filter(|listed| listed.broadcast.channel == *channel) {
            listed.members_only.store(access == Access::Members, Ordering::Relaxed);
        }
    }

    /// The current broadcast of a channel, if everybody may watch it.
    #[must_use]
    pub fn current_for_everybody(&self, channel: &ChannelName) -> Option<Arc<LiveBroadcast>> {
        let listed = self.current_listed(channel).filter(|listed| !listed.is_members_only())?;
        Some(Arc::clone(&listed.broadcast))
    }

    /// Tells pages whether the publisher of a listed broadcast is there. Its end they learn from the playlists.
    pub fn set_state(&self, broadcast: &BroadcastId, state: BroadcastState) {
        if let Some(listed) = self.listed(broadcast) {
            listed.reconnecting.store(state == BroadcastState::Reconnecting, Ordering::Relaxed);
        }
    }

    /// Takes a broadcast from its channel, if it is still the current one there: the channel is
    /// offline. By id it stays reachable while its senders live.
    pub fn unlist(&self, broadcast: &BroadcastId) {
        self.table.rcu(|table| {
            let mut next = table.swept();
            next.current.retain(|_, current| current != broadcast);
            next
        });
    }

    /// Frees every broadcast whose senders are all dropped. Call it when a broadcast's tasks are joined.
    pub fn sweep(&self) {
        self.table.rcu(|table| table.swept());
    }

    /// The current broadcast of a channel, also when it has ended and its window still stands.
    #[must_use]
    pub fn current(&self, channel: &ChannelName) -> Option<Arc<LiveBroadcast>> {
        self.current_listed(channel).map(|listed| Arc::clone(&listed.broadcast))
    }

    /// The broadcast of that id.
    #[must_use]
    pub fn broadcast(&self, id: &BroadcastId) -> Option<Arc<LiveBroadcast>> {
        self.listed(id).map(|listed| Arc::clone(&listed.broadcast))
    }

    pub(crate) fn current_listed(&self, channel: &ChannelName) -> Option<Arc<Listed>> {
        let table = self.table.load();
        let id = table.current.get(channel)?;
        self.present(&table, id)
    }

    pub(crate) fn listed(&self, id: &BroadcastId) -> Option<Arc<Listed>> {
        self.present(&self.table.load(), id)
    }

    fn present(&self, table: &Guard<Arc<Table>>, id: &BroadcastId) -> Option<Arc<Listed>> {
        let listed = table.broadcasts.get(id)?;
        if listed.is_gone() {
            self.sweep();
            return None;
        }
        Some(Arc::clone(listed))
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    /// A copy without the broadcasts that are gone.
    fn swept(&self) -> Self {
        let mut copy = self.clone();
        copy.broadcasts.retain(|_, listed| !listed.is_gone());
        copy.current.retain(|_, id| copy.broadcasts.contains_key(id));
        copy
    }

    fn insert(&mut self, listed: &Arc<Listed>) {
        let broadcast = &listed.broadcast;
        self.current.insert(broadcast.channel.clone(), broadcast.id.clone());
        self.broadcasts.insert(broadcast.id.clone(), Arc::clone(listed));
    }

    fn within(&self, limit: usize) -> Result<(), ListError> {
        if self.broadcasts.len() <= limit { Ok(()) } else { Err(ListError::Full(limit)) }
    }
}

impl Listed {
    /// True while its publisher is gone and may come back.
    pub(crate) fn is_reconnecting(&self) -> bool {
        self.reconnecting.load(Ordering::Relaxed)
    }

    /// True if it is not for everybody.
    pub(crate) fn is_members_only(&self) -> bool {
        self.members_only.load(Ordering::Relaxed)
    }

    /// Itself, for whoever may have it.
    pub(crate) fn for_entry(self: Arc<Self>, entry: Entry) -> Result<Arc<Self>, Refusal> {
        match entry {
            Entry::Anybody if self.is_members_only() => Err(Refusal::MembersOnly),
            Entry::Anybody | Entry::Allowed => Ok(self),
        }
    }

    /// True once no revision can follow and the window is given up.
    fn is_gone(&self) -> bool {
        self.broadcast.renditions.iter().all(|rendition| rendition.snapshot.has_changed().is_err())
    }

    /// The multivariant playlist in gzip, made once; `None` before the first part of each rendition.
    pub(crate) fn multivariant_gzip(&self) -> Option<Bytes> {
        let plain = self.broadcast.multivariant.get()?;
        Some(self.multivariant_gzip.get_or_init(|| gzip(plain)).clone())
    }

    /// The same of that for rewinding; `None` where nothing is kept.
    pub(crate) fn dvr_multivariant_gzip(&self) -> Option<Bytes> {
        let plain = self.broadcast.dvr_multivariant.get()?;
        Some(self.dvr_multivariant_gzip.get_or_init(|| gzip(plain)).clone())
    }
}

fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).expect("writing to a Vec cannot fail");
    encoder.finish().expect("writing to a Vec cannot fail").into()
}
