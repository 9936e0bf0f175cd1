//! One publisher session: drives its connection and its media until it ends.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ingest_rtc::{PeerEnd, PeerEvent, Receiver, RtpPacket, SenderReport};
use schema::{AccessUnit, SessionEnd, SessionId, TrackKind, UnixMicros};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tokio::time::sleep_until;

use super::register::Place;
use super::timers::{Keyframes, Liveness, Samples};
use super::{Admitted, Arrival, Shared, metrics};
use crate::clock::Report;
use crate::feed::{self, FeedSender, Pushed, QueueFeed, Wish};
use crate::media::{Media, TrackSetup};
use crate::rtp::{self, order};

/// How soon a lost packet is asked for again where the round trip is not known.
const RETRANSMISSION_INTERVAL: Duration = Duration::from_millis(50);

/// What a session is made of.
pub(super) struct Start {
    pub(super) id: SessionId,
    pub(super) admitted: Admitted,
    pub(super) receiver: Box<dyn Receiver>,
    pub(super) place: Place,
    pub(super) shared: Arc<Shared>,
}

/// Runs a session to its end.
pub(super) async fn run(start: Start, command: oneshot::Receiver<SessionEnd>) {
    let mut presence = Presence::enter(&start);
    let mut session = Session::new(start);
    let end = session.until_end(command).await;
    presence.end = end;
    session.note_transport();
    session.sender.end(end);
    let Session { receiver, .. } = session;
    receiver.close().await;
}

/// Keeps the registers true however the task ends, a panic included.
struct Presence {
    id: SessionId,
    shared: Arc<Shared>,
    end: SessionEnd,
}

impl Presence {
    fn enter(start: &Start) -> Self {
        start.shared.metrics.active.inc();
        let channel = &start.admitted.grant.channel;
        tracing::info!(session = %start.id, %channel, "publisher session opened");
        Self { id: start.id.clone(), shared: Arc::clone(&start.shared), end: SessionEnd::Lost }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.shared.register.over(&self.id, self.end);
        self.shared.metrics.active.dec();
        self.shared.metrics.count_end(self.end);
        tracing::info!(session = %self.id, end = %self.end, "publisher session ended");
    }
}

/// How the session's first unit gets to the node.
enum Handover {
    /// There was no unit yet.
    Waiting(QueueFeed, Admitted),
    /// The node's queue was full; tried again with every event.
    Ready(Arrival),
    Done,
}

/// What the session waits for.
enum Step {
    End(SessionEnd),
    Peer(PeerEvent),
    Wish(Wish),
    Time,
}

struct Session {
    id: SessionId,
    receiver: Box<dyn Receiver>,
    media: Media,
    /// The connection's number and the kind of each track of `media`.
    tracks: Vec<(usize, TrackKind)>,
    sender: FeedSender,
    handover: Handover,
    liveness: Liveness,
    keyframes: Keyframes,
    samples: Samples,
    shared: Arc<Shared>,
    _place: Place,
}

impl Session {
    fn new(start: Start) -> Self {
        let tracks = start.receiver.tracks();
        let setups: Vec<_> =
            tracks.iter().map(|track| TrackSetup { codec: track.codec, clock_rate: track.clock_rate }).collect();
        let samples = Samples::new(tracks.len());
        let (sender, feed) = feed::queue(start.shared.limits.queue);
        Self {
            id: start.id,
            media: Media::new(&setups),
            tracks: tracks.iter().map(|track| (track.index, track.kind)).collect(),
            receiver: start.receiver,
            sender,
            handover: Handover::Waiting(feed, start.admitted),
            liveness: Liveness::Opened(now()),
            keyframes: Keyframes::default(),
            samples,
            shared: start.shared,
            _place: start.place,
        }
    }

    async fn until_end(&mut self, mut command: oneshot::Receiver<SessionEnd>) -> SessionEnd {
        loop {
            let step = self.step(&mut command).await;
            let now = now();
            if let Some(end) = self.take(step, now) {
                return end;
            }
            self.move_media(now);
            self.hand_over();
            self.ask_for_packets(now);
            self.ask_for_keyframe(now);
            if let Some(end) = self.liveness.end(&self.shared.limits, now) {
                return end;
            }
        }
    }

