//! One publisher's connection: the reader that `ingest` holds, and the keeper that owns it.
//!
//! The keeper is a task of the endpoint. It sends keyframe requests, measures, notices the end
//! and closes; dropping the reader only tells it to.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rtc::peer_connection::transport::RTCDtlsTransportState;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use schema::TrackKind;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, interval_at, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionEventHandler, RTCPeerConnectionState, RTCStatsReportEntry, StatsSelector,
};

use crate::mux::{Mux, locked};
use crate::offer::Offer;
use crate::phase::{Phase, PhaseSender, ended, settled};
use crate::runtime::PeerRuntime;
use crate::tap::Sources;
use crate::{PeerEnd, PeerEvent, Receiver, Track};

/// ICE and DTLS have to be up after this time.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// The crate may take this long to close; the rest of the second is for the tasks.
const CLOSE_LIMIT: Duration = Duration::from_millis(800);
/// [`Receiver::close`] waits no longer.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
/// At most one keyframe request of a track leaves in this time.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);
/// The round-trip time is read this often.
const MEASURE_INTERVAL: Duration = Duration::from_secs(2);
/// After a DTLS alert the connection's state is looked at this often ...
const ALERT_CHECK: Duration = Duration::from_millis(10);
/// ... and this many times.
const ALERT_CHECKS: usize = 10;

/// What the reader tells the keeper, and hears from it.
#[derive(Debug)]
pub(crate) struct Desk {
    /// Whether the track's publisher offered to hear picture loss indications.
    hears: Vec<bool>,
    wanted: Vec<AtomicBool>,
    wake: Notify,
    round_trip: Mutex<Option<Duration>>,
}

impl Desk {
    pub(crate) fn new(offer: &Offer) -> Arc<Self> {
        let sections = || offer.sections.iter();
        Arc::new(Self {
            hears: sections().map(|section| section.feedback.pli).collect(),
            wanted: sections().map(|_| AtomicBool::new(false)).collect(),
            wake: Notify::new(),
            round_trip: Mutex::new(None),
        })
    }
}

/// The reader.
pub(crate) struct Peer {
    pub(crate) tracks: Vec<Track>,
    pub(crate) events: mpsc::Receiver<PeerEvent>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) announced: Announced,
    pub(crate) desk: Arc<Desk>,
    pub(crate) cancel: DropGuard,
    /// Closed when the keeper is gone.
    pub(crate) done: mpsc::Receiver<()>,
    /// Keeps the port open.
    pub(crate) port: Arc<dyn Send + Sync>,
}

/// Has the reader been told that it is connected?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announced {
    /// Not yet.
    No,
    /// Yes; media may follow.
    Yes,
}

impl Peer {
    async fn next(&mut self) -> PeerEvent {
        if self.announced == Announced::No {
            return match settled(&mut self.phase).await {
                Phase::Ended(end) => PeerEvent::Ended(end),
                Phase::Connected | Phase::Connecting => {
                    self.announced = Announced::Yes;
                    PeerEvent::Connected
                }
            };
        }
        tokio::select! {
            biased;
            Some(event) = self.events.recv() => event,
            end = ended(&mut self.phase) => PeerEvent::Ended(end),
        }
    }
}

impl Receiver for Peer {
    fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    fn next_event(&mut self) -> Pin<Box<dyn Future<Output = PeerEvent> + Send + '_>> {
        Box::pin(self.next())
    }

    fn request_keyframe(&mut self, track: usize) {
        if self.desk.hears.get(track) == Some(&true)
            && let Some(wanted) = self.desk.wanted.get(track)
        {
            wanted.store(true, Ordering::Relaxed);
            self.desk.wake.notify_one();
        }
    }

    /// The connection watches for losses and asks by itself.
    fn request_retransmission(&mut self, _track: usize, _sequences: &[u16]) {}

    fn round_trip(&self) -> Option<Duration> {
        *locked(&self.desk.round_trip)
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Self { cancel, mut done, port, .. } = *self;
        drop(cancel);
        Box::pin(async move {
            let _ = timeout(CLOSE_WAIT, done.recv()).await;
            drop(port);
        })
    }
}

