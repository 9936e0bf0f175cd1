//! The publishers of one broadcast, one after another or two at a time, joined into one feed.
//!
//! A broadcast outlives its sessions: when one is gone, the next that comes within the grace goes on
//! where it left off, on the same clock. A channel's backup publisher takes over when the primary
//! stalls, and gives back when that is well again.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use schema::api::{BroadcastState, KeyRole};
use schema::{AccessUnit, Feed, FeedEvent, MediaTime, SessionEnd, SessionId, Zero};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::info;

use super::Status;

mod recent;

use recent::Recent;

/// A publisher without media for so long has stalled.
const STALL: Duration = Duration::from_secs(2);
/// A primary publisher that has not stalled for so long gets its broadcast back.
const STEADY: Duration = Duration::from_secs(10);
/// Without media for so long, a broadcast is said to be reconnecting: by then the slate is shown.
const AWAY: Duration = Duration::from_secs(3);
/// So long the publisher that took a session's place is awaited, whatever the grace.
const HANDOVER: Duration = Duration::from_secs(2);
/// Media whose time is that far from the broadcast's clock are put on it anew.
const ASTRAY: MediaTime = MediaTime(10 * MediaTime::PER_SECOND);

/// What a running broadcast is told.
pub enum Word {
    /// Another publisher has come.
    Join(Joining),
    /// Nobody may publish it any more. Sessions that are open are told themselves.
    End(SessionEnd),
}

/// A publisher that joins a running broadcast.
pub struct Joining {
    /// Its media. It must have its first unit.
    pub feed: Box<dyn Feed>,
    /// Whether it is the primary or the backup publisher, and takes that one's place.
    pub role: KeyRole,
    /// Who it is, for reports.
    pub publishing: Publishing,
}

/// Who publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publishing {
    /// The session.
    pub session: SessionId,
    /// The id (never the secret) of the key or publish token that it was admitted by.
    pub key_id: String,
}

/// What the publishers together say.
#[derive(Debug)]
pub(super) enum Event {
    /// The next unit of the one that is shown, on the broadcast's clock.
    Unit(AccessUnit),
    /// Another one is shown from here on; these of its units come first, from a keyframe on.
    Switched(Vec<AccessUnit>),
    /// Nobody publishes any more, and the grace is over or there is none.
    Over(SessionEnd),
}

/// All publishers of a broadcast.
pub(super) struct Sources {
    zero: Zero,
    grace: Duration,
    words: mpsc::Receiver<Word>,
    primary: Option<Slot>,
    backup: Option<Slot>,
    shown: KeyRole,
    /// The newest time of any unit.
    newest: MediaTime,
    /// When media last came that are shown.
    heard: Instant,
    /// Until when the next publisher is awaited, and why the last one had gone.
    away: Option<(Instant, SessionEnd)>,
    status: watch::Sender<Status>,
}

struct Slot {
    feed: Box<dyn Feed>,
    publishing: Publishing,
    /// From the feed's time to the broadcast's; known with the first unit.
    offset: Option<MediaTime>,
    recent: Recent,
    pulse: Pulse,
}

/// How well a publisher's media come.
#[derive(Debug, Clone, Copy)]
struct Pulse {
    /// When the last came.
    last: Instant,
    /// Since when they have not stalled.
    steady: Instant,
}

impl Pulse {
    fn begin(now: Instant) -> Self {
        Self { last: now, steady: now }
    }

    fn beat(&mut self, now: Instant) {
        if self.is_stalled(now) {
            self.steady = now;
        }
        self.last = now;
    }

    fn is_stalled(&self, now: Instant) -> bool {
        now - self.last >= STALL
    }

    fn is_steady(&self, now: Instant) -> bool {
        !self.is_stalled(now) && now - self.steady >= STEADY
    }
}