    async fn step(&mut self, command: &mut oneshot::Receiver<SessionEnd>) -> Step {
        let limits = &self.shared.limits;
        let alive = self.liveness.deadline(limits);
        let lost = self.media.deadline(self.wait());
        let wake = lost.map_or(alive, |lost| lost.min(alive));
        let sender = &mut self.sender;
        tokio::select! {
            biased;
            end = command => Step::End(end.unwrap_or(SessionEnd::Shutdown)),
            wish = poll_fn(|cx| sender.poll_wish(cx)) => Step::Wish(wish),
            event = self.receiver.next_event(), if !self.liveness.is_hung_up() => Step::Peer(event),
            () = sleep_until(wake.into()) => Step::Time,
        }
    }

    fn take(&mut self, step: Step, now: Instant) -> Option<SessionEnd> {
        match step {
            Step::End(SessionEnd::Closed) => return Some(self.liveness.goodbye(now)),
            Step::End(end) => return Some(end),
            Step::Wish(Wish::Gone) => return Some(SessionEnd::Ended),
            Step::Wish(Wish::Keyframe) => self.keyframes.wished = true,
            Step::Peer(PeerEvent::Ended(PeerEnd::Closed)) => self.liveness.hung_up(now),
            Step::Peer(PeerEvent::Ended(PeerEnd::Failed)) => return Some(SessionEnd::Lost),
            Step::Peer(PeerEvent::Connected) => self.liveness.connected(now),
            Step::Peer(PeerEvent::Rtp(packet)) => self.take_packet(packet, now),
            Step::Peer(PeerEvent::SenderReport(report)) => self.take_report(report),
            Step::Time => {}
        }
        None
    }

    fn take_packet(&mut self, packet: RtpPacket, now: Instant) {
        let Some(track) = self.place_of(packet.track) else {
            return;
        };
        if !packet.payload.is_empty() {
            self.liveness = Liveness::Media(now);
        }
        self.keyframes.video_seen |= self.tracks[track].1 == TrackKind::Video;
        let wall = wall_at(packet.arrival, now);
        let packet = rtp::Packet {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: packet.payload,
            arrival: packet.arrival,
        };
        self.media.packet(track, packet, now, wall);
    }

    fn take_report(&mut self, report: SenderReport) {
        let Some(track) = self.place_of(report.track) else {
            return;
        };
        let metrics = &self.shared.metrics;
        let report = Report { track, ntp: report.ntp, rtp: report.rtp, arrival: report.arrival };
        match self.media.sender_report(report) {
            Ok(()) => self.media.skew().into_iter().for_each(|skew| metrics.observe_skew(skew)),
            Err(reason) => {
                let label = [reason.as_str()];
                metrics.reports_ignored.with_label_values(&label).inc();
            }
        }
    }

    /// The place in `tracks` of the connection's track number `index`.
    fn place_of(&self, index: usize) -> Option<usize> {
        self.tracks.iter().position(|(other, _)| *other == index)
    }

    /// Moves everything that is whole by now into the feed.
    fn move_media(&mut self, now: Instant) {
        let mut units = Vec::new();
        self.media.drain(now, self.wait(), &mut units);
        for unit in units {
            self.feed(unit);
        }
        let metrics = &self.shared.metrics;
        for (kind, counts) in self.media.take_counts() {
            metrics.count_media(kind, &counts);
        }
        if self.samples.is_due(now) {
            self.note_transport();
            if let Liveness::Media(at) = self.liveness {
                self.shared.register.heard(&self.id, at);
            }
        }
    }