/// What the WebRTC crate calls.
pub(crate) struct Callbacks {
    pub(crate) phase: PhaseSender,
    pub(crate) desk: Arc<Desk>,
    pub(crate) remotes: Mutex<Vec<(TrackKind, Arc<dyn TrackRemote>)>>,
}

type Called<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl PeerConnectionEventHandler for Callbacks {
    fn on_connection_state_change<'life0, 'async_trait>(
        &'life0 self,
        state: RTCPeerConnectionState,
    ) -> Called<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        match state {
            RTCPeerConnectionState::Connected => self.phase.connected(),
            RTCPeerConnectionState::Failed => self.phase.end(PeerEnd::Failed),
            RTCPeerConnectionState::Closed => self.phase.end(PeerEnd::Closed),
            _ => {}
        }
        Box::pin(async {})
    }

    fn on_track<'life0, 'async_trait>(&'life0 self, remote: Arc<dyn TrackRemote>) -> Called<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let kind = match remote.kind().await {
                RtpCodecKind::Video => TrackKind::Video,
                _ => TrackKind::Audio,
            };
            locked(&self.remotes).push((kind, remote));
            self.desk.wake.notify_one();
        })
    }
}

/// Undoes everything that a peer has outside of itself, however its keeper ends.
pub(crate) struct Footprint {
    pub(crate) mux: Arc<Mux>,
    pub(crate) ufrag: String,
    pub(crate) runtime: Arc<PeerRuntime>,
}

impl Drop for Footprint {
    fn drop(&mut self) {
        self.mux.unregister(&self.ufrag);
        self.runtime.abort();
    }
}

/// The owner of a connection.
pub(crate) struct Keeper {
    pub(crate) connection: Box<dyn PeerConnection>,
    pub(crate) callbacks: Arc<Callbacks>,
    pub(crate) kinds: Vec<TrackKind>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) alert: Arc<Notify>,
    pub(crate) cancel: CancellationToken,
    pub(crate) footprint: Footprint,
    /// Dropped last.
    pub(crate) done: mpsc::Sender<()>,
}

impl Keeper {
    /// Runs until the connection is over and everything of it is gone.
    pub(crate) async fn run(self) {
        let phase = self.callbacks.phase.clone();
        self.watch(&phase).await;
        phase.end(PeerEnd::Closed);
        if timeout(CLOSE_LIMIT, self.connection.close()).await.is_err() {
            tracing::debug!("a peer connection did not close in time");
        }
        let Self { connection, footprint, done, .. } = self;
        drop(connection);
        drop(footprint);
        drop(done);
    }