/// Which publisher is to be shown; `shown` is the one that is.
fn choose(shown: KeyRole, primary: Option<Pulse>, backup: Option<Pulse>, now: Instant) -> KeyRole {
    let (Some(primary), Some(backup)) = (primary, backup) else {
        return match (primary, backup) {
            (Some(_), None) => KeyRole::Primary,
            (None, Some(_)) => KeyRole::Backup,
            _ => shown,
        };
    };
    match shown {
        KeyRole::Primary if primary.is_stalled(now) && !backup.is_stalled(now) => KeyRole::Backup,
        KeyRole::Backup if primary.is_steady(now) => KeyRole::Primary,
        KeyRole::Backup if backup.is_stalled(now) && !primary.is_stalled(now) => KeyRole::Primary,
        _ => shown,
    }
}

/// What publishers join, and how long it is waited for.
pub(super) struct Sessions {
    /// When media time zero was captured.
    pub(super) zero: Zero,
    /// How long the broadcast outlives its last publisher.
    pub(super) grace: Duration,
    /// Where others come from.
    pub(super) words: mpsc::Receiver<Word>,
    /// Where the broadcast says how it is.
    pub(super) status: watch::Sender<Status>,
}

/// The publisher with whom a broadcast begins.
pub(super) struct Opener {
    /// Who it is.
    pub(super) joining: Joining,
    /// From its feed's clock to the broadcast's.
    pub(super) offset: MediaTime,
}

impl Sources {
    /// With a first publisher or none yet; `first` was taken from it already, and put on the broadcast's clock.
    pub(super) fn new(sessions: Sessions, opener: Option<Opener>, first: &[AccessUnit]) -> Self {
        let Sessions { zero, grace, words, status } = sessions;
        let now = Instant::now();
        let shown = opener.as_ref().map(|opener| opener.joining.role).unwrap_or_default();
        let newest = first.iter().map(|unit| unit.pts).max().unwrap_or_default();
        let (primary, backup, away) = (None, None, opener.is_none().then_some((now + grace, SessionEnd::Lost)));
        let mut sources = Self { zero, grace, words, primary, backup, shown, newest, heard: now, away, status };
        match opener {
            Some(Opener { joining, offset }) => {
                let mut slot = Slot::new(joining, now);
                slot.offset = Some(offset);
                first.iter().for_each(|unit| slot.recent.push(unit));
                *sources.slot(shown) = Some(slot);
                sources.tell_publisher();
            }
            None => sources.tell(BroadcastState::Reconnecting),
        }
        sources
    }

    /// Asks the publisher that is shown for a keyframe.
    pub(super) fn request_keyframe(&mut self) {
        let shown = self.shown;
        if let Some(slot) = self.slot(shown) {
            slot.feed.request_keyframe();
        }
    }

    /// The newest units of the one that is shown, from a keyframe on: with them a new decoder begins.
    pub(super) fn recent(&mut self) -> Vec<AccessUnit> {
        let shown = self.shown;
        self.slot(shown).as_ref().map(|slot| slot.recent.all()).unwrap_or_default()
    }

    /// Waits for what a publisher says. Dropping the future loses nothing.
    pub(super) async fn event(&mut self) -> Event {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let now = Instant::now();
        loop {
            for role in [KeyRole::Primary, KeyRole::Backup] {
                if let Some(event) = self.poll_slot(role, cx, now) {
                    return Poll::Ready(event);
                }
            }
            let Poll::Ready(Some(word)) = self.words.poll_recv(cx) else { return Poll::Pending };
            if let Some(event) = self.hear(word, now) {
                return Poll::Ready(event);
            }
        }
    }

    fn hear(&mut self, word: Word, now: Instant) -> Option<Event> {
        match word {
            Word::Join(joining) => self.join(joining, now),
            Word::End(end) => self.away.is_some().then_some(Event::Over(end)),
        }
    }

    fn poll_slot(&mut self, role: KeyRole, cx: &mut Context<'_>, now: Instant) -> Option<Event> {
        let (zero, newest) = (self.zero, self.newest);
        while let Some(slot) = self.slot(role) {
            match slot.feed.poll_event(cx) {
                Poll::Pending => return None,
                Poll::Ready(FeedEvent::Unit(unit)) => {
                    let unit = slot.take(unit, zero, newest, now);
                    self.newest = newest.max(unit.pts);
                    if role == self.shown {
                        self.heard = now;
                        self.tell(BroadcastState::Live);
                        return Some(Event::Unit(unit));
                    }
                }
                Poll::Ready(FeedEvent::Ended(end)) => {
                    *self.slot(role) = None;
                    return self.left(role, end, now);
                }
            }
        }
        None
    }

