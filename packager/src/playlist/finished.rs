//! Complete segments on their way to the archive.

use schema::{Incarnation, MediaTime};

use super::{Segment, Window};
use crate::live::{InitSection, Object};

/// A complete segment, as it stands in the live list.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its media sequence number.
    pub msn: u64,
    /// Its discontinuity sequence number.
    pub epoch: u64,
    /// The incarnation in its name.
    pub incarnation: Incarnation,
    /// What it is decoded with.
    pub init: InitSection,
    /// When it begins.
    pub start: MediaTime,
    /// How long it is.
    pub duration: MediaTime,
    /// Its bytes.
    pub object: Object,
}

impl Window {
    /// Notes complete segments from now on, for [`Window::take_finished`].
    pub fn keep_finished(&mut self) {
        self.finished.get_or_insert_default();
    }

    /// The segments that were completed since the last call, oldest first.
    #[must_use]
    pub fn take_finished(&mut self) -> Vec<Finished> {
        self.finished.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn note_finished(&mut self, segment: &Segment) {
        let init = self.inits.iter().find(|init| init.index == segment.init);
        if let Some(finished) = &mut self.finished
            && let (Some(init), Some(object)) = (init, &segment.objects.whole)
        {
            finished.push(Finished {
                msn: segment.msn,
                epoch: segment.epoch,
                incarnation: self.incarnation,
                init: init.clone(),
                start: segment.start,
                duration: segment.duration,
                object: object.clone(),
            });
        }
    }
}
