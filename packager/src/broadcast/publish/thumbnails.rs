//! The newest thumbnail, for whoever reads [`LiveBroadcast::thumbnail`](crate::live::LiveBroadcast::thumbnail).

use bytes::Bytes;
use schema::ladder::PictureSize;
use schema::{BroadcastId, Incarnation, MediaTime, UnixMicros};
use tokio::sync::watch;

use super::Subject;
use crate::live::Thumbnail;

/// Shows one thumbnail after the other; nothing of the one before is kept.
pub(super) struct Thumbnails {
    broadcast: BroadcastId,
    incarnation: Incarnation,
    zero: UnixMicros,
    sender: watch::Sender<Option<Thumbnail>>,
    /// So many were shown.
    shown: u64,
}

impl Thumbnails {
    /// None yet, and where they will be seen.
    pub(super) fn new(subject: &Subject) -> (Self, watch::Receiver<Option<Thumbnail>>) {
        let (sender, receiver) = watch::channel(None);
        let (broadcast, incarnation) = (subject.broadcast.clone(), subject.incarnation);
        (Self { broadcast, incarnation, zero: subject.zero, sender, shown: 0 }, receiver)
    }

    /// Shows the thumbnail of the picture at `pts` in place of the one before.
    pub(super) fn show(&mut self, pts: MediaTime, size: PictureSize, jpeg: Bytes) {
        let tag = format!("{}-{}-{}", self.broadcast, self.incarnation, self.shown);
        self.shown += 1;
        self.sender.send_replace(Some(Thumbnail { jpeg, size, captured_at: self.zero.plus(pts), tag }));
    }
}
