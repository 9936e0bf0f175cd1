//! The first task: from the feed into the transcoder. It may wait for the transcoder as long as it
//! likes: the session never waits for it, its bounded queue drops to the next keyframe instead.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use packager_transcode::wire::Input;
use schema::feed::next;
use schema::{AccessUnit, Feed, FeedEvent, MediaTime, SessionEnd};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::transcoding::TranscoderInput;

/// The feed, and what is known of it; handed from transcoder to transcoder.
pub(super) struct Feeding {
    feed: Box<dyn Feed>,
    /// What was looked at before the first transcoder began.
    first: VecDeque<AccessUnit>,
    keyframe: Arc<Notify>,
    fed: Arc<Offered>,
}

/// What was offered to transcoders so far; the other task reads it.
#[derive(Debug, Default)]
pub(super) struct Offered {
    units: AtomicU64,
    newest: AtomicI64,
}

impl Offered {
    /// How many units.
    pub(super) fn units(&self) -> u64 {
        self.units.load(Ordering::Relaxed)
    }

    /// The newest time.
    pub(super) fn newest(&self) -> MediaTime {
        MediaTime(self.newest.load(Ordering::Relaxed))
    }

    fn count(&self, unit: &AccessUnit) {
        self.newest.fetch_max(unit.pts.0, Ordering::Relaxed);
        self.units.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why feeding stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fed {
    /// The feed is over; the transcoder was told to finish.
    Ended(SessionEnd),
    /// Cancelled; the transcoder was told to finish.
    Cancelled,
    /// The transcoder is gone.
    Gone,
}

/// The two reasons to stop early.
#[derive(Debug, Clone)]
pub(super) struct Stops {
    /// The broadcast is cancelled.
    pub(super) cancel: CancellationToken,
    /// The transcoder is gone.
    pub(super) gone: CancellationToken,
}

impl Feeding {
    pub(super) fn new(feed: Box<dyn Feed>, first: Vec<AccessUnit>, keyframe: Arc<Notify>) -> Self {
        Self { feed, first: first.into(), keyframe, fed: Arc::default() }
    }

    /// What was offered to transcoders, as it grows.
    pub(super) fn fed(&self) -> Arc<Offered> {
        Arc::clone(&self.fed)
    }

    /// The newest time that was offered to a transcoder.
    pub(super) fn newest(&self) -> MediaTime {
        self.fed.newest()
    }

    /// A new transcoder begins with what comes next, and needs a keyframe.
    pub(super) fn restart(&mut self) {
        self.first.clear();
        self.feed.request_keyframe();
    }

    /// Feeds until the feed ends or a stop is called.
    pub(super) async fn run(mut self, mut input: Box<dyn TranscoderInput>, stops: Stops) -> (Self, Fed) {
        let stopped = loop {
            match self.event(&stops).await {
                Ok(FeedEvent::Unit(unit)) => {
                    if let Err(stopped) = self.offer(input.as_mut(), unit, &stops).await {
                        break stopped;
                    }
                }
                Ok(FeedEvent::Ended(end)) => break Fed::Ended(end),
                Err(stopped) => break stopped,
            }
        };
        if stopped != Fed::Gone {
            tokio::select! {
                () = stops.gone.cancelled() => {}
                _ = input.send(Input::Finish) => {}
            }
        }
        (self, stopped)
    }

    async fn event(&mut self, stops: &Stops) -> Result<FeedEvent, Fed> {
        if let Some(unit) = self.first.pop_front() {
            return Ok(FeedEvent::Unit(unit));
        }
        let keyframe = Arc::clone(&self.keyframe);
        loop {
            tokio::select! {
                biased;
                () = stops.gone.cancelled() => return Err(Fed::Gone),
                () = stops.cancel.cancelled() => return Err(Fed::Cancelled),
                () = keyframe.notified() => self.feed.request_keyframe(),
                event = next(self.feed.as_mut()) => return Ok(event),
            }
        }
    }

    async fn offer(&mut self, input: &mut dyn TranscoderInput, unit: AccessUnit, stops: &Stops) -> Result<(), Fed> {
        self.fed.count(&unit);
        tokio::select! {
            biased;
            () = stops.gone.cancelled() => Err(Fed::Gone),
            () = stops.cancel.cancelled() => Err(Fed::Cancelled),
            sent = input.send(Input::Unit(unit)) => sent.map_err(|_| Fed::Gone),
        }
    }
}