    /// Notes what the connection measured, and counts what came of it since the last note.
    fn note_transport(&mut self) {
        let figures = self.receiver.figures();
        let metrics = &self.shared.metrics;
        metrics.observe_round_trip(figures.round_trip);
        for ((figures, (_, kind)), counted) in figures.tracks.iter().zip(&self.tracks).zip(&mut self.samples.recovered)
        {
            metrics.observe_jitter(*kind, figures.jitter);
            metrics.count_recovered(*kind, figures.recovered.saturating_sub(*counted));
            *counted = figures.recovered;
        }
    }

    fn feed(&mut self, unit: AccessUnit) {
        let kind = unit.codec.kind();
        let is_keyframe = kind == TrackKind::Video && unit.random_access;
        let metrics = &self.shared.metrics;
        if let Some(zero) = self.media.zero() {
            self.sender.set_zero(zero);
        }
        match self.sender.push(unit) {
            Pushed::Queued => {
                let kind = metrics::kind_word(kind);
                metrics.units.with_label_values(&[kind]).inc();
                metrics.observe_depth(self.sender.depth());
                self.keyframes.wished &= !is_keyframe;
                self.prepare_handover();
            }
            Pushed::Dropped => metrics.units_dropped.with_label_values(&["full"]).inc(),
            Pushed::Gone => {} // the next wish says so
        }
    }

    /// At the first unit: takes the channel over and makes the arrival.
    fn prepare_handover(&mut self) {
        self.handover = match std::mem::replace(&mut self.handover, Handover::Done) {
            Handover::Waiting(feed, Admitted { grant, place }) => {
                self.shared.register.take_over(&self.id);
                Handover::Ready(Arrival {
                    grant,
                    place,
                    session: self.id.clone(),
                    tracks: self.media.codecs(),
                    feed: Box::new(feed),
                })
            }
            later => later,
        };
    }

    fn hand_over(&mut self) {
        self.handover = match std::mem::replace(&mut self.handover, Handover::Done) {
            Handover::Ready(arrival) => match self.shared.arrivals.try_send(arrival) {
                Err(TrySendError::Full(arrival)) => Handover::Ready(arrival),
                // when closed, the feed goes with the arrival, and the session learns so
                Ok(()) | Err(TrySendError::Closed(_)) => Handover::Done,
            },
            other => other,
        };
    }

    fn ask_for_packets(&mut self, now: Instant) {
        let round_trip = self.receiver.round_trip();
        let interval =
            round_trip.unwrap_or(RETRANSMISSION_INTERVAL).clamp(Duration::from_millis(20), Duration::from_millis(250));
        for (track, &(index, kind)) in self.tracks.iter().enumerate() {
            let missing = self.media.missing(track, now, interval);
            if missing.is_empty() {
                continue;
            }
            self.receiver.request_retransmission(index, &missing);
            let counter = &self.shared.metrics.retransmission_requests;
            let count = u64::try_from(missing.len()).unwrap_or(u64::MAX);
            counter.with_label_values(&[metrics::kind_word(kind)]).inc_by(count);
        }
    }

    fn ask_for_keyframe(&mut self, now: Instant) {
        let is_video = |(_, kind): &&(usize, TrackKind)| *kind == TrackKind::Video;
        let Some(&(index, _)) = self.tracks.iter().find(is_video) else {
            return;
        };
        let reason = if self.media.wants_keyframe() && self.keyframes.video_seen {
            "undecodable"
        } else if self.sender.wants_keyframe() {
            "full"
        } else if self.keyframes.wished {
            "wished"
        } else {
            return;
        };
        if self.keyframes.may_ask(now) {
            self.receiver.request_keyframe(index);
            let counter = &self.shared.metrics.keyframe_requests;
            counter.with_label_values(&[reason]).inc();
        }
    }

    fn wait(&self) -> Duration {
        order::wait_limit(self.receiver.round_trip())
    }
}

/// The local clock, which tests can set.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The wall clock at `arrival`, a moment ago: the one place of this crate that reads it.
fn wall_at(arrival: Instant, now: Instant) -> UnixMicros {
    let ago = now.saturating_duration_since(arrival);
    let now = SystemTime::now();
    now.checked_sub(ago).unwrap_or(now).into()
}
