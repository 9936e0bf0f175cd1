//! The owner of one broadcast's DVR windows and of their files. All of it blocks on the disk, on a thread of its own.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use schema::BroadcastId;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::DvrStore;
use super::files::{Floor, Folder};
use super::metrics::Missed;
use super::room::{Share, Standing};
use crate::playlist::Finished;
use crate::playlist::dvr::{DvrSnapshot, DvrWindow, FileName, Kept, KeptInit, LISTED_MIN, Room, Rules};

/// After so many segments without a miss all is well again.
const CALM: u64 = 50;

/// The DVR windows of one broadcast.
#[derive(Debug)]
pub(super) struct Writer {
    store: DvrStore,
    broadcast: BroadcastId,
    floor: Floor,
    renditions: Vec<Rendition>,
    /// Segments missed since all was well, and written since the last of them: for the log.
    missed: u64,
    calm: u64,
    /// True while the lists are shorter than they should be.
    shortened: bool,
}

#[derive(Debug)]
struct Rendition {
    folder: Folder,
    window: DvrWindow,
    sender: watch::Sender<Arc<DvrSnapshot>>,
    /// Bytes of the newest segment.
    newest: u64,
    changed: bool,
}

/// What a writer begins with.
pub(super) struct Beginning {
    pub(super) store: DvrStore,
    pub(super) broadcast: BroadcastId,
    /// The broadcast's folder.
    pub(super) folder: PathBuf,
    pub(super) rules: Arc<Rules>,
}

impl Writer {
    /// Empty windows of renditions whose files lie in these folders, shown through these senders.
    pub(super) fn new(beginning: Beginning, renditions: Vec<(PathBuf, watch::Sender<Arc<DvrSnapshot>>)>) -> Self {
        let Beginning { store, broadcast, folder, rules } = beginning;
        let renditions = renditions.into_iter().map(|(path, sender)| Rendition {
            folder: Folder::new(path),
            window: DvrWindow::new(Arc::clone(&rules)),
            sender,
            newest: 0,
            changed: false,
        });
        let renditions = renditions.collect();
        Self { store, broadcast, floor: Floor::load(&folder), renditions, missed: 0, calm: 0, shortened: false }
    }

    /// Takes up what an earlier run left.
    pub(super) fn load(&mut self) {
        let floor = self.floor.at();
        for rendition in &mut self.renditions {
            match rendition.load(floor) {
                Ok(0) => {}
                Ok(found) => info!(broadcast = %self.broadcast, found, "takes up a DVR window"),
                Err(error) => warn!(broadcast = %self.broadcast, %error, "a DVR window begins anew"),
            }
        }
        self.settle();
    }

    /// Keeps a complete segment of the rendition of that number, or lists a gap in its place.
    pub(super) fn take(&mut self, rendition: usize, finished: Finished) {
        let Some(one) = self.renditions.get_mut(rendition) else { return };
        let standing = self.store.standing(&self.broadcast);
        let listed = match one.keep(&finished, &standing) {
            Ok(kept) => {
                self.store.metrics().written.inc();
                self.calm_down();
                Some(kept)
            }
            Err(why) => {
                let gap = one.keep_gap(&finished);
                self.miss(&why);
                gap
            }
        };
        if let Some(kept) = listed
            && !self.renditions[rendition].list(kept)
        {
            self.miss(&Lost::Unfit);
            self.discard(rendition, &[FileName::Segment(kept)]);
        }
        self.settle();
    }

    /// Looks after what has become too much, also while nothing comes.
    pub(super) fn settle(&mut self) {
        let within_span = self.renditions.iter().map(|one| one.window.first_within_span()).max().unwrap_or(0);
        self.begin_lists_at(within_span);
        self.share();
        self.give_way();
        self.release();
        self.share();
        for rendition in &mut self.renditions {
            rendition.show();
        }
    }

    /// Nothing follows: the lists get their end mark.
    pub(super) fn end(&mut self) {
        for rendition in &mut self.renditions {
            rendition.window.end_list();
            rendition.changed = true;
            rendition.show();
        }
        self.store.end(&self.broadcast);
    }

    /// One list after the other is shortened by a segment until what is too much has gone.
    fn give_way(&mut self) {
        let mut standing = self.store.standing(&self.broadcast);
        if standing.ended_must_go {
            self.store.drop_ended();
        }
        while standing.excess > 0 {
            let Some(first) = self.first_if_shorter() else { break };
            if !self.shortened {
                warn!(broadcast = %self.broadcast, "no room: the DVR window is shorter than the channel wants it");
                self.shortened = true;
            }
            let before: u64 = self.renditions.iter().map(|one| one.window.first()).sum();
            self.begin_lists_at(first);
            let after: u64 = self.renditions.iter().map(|one| one.window.first()).sum();
            if after == before {
                break;
            }
            self.store.metrics().shortened.inc_by(after - before);
            self.share();
            standing = self.store.standing(&self.broadcast);
        }
    }

    /// Where all lists begin if they are a segment shorter.
    fn first_if_shorter(&self) -> Option<u64> {
        self.renditions.iter().filter_map(|one| one.window.first_if_shorter()).min()
    }

    /// All lists of a broadcast begin at one number, as far as each has so much. It is on disk before it is shown, as
    /// numbers never go back.
    fn begin_lists_at(&mut self, first: u64) {
        if self.renditions.iter().all(|one| one.window.first() >= one.may_begin_at(first)) {
            return;
        }
        if let Err(error) = self.floor.move_to(first) {
            debug!(broadcast = %self.broadcast, %error, "where a DVR list begins is not noted");
        }
        for rendition in &mut self.renditions {
            let first = rendition.may_begin_at(first);
            if rendition.window.first() < first {
                rendition.window.remove_below(first);
                rendition.changed = true;
            }
        }
    }

