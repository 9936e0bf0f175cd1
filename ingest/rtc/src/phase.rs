//! How far a connection has come. It only ever moves forward, and its first end stays.

use tokio::sync::watch;

use crate::PeerEnd;

/// The life of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// ICE or DTLS still work on it.
    Connecting,
    /// Media may flow.
    Connected,
    /// Over.
    Ended(PeerEnd),
}

/// The writing half; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct PhaseSender(watch::Sender<Phase>);

/// A connection that begins.
pub(crate) fn phase() -> (PhaseSender, watch::Receiver<Phase>) {
    let (sender, receiver) = watch::channel(Phase::Connecting);
    (PhaseSender(sender), receiver)
}

impl PhaseSender {
    /// ICE and DTLS are up.
    pub(crate) fn connected(&self) {
        self.0.send_if_modified(|phase| {
            let first = *phase == Phase::Connecting;
            if first {
                *phase = Phase::Connected;
            }
            first
        });
    }

    /// It is over; an earlier end stays.
    pub(crate) fn end(&self, end: PeerEnd) {
        self.0.send_if_modified(|phase| {
            let first = !matches!(phase, Phase::Ended(_));
            if first {
                *phase = Phase::Ended(end);
            }
            first
        });
    }

    /// A new reader.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }
}

/// Waits for the end.
pub(crate) async fn ended(phase: &mut watch::Receiver<Phase>) -> PeerEnd {
    match phase.wait_for(|phase| matches!(phase, Phase::Ended(_))).await {
        Ok(phase) => match *phase {
            Phase::Ended(end) => end,
            Phase::Connecting | Phase::Connected => PeerEnd::Failed,
        },
        Err(_) => PeerEnd::Failed,
    }
}

/// Waits until it is connected or over.
pub(crate) async fn settled(phase: &mut watch::Receiver<Phase>) -> Phase {
    match phase.wait_for(|phase| *phase != Phase::Connecting).await {
        Ok(phase) => *phase,
        Err(_) => Phase::Ended(PeerEnd::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_end_stays_and_nothing_follows_it() {
        let (sender, mut receiver) = phase();
        sender.connected();
        assert_eq!(settled(&mut receiver).await, Phase::Connected);
        sender.end(PeerEnd::Failed);
        sender.end(PeerEnd::Closed);
        sender.connected();
        assert_eq!(ended(&mut receiver).await, PeerEnd::Failed);
    }
}
