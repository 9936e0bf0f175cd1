//! The bounded queue behind [`schema::Feed`]: the session fills it and never waits.
//!
//! When it is full, whole units of a track are dropped up to that track's next random access
//! point, counted, and a keyframe is wanted. Knows no codec and no clock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use schema::{AccessUnit, Feed, FeedEvent, SessionEnd, TrackKind, Zero};

/// How much a feed's queue may hold; it is full when either is reached.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Access units of all tracks.
    pub units: usize,
    /// Bytes of their data.
    pub bytes: usize,
}

impl Default for QueueLimits {
    /// Some five seconds of video and sound, and two of the longest units.
    fn default() -> Self {
        Self { units: 512, bytes: 8 << 20 }
    }
}

/// What became of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// It waits for the reader.
    Queued,
    /// The queue is or was full, and this is not the random access point to go on with.
    Dropped,
    /// The reader is gone.
    Gone,
}

/// What the reader of a feed wants of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// A keyframe.
    Keyframe,
    /// Nothing ever again: it dropped the feed.
    Gone,
}

/// A new queue: the session's end and the reader's.
#[must_use]
pub fn queue(limits: QueueLimits) -> (FeedSender, QueueFeed) {
    let shared = Arc::new(Shared { limits, state: Mutex::default() });
    let sender = FeedSender { shared: Arc::clone(&shared), dropping: Vec::new() };
    (sender, QueueFeed { shared })
}

#[derive(Debug)]
struct Shared {
    limits: QueueLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    units: VecDeque<AccessUnit>,
    bytes: usize,
    zero: Option<Zero>,
    end: Option<SessionEnd>,
    keyframe_wished: bool,
    reader_gone: bool,
    reader: Option<Waker>,
    session: Option<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session's end. Dropping it without [`FeedSender::end`] ends the feed as [`SessionEnd::Lost`].
#[derive(Debug)]
pub struct FeedSender {
    shared: Arc<Shared>,
    /// The kinds of track that wait for a random access point.
    dropping: Vec<TrackKind>,
}

impl FeedSender {
    /// Tells when media time zero was captured; see [`Feed::zero`].
    pub fn set_zero(&mut self, zero: Zero) {
        self.shared.lock().zero = Some(zero);
    }

    /// Hands a unit over, or drops it; never waits.
    pub fn push(&mut self, unit: AccessUnit) -> Pushed {
        let kind = unit.codec.kind();
        let mut state = self.shared.lock();
        if state.reader_gone {
            return Pushed::Gone;
        }
        let must_wait = self.dropping.contains(&kind) && !unit.random_access;
        if must_wait || !state.has_room(self.shared.limits, &unit) {
            drop(state);
            self.start_dropping(kind);
            return Pushed::Dropped;
        }
        state.bytes += unit.data.len();
        state.units.push_back(unit);
        let reader = state.reader.take();
        drop(state);
        self.dropping.retain(|&other| other != kind);
        wake(reader);
        Pushed::Queued
    }

    /// How many units wait for the reader.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.shared.lock().units.len()
    }

    /// True while video is dropped until its next random access point.
    #[must_use]
    pub fn wants_keyframe(&self) -> bool {
        self.dropping.contains(&TrackKind::Video)
    }

    /// Ends the feed once its queue is read. Only the first end counts.
    pub fn end(&mut self, end: SessionEnd) {
        let mut state = self.shared.lock();
        state.end.get_or_insert(end);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// The reader's next wish, in the manner of `Future::poll`. Wishes for a keyframe collapse into one.
    pub fn poll_wish(&mut self, cx: &mut Context<'_>) -> Poll<Wish> {
        let mut state = self.shared.lock();
        if state.reader_gone {
            return Poll::Ready(Wish::Gone);
        }
        if std::mem::take(&mut state.keyframe_wished) {
            return Poll::Ready(Wish::Keyframe);
        }
        state.session = Some(cx.waker().clone());
        Poll::Pending
    }

    fn start_dropping(&mut self, kind: TrackKind) {
        if !self.dropping.contains(&kind) {
            self.dropping.push(kind);
        }
    }
}

impl Drop for FeedSender {
    fn drop(&mut self) {
        self.end(SessionEnd::Lost);
    }
}

impl State {
    fn has_room(&self, limits: QueueLimits, unit: &AccessUnit) -> bool {
        self.units.len() < limits.units && self.bytes + unit.data.len() <= limits.bytes
    }
}

/// The reader's end, behind [`schema::Feed`].
#[derive(Debug)]
pub struct QueueFeed {
    shared: Arc<Shared>,
}

impl Feed for QueueFeed {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<FeedEvent> {
        let mut state = self.shared.lock();
        if let Some(unit) = state.units.pop_front() {
            state.bytes -= unit.data.len();
            return Poll::Ready(FeedEvent::Unit(unit));
        }
        if let Some(end) = state.end {
            return Poll::Ready(FeedEvent::Ended(end));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn zero(&self) -> Option<Zero> {
        self.shared.lock().zero
    }

    fn request_keyframe(&mut self) {
        let mut state = self.shared.lock();
        state.keyframe_wished = true;
        let session = state.session.take();
        drop(state);
        wake(session);
    }
}

impl Drop for QueueFeed {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.reader_gone = true;
        let units = std::mem::take(&mut state.units);
        let session = state.session.take();
        drop(state);
        drop(units);
        wake(session);
    }
}

/// Wakes outside the lock.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use schema::{Codec, MediaTime};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    const SMALL: QueueLimits = QueueLimits { units: 3, bytes: 100 };

