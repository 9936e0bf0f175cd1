//! One publisher's connection: the reader that `ingest` holds, and the keeper that owns it.
//!
//! The keeper is a task of the endpoint. It measures, notices the end
//! and closes; dropping the reader only tells it to.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rtc::peer_connection::transport::RTCDtlsTransportState;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, interval_at, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionEventHandler, RTCPeerConnectionState, RTCStatsReportEntry, StatsSelector,
};

use crate::desk::Desk;
use crate::mux::{Mux, count};
use crate::phase::{Phase, PhaseSender, ended, settled};
use crate::runtime::PeerRuntime;
use crate::{Figures, PeerEnd, PeerEvent, Receiver, Track};

/// ICE and DTLS have to be up after this time.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// The crate may take this long to close; the rest of the second is for the tasks.
const CLOSE_LIMIT: Duration = Duration::from_millis(800);
/// [`Receiver::close`] waits no longer.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
/// The round-trip time is read this often.
const MEASURE_INTERVAL: Duration = Duration::from_secs(2);
/// After a DTLS alert the connection's state is looked at this often ...
const ALERT_CHECK: Duration = Duration::from_millis(10);
/// ... and this many times.
const ALERT_CHECKS: usize = 10;
/// Without media for this much longer the alert was the last word.
const ALERT_SILENCE: Duration = Duration::from_millis(400);

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
        self.desk.want_keyframe(track);
    }

    /// The connection watches for losses and asks by itself.
    fn request_retransmission(&mut self, _track: usize, _sequences: &[u16]) {}

    fn round_trip(&self) -> Option<Duration> {
        self.desk.round_trip()
    }

    fn figures(&self) -> Figures {
        self.desk.figures()
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
pub(crate) struct Callbacks(pub(crate) PhaseSender);

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
            RTCPeerConnectionState::Connected => self.0.connected(),
            RTCPeerConnectionState::Failed => self.0.end(PeerEnd::Failed),
            RTCPeerConnectionState::Closed => self.0.end(PeerEnd::Closed),
            _ => {}
        }
        Box::pin(async {})
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
    pub(crate) phase: PhaseSender,
    pub(crate) desk: Arc<Desk>,
    pub(crate) alert: Arc<Notify>,
    pub(crate) cancel: CancellationToken,
    pub(crate) footprint: Footprint,
    /// Dropped last.
    pub(crate) done: mpsc::Sender<()>,
}

impl Keeper {
    /// Runs until the connection is over and everything of it is gone.
    pub(crate) async fn run(self) {
        self.watch(&self.phase).await;
        self.phase.end(PeerEnd::Closed);
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
        loop {
            tokio::select! {
                () = self.cancel.cancelled() => return,
                _ = ended(&mut own) => return,
                settled = &mut connect, if connecting => match settled {
                    Ok(_) => connecting = false,
                    Err(_) => {
                        count(&self.footprint.mux.counters().unconnected);
                        return phase.end(PeerEnd::Failed);
                    }
                },
                () = self.alert.notified() => if self.is_closed_by_peer().await {
                    return;
                },
                _ = measure.tick() => self.measure().await,
            }
        }
    }

    /// The crate tells nobody when the other side closes DTLS: after an alert, its state is read. The
    /// crate shows none where no source is declared; there the alert counts if no media follow it.
    async fn is_closed_by_peer(&self) -> bool {
        let packets = || self.desk.figures().tracks.iter().map(|track| track.packets).sum::<u64>();
        let before = packets();
        let mut state = None;
        for _ in 0..ALERT_CHECKS {
            state = self.dtls_state().await;
            if state == Some(RTCDtlsTransportState::Closed) {
                return true;
            }
            sleep(ALERT_CHECK).await;
        }
        if state.is_some() {
            return false;
        }
        sleep(ALERT_SILENCE).await;
        packets() == before
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

    /// Reads the round-trip time of the checks of the pair that is used. (The crate measures the selected
    /// pair alone, and marks none as nominated; a pair that was selected before keeps its last figure.)
    async fn measure(&self) {
        let now = std::time::Instant::now();
        let report = self.connection.get_stats(now, StatsSelector::None).await;
        let pairs = report.iter().filter_map(|entry| match entry {
            RTCStatsReportEntry::IceCandidatePair(pair) => Some(pair),
            _ => None,
        });
        let used = pairs.max_by_key(|pair| pair.last_packet_received_timestamp);
        let seconds = used.map(|pair| pair.current_round_trip_time);
        let measured =
            seconds.filter(|seconds| *seconds > 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if let Some(measured) = measured {
            self.desk.measured(measured);
        }
    }
}
