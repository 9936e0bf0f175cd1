//! Who watches now, in memory: heartbeats come often, and each costs a look-up here and nothing else. Reads no clock and no
//! database.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use schema::{ChannelName, ViewerId};
use uuid::Uuid;

use crate::secret;

/// The most sessions remembered: about 300 bytes each.
const VIEWERS_MAX: usize = 200_000;
/// Who did not tell for so long is gone: three heartbeats.
const SILENT_AFTER: Duration = Duration::from_secs(90);
/// That a session goes on is written at most so often.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// A session that ended is remembered for so long, so that its viewer hears of it.
const ENDED_KEPT: Duration = Duration::from_secs(90);

/// A new id: 128 random bits.
pub(super) fn new_id() -> ViewerId {
    secret::random_hex::<16>().parse().expect("hexadecimal digits are a slug")
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its viewer left.
    Left,
    /// Nothing was heard any more.
    Silent,
    /// Somebody put it out.
    PutOut,
    /// The right to watch is gone.
    NotAllowed,
}

impl End {
    /// As it stands in the database.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Silent => "silent",
            Self::PutOut => "put_out",
            Self::NotAllowed => "not_allowed",
        }
    }

    /// What its viewer is told who still asks. One who left or fell silent may come back.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::Left | Self::Silent => "watching",
            Self::PutOut | Self::NotAllowed => self.as_str(),
        }
    }

    /// The end of this word, if no heartbeat undoes it.
    pub(super) fn lasting(word: &str) -> Option<Self> {
        [Self::PutOut, Self::NotAllowed].into_iter().find(|end| end.as_str() == word)
    }
}

/// One session.
#[derive(Debug, Clone)]
pub(super) struct Watching {
    pub(super) channel: ChannelName,
    pub(super) channel_id: Uuid,
    /// `None` for who did not sign in.
    pub(super) user: Option<Uuid>,
    /// The API token of nobody by which they came, if by one.
    pub(super) api_token: Option<Uuid>,
    /// Until when its last token is good, in seconds since 1970.
    pub(super) token_until_s: u64,
    /// How long its tokens last, in seconds.
    pub(super) life_s: u64,
    /// When the right to watch ends, where that is known.
    pub(super) right_until_s: Option<u64>,
    pub(super) end: Option<End>,
    seen: Instant,
    written: Option<Instant>,
    changed: bool,
}

impl Watching {
    #[expect(clippy::too_many_arguments, reason = "a row's columns, each once")]
    pub(super) fn new(
        channel: ChannelName,
        channel_id: Uuid,
        user: Option<Uuid>,
        token_until_s: u64,
        life_s: u64,
        right_until_s: Option<u64>,
        now: Instant,
    ) -> Self {
        Self {
            channel,
            channel_id,
            user,
            api_token: None,
            token_until_s,
            life_s,
            right_until_s,
            end: None,
            seen: now,
            written: None,
            changed: true,
        }
    }
}

/// What a heartbeat found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Unknown,
    Watching,
    /// Watching, and half of the token's life is over.
    TokenDue,
    Ended(End),
}

/// A session as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) id: ViewerId,
    pub(super) channel_id: Uuid,
    pub(super) user: Option<Uuid>,
    pub(super) seen_ago_s: u64,
    pub(super) token_until_s: u64,
    pub(super) end: Option<End>,
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Viewers(Mutex<HashMap<ViewerId, Watching>>);

impl Viewers {
    /// Adds a session; false if there are too many.
    pub(super) fn add(&self, id: ViewerId, watching: Watching) -> bool {
        let mut known = self.lock();
        let has_room = known.len() < VIEWERS_MAX;
        if has_room {
            known.insert(id, watching);
        }
        has_room
    }

    /// Takes note that a viewer is there.
    pub(super) fn heard(&self, id: &ViewerId, now: Instant, now_s: u64) -> Heard {
        let mut known = self.lock();
        let Some(watching) = known.get_mut(id) else { return Heard::Unknown };
        if let Some(end @ (End::PutOut | End::NotAllowed)) = watching.end {
            return Heard::Ended(end);
        }
        watching.changed |= watching.end.is_some();
        watching.end = None;
        watching.seen = now;
        match watching.token_until_s.saturating_sub(now_s) < watching.life_s / 2 {
            true => Heard::TokenDue,
            false => Heard::Watching,
        }
    }

    /// Takes note of a new token.
    pub(super) fn renewed(&self, id: &ViewerId, token_until_s: u64, right_until_s: Option<u64>) {
        if let Some(watching) = self.lock().get_mut(id) {
            watching.token_until_s = token_until_s;
            watching.right_until_s = right_until_s;
            watching.changed = true;
        }
    }

    pub(super) fn get(&self, id: &ViewerId) -> Option<Watching> {
        self.lock().get(id).cloned()
    }

    /// Ends a session, if it is there and has not ended for good.
    pub(super) fn end(&self, id: &ViewerId, end: End, now: Instant) {
        if let Some(watching) = self.lock().get_mut(id) {
            watching.finish(end, now);
        }
    }

    /// Ends all sessions of `user` on a channel.
    pub(super) fn end_of_user(&self, user: Uuid, channel_id: Uuid, end: End, now: Instant) {
        let mut known = self.lock();
        let theirs = |watching: &&mut Watching| watching.user == Some(user) && watching.channel_id == channel_id;
        known.values_mut().filter(theirs).for_each(|watching| watching.finish(end, now));
    }

    /// How many watch.
    pub(super) fn count(&self) -> usize {
        self.lock().values().filter(|watching| watching.end.is_none()).count()
    }