    fn unit(codec: Codec, random_access: bool, len: usize) -> AccessUnit {
        AccessUnit {
            codec,
            pts: MediaTime::ZERO,
            dts: MediaTime::ZERO,
            duration: None,
            random_access,
            data: Bytes::from(vec![0; len]),
        }
    }

    fn idr() -> AccessUnit {
        unit(Codec::H264, true, 10)
    }

    fn p() -> AccessUnit {
        unit(Codec::H264, false, 10)
    }

    fn poll(feed: &mut QueueFeed) -> Poll<FeedEvent> {
        feed.poll_event(&mut Context::from_waker(Waker::noop()))
    }

    fn wish(sender: &mut FeedSender) -> Poll<Wish> {
        sender.poll_wish(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_full_queue_drops_video_to_the_next_random_access_point() {
        let (mut sender, mut feed) = queue(SMALL);
        for unit in [idr(), p(), p()] {
            assert_eq!(sender.push(unit), Pushed::Queued);
        }
        assert_eq!(sender.push(p()), Pushed::Dropped);
        assert!(sender.wants_keyframe());
        while poll(&mut feed).is_ready() {}
        assert_eq!(sender.push(p()), Pushed::Dropped);
        assert_eq!(sender.push(idr()), Pushed::Queued);
        assert!(!sender.wants_keyframe());
        assert_eq!(sender.push(p()), Pushed::Queued);
    }

    #[test]
    fn audio_goes_on_as_soon_as_there_is_room_and_wants_no_keyframe() {
        let (mut sender, mut feed) = queue(SMALL);
        let audio = || unit(Codec::Opus, true, 40);
        assert_eq!(sender.push(audio()), Pushed::Queued);
        assert_eq!(sender.push(audio()), Pushed::Queued);
        assert_eq!(sender.push(audio()), Pushed::Dropped);
        assert!(!sender.wants_keyframe());
        assert!(poll(&mut feed).is_ready());
        assert_eq!(sender.push(audio()), Pushed::Queued);
    }

    #[test]
    fn the_end_follows_the_last_unit_and_is_told_again_and_again() {
        let (mut sender, mut feed) = queue(SMALL);
        assert_eq!(sender.push(idr()), Pushed::Queued);
        sender.end(SessionEnd::Replaced);
        drop(sender);
        assert_eq!(poll(&mut feed), Poll::Ready(FeedEvent::Unit(idr())));
        for _ in 0..2 {
            let end = Poll::Ready(FeedEvent::Ended(SessionEnd::Replaced));
            assert_eq!(poll(&mut feed), end);
        }
    }

    #[test]
    fn a_session_that_vanishes_without_an_end_is_lost() {
        let (sender, mut feed) = queue(SMALL);
        drop(sender);
        let end = Poll::Ready(FeedEvent::Ended(SessionEnd::Lost));
        assert_eq!(poll(&mut feed), end);
    }

    #[test]
    fn the_reader_can_wish_for_keyframes_and_leave() {
        let (mut sender, mut feed) = queue(SMALL);
        assert_eq!(wish(&mut sender), Poll::Pending);
        feed.request_keyframe();
        feed.request_keyframe();
        assert_eq!(wish(&mut sender), Poll::Ready(Wish::Keyframe));
        assert_eq!(wish(&mut sender), Poll::Pending);
        drop(feed);
        assert_eq!(wish(&mut sender), Poll::Ready(Wish::Gone));
        assert_eq!(sender.push(idr()), Pushed::Gone);
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn each_side_wakes_the_other() {
        let (mut sender, mut feed) = queue(SMALL);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        assert!(feed.poll_event(&mut cx).is_pending());
        assert_eq!(sender.push(idr()), Pushed::Queued);
        assert!(sender.poll_wish(&mut cx).is_pending());
        feed.request_keyframe();
        assert!(feed.poll_event(&mut cx).is_ready() && feed.poll_event(&mut cx).is_pending());
        sender.end(SessionEnd::Closed);
        assert_eq!(count.0.load(Ordering::SeqCst), 3);
    }
}
