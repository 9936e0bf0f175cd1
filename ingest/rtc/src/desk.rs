//! What the parts of one connection tell each other: its reader, its keeper and its packet chain.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::Figures;
use crate::mux::locked;
use crate::offer::Offer;
use crate::reception::{Came, Reception};

/// At most one keyframe request of a track leaves in this time.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);

/// The desk of one connection.
#[derive(Debug)]
pub(crate) struct Desk {
    tracks: Vec<TrackDesk>,
    round_trip: Mutex<Option<Duration>>,
}

#[derive(Debug)]
struct TrackDesk {
    clock_rate: u32,
    /// Whether the track's publisher offered to hear picture loss indications.
    hears: bool,
    wanted: AtomicBool,
    /// Written by the packet chain alone.
    reception: Mutex<Reception>,
}

impl Desk {
    pub(crate) fn new(offer: &Offer) -> Arc<Self> {
        let tracks = offer.sections.iter().map(|section| TrackDesk {
            clock_rate: section.format.clock_rate(),
            hears: section.feedback.pli,
            wanted: AtomicBool::new(false),
            reception: Mutex::default(),
        });
        Arc::new(Self { tracks: tracks.collect(), round_trip: Mutex::new(None) })
    }

    /// Wants a keyframe of `track`, if its publisher hears such wishes.
    pub(crate) fn want_keyframe(&self, track: usize) {
        if let Some(track) = self.tracks.get(track).filter(|track| track.hears) {
            track.wanted.store(true, Ordering::Relaxed);
        }
    }

    /// Takes note of a packet of `track`.
    pub(crate) fn came(&self, track: usize, sequence: u16, timestamp: u32, bytes: usize, arrival: Instant) {
        if let Some(TrackDesk { clock_rate, reception, .. }) = self.tracks.get(track) {
            let clock_rate = *clock_rate;
            locked(reception).take(Came { sequence, timestamp, bytes, arrival, clock_rate });
        }
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        *locked(&self.round_trip)
    }

    /// A round trip measured by a check of the connection.
    pub(crate) fn measured(&self, round_trip: Duration) {
        *locked(&self.round_trip) = Some(round_trip);
    }

    /// A round trip of the handshake: holds until a better one comes, and the shortest is the truest.
    pub(crate) fn estimated(&self, round_trip: Duration) {
        let mut known = locked(&self.round_trip);
        *known = Some(known.map_or(round_trip, |known| known.min(round_trip)));
    }

    pub(crate) fn figures(&self) -> Figures {
        let tracks = self.tracks.iter().map(|track| locked(&track.reception).figures());
        Figures { round_trip: self.round_trip(), tracks: tracks.collect() }
    }
}

/// When the next keyframe request of each track may leave.
#[derive(Debug)]
pub(crate) struct Wishes {
    desk: Arc<Desk>,
    next: Vec<Option<Instant>>,
}

impl Wishes {
    pub(crate) fn new(desk: Arc<Desk>) -> Self {
        let next = vec![None; desk.tracks.len()];
        Self { desk, next }
    }

    /// Takes the wish for a keyframe of `track`, if there is one and it may leave at `now`.
    pub(crate) fn grant(&mut self, track: usize, now: Instant) -> bool {
        let (Some(desk), Some(next)) = (self.desk.tracks.get(track), self.next.get_mut(track)) else {
            return false;
        };
        if next.is_some_and(|next| now < next) || !desk.wanted.swap(false, Ordering::Relaxed) {
            return false;
        }
        *next = Some(now + KEYFRAME_INTERVAL);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHROMIUM: &str = include_str!("../tests/offers/chromium.sdp");
    const FFMPEG: &str = include_str!("../tests/offers/ffmpeg.sdp");

    fn desk(offer: &str) -> Arc<Desk> {
        Desk::new(&Offer::parse(offer).expect("a good offer"))
    }

    #[test]
    fn at_most_one_keyframe_request_leaves_per_half_second_and_none_is_lost() {
        let desk = desk(CHROMIUM);
        let mut wishes = Wishes::new(Arc::clone(&desk));
        let start = Instant::now();
        assert!(!wishes.grant(0, start));
        desk.want_keyframe(0);
        assert!(wishes.grant(0, start));
        desk.want_keyframe(0);
        assert!(!wishes.grant(0, start + Duration::from_millis(499)));
        assert!(wishes.grant(0, start + KEYFRAME_INTERVAL));
        assert!(!wishes.grant(0, start + KEYFRAME_INTERVAL * 9));
    }

    #[test]
    fn who_offered_no_pli_is_never_asked_and_neither_is_an_unknown_track() {
        let desk = desk(FFMPEG);
        let mut wishes = Wishes::new(Arc::clone(&desk));
        for track in [0, 1, 7] {
            desk.want_keyframe(track);
            assert!(!wishes.grant(track, Instant::now()));
        }
    }

    #[test]
    fn a_measured_round_trip_replaces_the_handshakes_shortest() {
        let desk = desk(CHROMIUM);
        let of = |millis| Duration::from_millis(millis);
        desk.estimated(of(80));
        desk.estimated(of(50));
        desk.estimated(of(90));
        assert_eq!(desk.round_trip(), Some(of(50)));
        desk.measured(of(70));
        assert_eq!(desk.round_trip(), Some(of(70)));
    }
}