    /// Returns when the connection is to be closed.
    async fn watch(&self, phase: &PhaseSender) {
        let mut own = phase.subscribe();
        let mut settling = phase.subscribe();
        let connect = timeout(CONNECT_LIMIT, settled(&mut settling));
        tokio::pin!(connect);
        let mut connecting = true;
        let mut measure = interval_at(Instant::now() + MEASURE_INTERVAL, MEASURE_INTERVAL);
        let mut wishes = Wishes::new(self.kinds.len());
        loop {
            let due = wishes.due(&self.callbacks.desk.wanted);
            tokio::select! {
                () = self.cancel.cancelled() => return,
                _ = ended(&mut own) => return,
                settled = &mut connect, if connecting => match settled {
                    Ok(_) => connecting = false,
                    Err(_) => return phase.end(PeerEnd::Failed),
                },
                () = self.callbacks.desk.wake.notified() => self.ask(&mut wishes).await,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.ask(&mut wishes).await;
                }
                () = self.alert.notified() => if self.is_closed_by_peer().await {
                    return;
                },
                _ = measure.tick() => self.measure().await,
            }
        }
    }

    /// Sends the keyframe requests that are wanted and may leave now.
    async fn ask(&self, wishes: &mut Wishes) {
        for (track, kind) in self.kinds.iter().enumerate() {
            let remote = locked(&self.callbacks.remotes)
                .iter()
                .find(|(own, _)| own == kind)
                .map(|(_, remote)| Arc::clone(remote));
            let (Some(remote), Some(media_ssrc)) = (remote, self.sources.get(track)) else {
                // It has sent nothing yet; its first packet wakes us again.
                continue;
            };
            let wanted = &self.callbacks.desk.wanted[track];
            if wishes.grant(track, wanted, Instant::now()) {
                let request = PictureLossIndication { sender_ssrc: 0, media_ssrc };
                // It fails only when the connection is over.
                let _ = remote.write_rtcp(vec![Box::new(request)]).await;
            }
        }
    }

    /// The crate tells nobody when the other side closes DTLS: after an alert, its state is read.
    async fn is_closed_by_peer(&self) -> bool {
        for _ in 0..ALERT_CHECKS {
            if self.dtls_state().await == Some(RTCDtlsTransportState::Closed) {
                return true;
            }
            sleep(ALERT_CHECK).await;
        }
        false
    }

    async fn dtls_state(&self) -> Option<RTCDtlsTransportState> {
        for transceiver in self.connection.get_transceivers().await {
            if let Ok(Some(receiver)) = transceiver.receiver().await
                && let Ok(Some(transport)) = receiver.transport().await
            {
                return transport.state().await.ok();
            }
        }
        None
    }

    /// Reads the round-trip time of the nominated pair's checks.
    async fn measure(&self) {
        let now = std::time::Instant::now();
        let report = self.connection.get_stats(now, StatsSelector::None).await;
        let seconds = report.iter().find_map(|entry| match entry {
            RTCStatsReportEntry::IceCandidatePair(pair) if pair.nominated => Some(pair.current_round_trip_time),
            _ => None,
        });
        let measured =
            seconds.filter(|seconds| *seconds > 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if measured.is_some() {
            *locked(&self.callbacks.desk.round_trip) = measured;
        }
    }
}

/// When the next keyframe request of each track may leave.
struct Wishes(Vec<Option<Instant>>);

impl Wishes {
    fn new(tracks: usize) -> Self {
        Self(vec![None; tracks])
    }

    /// When the first of the wanted ones may leave, if it had to wait.
    fn due(&self, wanted: &[AtomicBool]) -> Option<Instant> {
        let open = self.0.iter().zip(wanted);
        open.filter(|(_, wanted)| wanted.load(Ordering::Relaxed)).filter_map(|(next, _)| *next).min()
    }

    /// Takes the wish, if there is one and it may leave at `now`.
    fn grant(&mut self, track: usize, wanted: &AtomicBool, now: Instant) -> bool {
        if self.0[track].is_some_and(|next| now < next) || !wanted.swap(false, Ordering::Relaxed) {
            return false;
        }
        self.0[track] = Some(now + KEYFRAME_INTERVAL);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn at_most_one_keyframe_request_leaves_per_half_second_and_none_is_lost() {
        let mut wishes = Wishes::new(1);
        let wanted = [AtomicBool::new(true)];
        let start = Instant::now();
        assert!(wishes.grant(0, &wanted[0], start));
        assert_eq!(wishes.due(&wanted), None);
        wanted[0].store(true, Ordering::Relaxed);
        let early = start + Duration::from_millis(499);
        assert!(!wishes.grant(0, &wanted[0], early));
        assert_eq!(wishes.due(&wanted), Some(start + KEYFRAME_INTERVAL));
        assert!(wishes.grant(0, &wanted[0], start + KEYFRAME_INTERVAL));
        assert!(!wishes.grant(0, &wanted[0], start + KEYFRAME_INTERVAL * 9));
    }
}