    fn join(&mut self, joining: Joining, now: Instant) -> Option<Event> {
        let role = joining.role;
        info!(role = role.as_str(), session = %joining.publishing.session, "a publisher joins its broadcast");
        *self.slot(role) = Some(Slot::new(joining, now));
        self.away = None;
        if role == self.shown {
            self.tell_publisher();
            return Some(Event::Switched(Vec::new()));
        }
        self.switch(now)
    }

    fn left(&mut self, role: KeyRole, end: SessionEnd, now: Instant) -> Option<Event> {
        info!(role = role.as_str(), %end, "a publisher left its broadcast");
        if self.primary.is_some() || self.backup.is_some() {
            return self.switch(now);
        }
        let wait = match end {
            SessionEnd::Replaced => self.grace.max(HANDOVER),
            SessionEnd::Silent | SessionEnd::Lost => self.grace,
            SessionEnd::Closed | SessionEnd::Ended | SessionEnd::KeyRevoked | SessionEnd::Shutdown => Duration::ZERO,
        };
        if wait.is_zero() {
            return Some(Event::Over(end));
        }
        self.away = Some((now + wait, end));
        None
    }

    /// What follows from the time alone. To be called a few times a second.
    pub(super) fn tick(&mut self, now: Instant) -> Option<Event> {
        if let Some((until, end)) = self.away
            && now >= until
        {
            return Some(Event::Over(end));
        }
        let switched = self.switch(now);
        if now - self.heard >= AWAY {
            self.tell(BroadcastState::Reconnecting);
        }
        switched
    }

    fn switch(&mut self, now: Instant) -> Option<Event> {
        let pulse = |slot: &Option<Slot>| slot.as_ref().map(|slot| slot.pulse);
        let chosen = choose(self.shown, pulse(&self.primary), pulse(&self.backup), now);
        if chosen == self.shown {
            return None;
        }
        info!(to = chosen.as_str(), "another publisher is shown");
        self.shown = chosen;
        self.tell_publisher();
        let recent = self.slot(chosen).as_mut().map(|slot| {
            slot.feed.request_keyframe();
            slot.recent.pictures()
        });
        Some(Event::Switched(recent.unwrap_or_default()))
    }

    fn slot(&mut self, role: KeyRole) -> &mut Option<Slot> {
        match role {
            KeyRole::Primary => &mut self.primary,
            KeyRole::Backup => &mut self.backup,
        }
    }

    /// Tells who is shown; a publisher that has left stays the last.
    fn tell_publisher(&mut self) {
        let shown = self.shown;
        if let Some(publishing) = self.slot(shown).as_ref().map(|slot| slot.publishing.clone()) {
            self.status.send_modify(|status| status.publisher = Some(publishing));
        }
    }

    fn tell(&self, state: BroadcastState) {
        self.status.send_if_modified(|status| std::mem::replace(&mut status.state, state) != state);
    }
}

impl Slot {
    fn new(joining: Joining, now: Instant) -> Self {
        let Joining { feed, publishing, .. } = joining;
        Self { feed, publishing, offset: None, recent: Recent::default(), pulse: Pulse::begin(now) }
    }

    /// Puts a unit on the broadcast's clock.
    fn take(&mut self, mut unit: AccessUnit, zero: Zero, newest: MediaTime, now: Instant) -> AccessUnit {
        let ours = || self.feed.zero().map(|own| MediaTime::between(zero.instant, own.instant));
        let by_now = MediaTime::between(zero.instant, now.into_std());
        let offset = self.offset.or_else(ours).unwrap_or(by_now - unit.pts);
        let is_astray = [by_now, newest].iter().all(|&known| (unit.pts + offset - known).abs() > ASTRAY);
        let offset = if is_astray { by_now - unit.pts } else { offset };
        self.offset = Some(offset);
        unit.pts += offset;
        unit.dts += offset;
        self.pulse.beat(now);
        self.recent.push(&unit);
        unit
    }
}
