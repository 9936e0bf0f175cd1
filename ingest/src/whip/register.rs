//! The sessions that are open, and the tasks that run them.
//!
//! Knows who may end whom; knows no HTTP and no media.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use schema::api::{KeyRole, SecondPublisher};
use schema::{ChannelName, SessionEnd, SessionId, StreamKey};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};

use super::refusal::Refusal;
use super::session::now;

/// A stream key that can be compared but not read.
#[derive(Clone)]
pub(super) struct KeyDigest([u8; 32]);

impl KeyDigest {
    pub(super) fn of(key: &StreamKey) -> Self {
        Self(Sha256::digest(key.expose().as_bytes()).into())
    }

    fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// How many sessions that were closed or lost are remembered for the goodbye that may follow.
const CLOSED_MAX: usize = 256;

/// A session whose media were last noted so long ago has stalled. They are noted each second.
const STALL: Duration = Duration::from_secs(3);

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It was answered; no media yet.
    Answered,
    /// It was handed over; when its last media came.
    Live { heard: Instant },
}

struct Entry {
    seat: Seat,
    key: KeyDigest,
    stage: Stage,
    end: oneshot::Sender<SessionEnd>,
}

#[derive(Default)]
struct State {
    open: HashMap<SessionId, Entry>,
    /// Whose publisher closed or lost its connection and may still say goodbye by HTTP, the oldest first: OBS
    /// does both, in this order, and takes anything but 200 for a failure.
    closed: VecDeque<(SessionId, KeyDigest)>,
    /// Sessions that run or are being made.
    places: usize,
    tasks: JoinSet<()>,
    closing: bool,
}

/// All sessions of one endpoint.
pub(super) struct Register {
    places_max: usize,
    state: Mutex<State>,
}

/// The right to one session; given back when dropped.
pub(super) struct Place(Arc<Register>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().places -= 1;
    }
}

/// What one session at a time has: a channel's primary or backup publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) channel: ChannelName,
    pub(super) role: KeyRole,
}

/// Who opens a session.
pub(super) struct Opening {
    pub(super) id: SessionId,
    pub(super) seat: Seat,
    pub(super) key: KeyDigest,
}

