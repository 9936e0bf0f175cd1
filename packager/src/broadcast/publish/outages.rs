//! Outages of the publishers, as all lists tell of them.

use std::time::Instant;

use schema::MediaTime;

use super::track::Track;
use super::{Cause, Publisher};
use crate::outage::Outage;

impl Publisher {
    /// Marks outages of the publishers in all lists, as far as they are not marked.
    pub fn mark(&mut self, outages: &[Outage], now: Instant) {
        let mut changed = false;
        for outage in outages {
            let last_msn = self.msn_at(outage.end.unwrap_or(outage.start));
            for track in &mut self.tracks {
                changed |= track.mark(outage, last_msn);
            }
        }
        if changed {
            self.outage = outages.last().copied().filter(|newest| newest.end.is_none());
            self.publish_all(now);
        }
    }

    /// A number that no segment which holds this time exceeds, in any list.
    fn msn_at(&self, time: MediaTime) -> u64 {
        let next_msn = self.tracks.iter().map(Track::msn_after).max().unwrap_or(0);
        let listed_to = self.tracks.iter().map(Track::listed_to).min().unwrap_or_default();
        let beyond = (time - listed_to).0.max(0) / self.timing.segment.0.max(1);
        next_msn + u64::try_from(beyond).unwrap_or(0) + 1
    }

    /// An outage that lasts is over with a broadcast that is.
    pub(super) fn close_outage(&mut self, cause: Cause) {
        let Some(open) = self.outage.take().filter(|_| cause.is_final()) else { return };
        let end = self.tracks.iter().map(Track::listed_to).max().unwrap_or_default().max(open.start);
        let last_msn = self.msn_at(end);
        for track in &mut self.tracks {
            track.mark(&Outage { end: Some(end), ..open }, last_msn);
        }
    }
}
