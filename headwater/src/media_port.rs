//! The counters of the WebRTC media port as Prometheus metrics, read when they are asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ingest_rtc::Counters;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, Registry};

/// Begins to show `counters` in `registry`.
///
/// # Errors
/// The metrics are registered already.
pub(crate) fn register(counters: Arc<Counters>, registry: &Registry) -> Result<(), prometheus::Error> {
    let port = MediaPort {
        datagrams: counter("datagrams", "Datagrams received on the media port")?,
        unmatched: counter("unmatched", "Datagrams dropped because they belong to no session or are no media")?,
        queue_full: counter("queue_full", "Datagrams dropped because their session does not keep up")?,
        events_dropped: counter("events_dropped", "Packets and reports dropped because their reader does not keep up")?,
        send_failed: counter("send_failed", "Datagrams that the system would not send")?,
        moves: counter("moves", "Times that a connected publisher went on from another address")?,
        unconnected: counter("unconnected", "Peer connections given up because they never came up")?,
        open_peers: IntGauge::new("headwater_media_port_open_peers", "Peer connections that are open now")?,
        counters,
    };
    registry.register(Box::new(port))
}

fn counter(name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    IntCounter::new(format!("headwater_media_port_{name}_total"), help)
}

struct MediaPort {
    counters: Arc<Counters>,
    datagrams: IntCounter,
    unmatched: IntCounter,
    queue_full: IntCounter,
    events_dropped: IntCounter,
    send_failed: IntCounter,
    moves: IntCounter,
    unconnected: IntCounter,
    open_peers: IntGauge,
}

impl MediaPort {
    fn counters(&self) -> [(&IntCounter, &AtomicU64); 7] {
        let counters = &self.counters;
        [
            (&self.datagrams, &counters.datagrams),
            (&self.unmatched, &counters.unmatched),
            (&self.queue_full, &counters.queue_full),
            (&self.events_dropped, &counters.events_dropped),
            (&self.send_failed, &counters.send_failed),
            (&self.moves, &counters.moves),
            (&self.unconnected, &counters.unconnected),
        ]
    }
}

impl Collector for MediaPort {
    fn desc(&self) -> Vec<&Desc> {
        let counters = self.counters().into_iter().flat_map(|(shown, _)| shown.desc());
        counters.chain(self.open_peers.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for (shown, counted) in self.counters() {
            let now = counted.load(Ordering::Relaxed);
            shown.inc_by(now.saturating_sub(shown.get()));
        }
        self.open_peers.set(i64::try_from(self.counters.open_peers.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
        let counters = self.counters().into_iter().flat_map(|(shown, _)| shown.collect());
        counters.chain(self.open_peers.collect()).collect()
    }
}