    /// Deletes what is owed to nobody any more.
    fn release(&mut self) {
        let standing = self.store.standing(&self.broadcast);
        let room = if standing.is_short { Room::Short } else { Room::Enough };
        for index in 0..self.renditions.len() {
            let free = self.renditions[index].window.release(room);
            self.renditions[index].changed |= !free.is_empty();
            // They are not found any more before they are gone.
            self.renditions[index].show();
            self.discard(index, &free);
        }
    }

    fn discard(&self, rendition: usize, files: &[FileName]) {
        for file in files {
            if let Err(error) = self.renditions[rendition].folder.remove(file) {
                debug!(broadcast = %self.broadcast, %error, "a file cannot be deleted");
                self.store.metrics().undeletable.inc();
            }
        }
    }

    fn share(&self) {
        let sum = |of: fn(&Rendition) -> u64| self.renditions.iter().map(of).sum();
        self.store.set_share(
            &self.broadcast,
            Share {
                listed: sum(|one| one.window.listed_bytes()),
                bytes: sum(|one| one.window.bytes()),
                row: sum(|one| one.newest),
                ended: false,
            },
        );
    }

    fn calm_down(&mut self) {
        self.calm += 1;
        if self.missed > 0 && self.calm >= CALM {
            info!(broadcast = %self.broadcast, missed = self.missed, "the DVR window is whole again");
            self.missed = 0;
        }
    }

    /// Told once, until all is well for a while.
    fn miss(&mut self, why: &Lost) {
        self.missed += 1;
        self.calm = 0;
        self.store.metrics().missed(why.reason());
        if self.missed == 1 {
            warn!(broadcast = %self.broadcast, %why, "the DVR window gets gaps; the broadcast itself goes on");
        }
    }
}

/// Why a segment is lost for rewinding.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("dvr.bytes_max or dvr.free_bytes_min leaves no room")]
    NoRoom,
    #[error("it cannot be written: {0}")]
    Io(#[from] io::Error),
    #[error("it does not fit behind the one before")]
    Unfit,
}

impl Lost {
    fn reason(&self) -> Missed {
        match self {
            Self::NoRoom => Missed::NoRoom,
            Self::Io(_) => Missed::Io,
            Self::Unfit => Missed::Unfit,
        }
    }
}

impl Rendition {
    /// Lists what an earlier run left, below `floor` as what is owed alone; gives how many.
    fn load(&mut self, floor: u64) -> io::Result<usize> {
        let mut found = self.folder.load()?;
        found.sort_by_key(|name| match name {
            FileName::Init(init) => (0, init.incarnation.0, u64::from(init.index)),
            FileName::Segment(kept) => (1, kept.msn, kept.incarnation.0),
        });
        let mut listed = 0;
        for name in found {
            let fits = match name {
                FileName::Init(init) => {
                    self.window.add_init(init);
                    true
                }
                // Without its init section it could not be played.
                FileName::Segment(kept) => {
                    self.window.has_init(kept.incarnation, kept.init) && self.window.append(kept)
                }
            };
            if fits {
                listed += usize::from(matches!(name, FileName::Segment(_)));
            } else {
                self.folder.remove(&name)?;
            }
        }
        self.window.remove_below(floor);
        self.changed = listed > 0;
        Ok(listed)
    }

    /// Writes a segment, and its init section before it.
    fn keep(&mut self, finished: &Finished, standing: &Standing) -> Result<Kept, Lost> {
        let length = finished.object.length;
        if standing.left < length + finished.init.object.length {
            return Err(Lost::NoRoom);
        }
        if !self.window.has_init(finished.incarnation, finished.init.index) {
            let object = &finished.init.object;
            let init =
                KeptInit { incarnation: finished.incarnation, index: finished.init.index, length: object.length };
            self.folder.write(&FileName::Init(init), &object.chunks)?;
            self.window.add_init(init);
        }
        let kept = self.window.fitted(kept(finished));
        self.folder.write(&FileName::Segment(kept), &finished.object.chunks)?;
        self.newest = length;
        Ok(kept)
    }

    /// Notes that a segment is not kept, in an empty file: that mostly needs no room, and a restarted node lists the same.
    fn keep_gap(&self, finished: &Finished) -> Option<Kept> {
        let gap = self.window.gap(kept(finished))?;
        let _unnoted_it_is_found_again_as_a_hole = self.folder.write(&FileName::Segment(gap), &[]);
        Some(gap)
    }

    fn list(&mut self, kept: Kept) -> bool {
        let listed = self.window.append(kept);
        self.changed |= listed;
        listed
    }

    /// `first`, or as far as it has so many segments.
    fn may_begin_at(&self, first: u64) -> u64 {
        first.min(self.window.next().saturating_sub(LISTED_MIN)).max(self.window.first())
    }

    /// Publishes the next revision, if anything is another.
    fn show(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.sender.send_replace(Arc::new(self.window.snapshot()));
        }
    }
}

/// A finished segment as it stands in a window.
fn kept(finished: &Finished) -> Kept {
    Kept {
        msn: finished.msn,
        epoch: finished.epoch,
        discontinuities: 0,
        incarnation: finished.incarnation,
        init: finished.init.index,
        start: finished.start,
        duration: finished.duration,
        length: Some(finished.object.length),
    }
}