    /// What is to be written now, at most `most`; ends who fell silent, and forgets who is gone and written.
    pub(super) fn take_changes(&self, most: usize, now: Instant) -> Vec<Written> {
        let mut known = self.lock();
        known.retain(|_, watching| watching.end.is_none() || watching.changed || !watching.is_older(ENDED_KEPT, now));
        let mut changes = Vec::new();
        for (id, watching) in known.iter_mut() {
            if watching.end.is_none() && watching.is_older(SILENT_AFTER, now) {
                watching.finish(End::Silent, watching.seen);
            }
            if changes.len() < most && watching.is_due(now) {
                watching.written = Some(now);
                watching.changed = false;
                changes.push(watching.as_written(id, now));
            }
        }
        changes
    }

    /// What could not be written is to be written again.
    pub(super) fn give_back(&self, changes: &[Written]) {
        let mut known = self.lock();
        for Written { id, .. } in changes {
            if let Some(watching) = known.get_mut(id) {
                watching.changed = true;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ViewerId, Watching>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    fn finish(&mut self, end: End, now: Instant) {
        if !matches!(self.end, Some(End::PutOut | End::NotAllowed)) && self.end != Some(end) {
            self.end = Some(end);
            self.seen = now;
            self.changed = true;
        }
    }

    fn is_older(&self, age: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.seen) > age
    }

    fn is_due(&self, now: Instant) -> bool {
        let was_seen_since = self
            .written
            .is_some_and(|written| self.seen > written && now.saturating_duration_since(written) >= WRITE_EVERY);
        self.changed || was_seen_since
    }

    fn as_written(&self, id: &ViewerId, now: Instant) -> Written {
        Written {
            id: id.clone(),
            channel_id: self.channel_id,
            user: self.user,
            seen_ago_s: now.saturating_duration_since(self.seen).as_secs(),
            token_until_s: self.token_until_s,
            end: self.end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 2_000_000_000;

    fn watching(now: Instant) -> Watching {
        Watching::new("demo".parse().unwrap(), Uuid::nil(), Some(Uuid::nil()), NOW_S + 600, 600, None, now)
    }

    fn one(now: Instant) -> (Viewers, ViewerId) {
        let (viewers, id) = (Viewers::default(), new_id());
        assert!(viewers.add(id.clone(), watching(now)));
        (viewers, id)
    }

    #[test]
    fn a_token_is_due_when_half_of_its_life_is_over() {
        let now = Instant::now();
        let (viewers, id) = one(now);
        assert_eq!(viewers.heard(&id, now, NOW_S + 300), Heard::Watching);
        assert_eq!(viewers.heard(&id, now, NOW_S + 301), Heard::TokenDue);
        viewers.renewed(&id, NOW_S + 901, None);
        assert_eq!(viewers.heard(&id, now, NOW_S + 301), Heard::Watching);
        assert_eq!(viewers.heard(&new_id(), now, NOW_S), Heard::Unknown);
    }

    #[test]
    fn who_is_put_out_stays_out_and_who_left_may_come_back() {
        let now = Instant::now();
        let (viewers, id) = one(now);
        viewers.end(&id, End::Left, now);
        assert_eq!(viewers.count(), 0);
        assert_eq!((viewers.heard(&id, now, NOW_S), viewers.count()), (Heard::Watching, 1));
        viewers.end_of_user(Uuid::nil(), Uuid::max(), End::PutOut, now);
        assert_eq!(viewers.heard(&id, now, NOW_S), Heard::Watching);
        viewers.end_of_user(Uuid::nil(), Uuid::nil(), End::PutOut, now);
        viewers.end(&id, End::Left, now);
        assert_eq!(viewers.heard(&id, now, NOW_S), Heard::Ended(End::PutOut));
    }

    #[test]
    fn sessions_are_written_once_a_minute_and_whenever_they_change() {
        let begin = Instant::now();
        let (viewers, id) = one(begin);
        assert_eq!(viewers.take_changes(9, begin).len(), 1);
        let after = |s| begin + Duration::from_secs(s);
        for s in [10, 30, 59] {
            viewers.heard(&id, after(s), NOW_S);
            assert!(viewers.take_changes(9, after(s)).is_empty(), "{s}");
        }
        let written = viewers.take_changes(9, after(61));
        assert_eq!((written.len(), written[0].seen_ago_s, written[0].end), (1, 2, None));
        viewers.give_back(&written);
        assert_eq!(viewers.take_changes(9, after(62)).len(), 1);
        viewers.end(&id, End::Left, after(63));
        assert_eq!(viewers.take_changes(0, after(63)), []);
        assert_eq!(viewers.take_changes(9, after(63))[0].end, Some(End::Left));
    }

    #[test]
    fn who_falls_silent_ends_and_is_forgotten_once_that_is_written() {
        let begin = Instant::now();
        let (viewers, id) = one(begin);
        viewers.take_changes(9, begin);
        let silent = begin + SILENT_AFTER + Duration::from_secs(1);
        assert_eq!(viewers.take_changes(0, silent), []);
        assert_eq!(viewers.count(), 0);
        let much_later = silent + ENDED_KEPT * 2;
        assert_eq!(viewers.take_changes(9, much_later)[0].end, Some(End::Silent));
        viewers.take_changes(9, much_later);
        assert_eq!(viewers.heard(&id, much_later, NOW_S), Heard::Unknown);
    }

    #[test]
    fn memory_stays_bounded() {
        let (viewers, now) = (Viewers::default(), Instant::now());
        for number in 0..VIEWERS_MAX {
            assert!(viewers.add(format!("v{number}").parse().unwrap(), watching(now)));
        }
        assert!(!viewers.add(new_id(), watching(now)));
    }
}