impl Register {
    pub(super) fn new(places_max: usize) -> Arc<Self> {
        Arc::new(Self { places_max, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a session that is about to be made for `seat`, and may be refused it.
    pub(super) fn reserve(self: &Arc<Self>, seat: &Seat, policy: SecondPublisher) -> Result<Place, Refusal> {
        let mut state = self.lock();
        if state.closing {
            return Err(Refusal::ShuttingDown);
        }
        if policy == SecondPublisher::Refuse && state.is_taken(seat, now()) {
            return Err(Refusal::ChannelTaken);
        }
        if state.places >= self.places_max {
            return Err(Refusal::TooManySessions);
        }
        state.places += 1;
        Ok(Place(Arc::clone(self)))
    }

    /// Starts the task that `run` makes of the session's command channel. Other sessions of the
    /// seat that have no media yet are replaced at once, so that it holds two at most.
    pub(super) fn open<F>(
        &self,
        opening: Opening,
        run: impl FnOnce(oneshot::Receiver<SessionEnd>) -> F,
    ) -> Result<(), Refusal>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (end, command) = oneshot::channel();
        let mut state = self.lock();
        if state.closing {
            return Err(Refusal::ShuttingDown);
        }
        state.replace(&opening.seat, |entry| entry.stage == Stage::Answered);
        let entry = Entry { seat: opening.seat, key: opening.key, stage: Stage::Answered, end };
        state.open.insert(opening.id, entry);
        state.tasks.spawn(run(command));
        while let Some(result) = state.tasks.try_join_next() {
            log_panic(result);
        }
        Ok(())
    }

    /// Makes `id` the live session of its seat and replaces the one before.
    pub(super) fn take_over(&self, id: &SessionId) {
        let mut state = self.lock();
        let Some((id, mut entry)) = state.open.remove_entry(id) else {
            return; // it was ended, and learns so next
        };
        state.replace(&entry.seat, |_| true);
        entry.stage = Stage::Live { heard: now() };
        state.open.insert(id, entry);
    }

    /// Takes note of when a live session's last media came.
    pub(super) fn heard(&self, id: &SessionId, at: Instant) {
        if let Some(Entry { stage: Stage::Live { heard }, .. }) = self.lock().open.get_mut(id) {
            *heard = at;
        }
    }

    /// Ends a session; false if there is none of this id.
    pub(super) fn end(&self, id: &SessionId, end: SessionEnd) -> bool {
        let entry = self.lock().open.remove(id);
        entry.map(|entry| entry.end.send(end)).is_some()
    }

    /// Ends a session for who holds its key (RFC 9725 4.2, 4.7).
    pub(super) fn end_by_key(&self, id: &SessionId, key: &KeyDigest) -> Result<(), Refusal> {
        let mut state = self.lock();
        let Some(entry) = state.open.get(id) else {
            return state.take_closed(id, key);
        };
        if !entry.key.matches(key) {
            return Err(Refusal::KeyOther);
        }
        if let Some(entry) = state.open.remove(id) {
            // An error means that the session is over already.
            let _ = entry.end.send(SessionEnd::Closed);
        }
        Ok(())
    }

    /// Takes note that a session is over.
    pub(super) fn over(&self, id: &SessionId, end: SessionEnd) {
        let mut state = self.lock();
        let Some((id, entry)) = state.open.remove_entry(id) else {
            return; // somebody ended it, and was answered
        };
        if matches!(end, SessionEnd::Closed | SessionEnd::Lost) {
            state.closed.push_back((id, entry.key));
            let surplus = state.closed.len().saturating_sub(CLOSED_MAX);
            state.closed.drain(..surplus);
        }
    }

    /// How many sessions are open.
    pub(super) fn count(&self) -> usize {
        self.lock().open.len()
    }

    /// Refuses new sessions, ends all and waits for their tasks.
    pub(super) async fn close(&self) {
        let mut tasks = {
            let mut state = self.lock();
            state.closing = true;
            for (_, entry) in state.open.drain() {
                // An error means that the session is over already.
                let _ = entry.end.send(SessionEnd::Shutdown);
            }
            std::mem::take(&mut state.tasks)
        };
        while let Some(result) = tasks.join_next().await {
            log_panic(result);
        }
    }
}

impl State {
    /// The goodbye of a publisher that has closed its connection already; it may come once.
    fn take_closed(&mut self, id: &SessionId, key: &KeyDigest) -> Result<(), Refusal> {
        let index = self.closed.iter().position(|(other, _)| other == id).ok_or(Refusal::SessionUnknown)?;
        if !self.closed[index].1.matches(key) {
            return Err(Refusal::KeyOther);
        }
        self.closed.remove(index);
        Ok(())
    }

    /// True if media flow to `seat`. A session that has stalled holds nobody up.
    fn is_taken(&self, seat: &Seat, now: Instant) -> bool {
        let flows = |stage: Stage| matches!(stage, Stage::Live { heard } if now - heard < STALL);
        self.open.values().any(|entry| entry.seat == *seat && flows(entry.stage))
    }

    /// Replaces the sessions of `seat` that `which` picks.
    fn replace(&mut self, seat: &Seat, which: impl Fn(&Entry) -> bool) {
        let picked = |_: &SessionId, entry: &mut Entry| entry.seat == *seat && which(entry);
        for (_, entry) in self.open.extract_if(picked) {
            // An error means that the session is over already.
            let _ = entry.end.send(SessionEnd::Replaced);
        }
    }
}

fn log_panic(result: Result<(), JoinError>) {
    if let Err(error) = result {
        tracing::error!(%error, "a publisher session failed");
    }
}
