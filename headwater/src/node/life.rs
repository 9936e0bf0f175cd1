//! One broadcast on its node, from its start until viewers are owed nothing more: runs it, reports how it is, and
//! keeps on disk what it needs to go on after a restart.

use ingest::whip::Place;
use origin::Directory;
use packager::archive::DvrStore;
use packager::broadcast::{self, BroadcastEnd, Opening, Publishing, Start, Status};
use schema::api::PublishGrant;
use schema::{BroadcastId, SessionEnd};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::now;
use super::reporter::Reports;
use super::room::Room;
use super::shelf::{Saved, Shelf};

/// So many media sequence numbers are kept in reserve with each writing: after a kill, playlists go on above them.
const RESERVE: u64 = 16;

/// A broadcast's life on this node.
pub(super) struct Life {
    pub(super) id: BroadcastId,
    pub(super) grant: PublishGrant,
    /// Whose media are shown, or were last.
    pub(super) publisher: Publishing,
    pub(super) told: watch::Receiver<Status>,
    pub(super) reports: Reports,
    pub(super) directory: Directory,
    pub(super) shelf: Shelf,
    pub(super) room: Room,
    /// The room that it has while it runs.
    pub(super) place: Option<Place>,
    pub(super) dvr: DvrStore,
}

impl Life {
    /// Runs the broadcast, and holds its window for as long as viewers are owed it (rfc8216bis 6.2.2).
    pub(super) async fn run(mut self, start: Start, opening: Opening, cancel: CancellationToken) {
        let work = broadcast::run(start, opening, cancel.clone());
        tokio::pin!(work);
        let mut reserved = 0;
        let end = loop {
            tokio::select! {
                end = &mut work => break end,
                Ok(()) = self.told.changed() => {
                    let status = self.report();
                    reserved = self.keep_ahead(&status, reserved);
                }
            }
        };
        self.keep_or_forget(&end);
        self.report();
        drop(self.place.take());
        let is_over = end.cause.session_end() != SessionEnd::Shutdown;
        if let Some(retained) = end.retained {
            retained.hold(cancel).await;
        }
        self.directory.unlist(&self.id);
        if is_over && self.grant.dvr_s > 0 {
            self.dvr.remove(&self.id).await;
        }
    }

    /// What the next report says is what the broadcast last said.
    fn report(&mut self) -> Status {
        let status = self.told.borrow_and_update().clone();
        self.directory.set_state(&self.id, status.state);
        self.room.note(&self.grant.channel, status.load.cores(), status.load.is_degraded);
        self.reports.update(&self.id, |report| {
            report.state = status.state;
            report.end = status.end;
            report.source_size = status.source_size;
            report.degraded = status.load.is_degraded;
            if let Some(publisher) = &status.publisher {
                report.session = publisher.session.clone();
                report.key_id.clone_from(&publisher.key_id);
            }
        });
        status
    }

    /// Writes what a restart needs before the reserved numbers are used up, and when the publisher is another.
    fn keep_ahead(&mut self, status: &Status, reserved: u64) -> u64 {
        let changed = status.publisher.as_ref().is_some_and(|publisher| *publisher != self.publisher);
        self.publisher = status.publisher.clone().unwrap_or_else(|| self.publisher.clone());
        let next = status.reached.map_or(0, |reached| reached.next_msn);
        if status.reached.is_none() || !changed && next < reserved {
            return reserved;
        }
        self.keep(status, next + RESERVE);
        next + RESERVE
    }

    /// A broadcast that this node leaves unfinished is taken up at its next start.
    fn keep_or_forget(&self, end: &BroadcastEnd) {
        match end.cause.session_end() {
            SessionEnd::Shutdown => self.keep(&self.told.borrow().clone(), end.next_msn),
            _ => self.shelf.forget(&self.id),
        }
    }

    fn keep(&self, status: &Status, next_msn: u64) {
        let (Some(outline), Some(reached)) = (status.outline.clone(), status.reached) else { return };
        let saved = Saved {
            broadcast: self.id.clone(),
            grant: self.grant.clone(),
            publisher: self.publisher.clone(),
            outline,
            next_msn,
            epoch: reached.epoch,
            written: now(),
        };
        if let Err(error) = self.shelf.keep(&saved) {
            tracing::warn!(broadcast = %self.id, %error, "cannot be kept for a restart");
        }
    }
}
