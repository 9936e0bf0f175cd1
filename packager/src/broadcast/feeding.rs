//! The first task: from the publishers into the transcoder, and the time where they bring nothing. It may wait
//! for the transcoder as long as it likes: no session ever waits for it, each one's bounded queue drops to the
//! next keyframe instead.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use packager_transcode::wire::Input;
use schema::{AccessUnit, MediaTime, SessionEnd, TrackKind};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::sources::{Event, Sources};
use super::transcoding::TranscoderInput;
use crate::passthrough::Break;

mod passing;

pub(super) use passing::{Passage, Shown};
use passing::{Passing, Step};

/// How often the transcoder is told the time.
const TICK: Duration = Duration::from_millis(50);

/// The publishers, and what is known of them; handed from transcoder to transcoder.
pub(super) struct Feeding {
    sources: Sources,
    /// What the transcoder is to be told before anything new.
    first: VecDeque<Input>,
    /// The channel's own slate.
    slate: Option<Bytes>,
    keyframe: Arc<Notify>,
    fed: Arc<Offered>,
    clock: Clock,
    /// `None` where nothing is ever passed through.
    passing: Option<Passing>,
}

/// What a feeding begins with.
pub(super) struct Beginning {
    /// Where the output begins.
    pub(super) at: MediaTime,
    /// The channel's own slate: a PNG or JPEG file.
    pub(super) slate: Option<Bytes>,
    /// Rings when the decoder needs a keyframe.
    pub(super) keyframe: Arc<Notify>,
    /// How the top rung may be passed through, if it may.
    pub(super) passage: Option<Passage>,
}

/// Both sides that a feeding speaks to.
pub(super) struct Sides {
    /// The transcoder.
    pub(super) input: Box<dyn TranscoderInput>,
    /// The publishing task, which never waits for this one.
    pub(super) shown: mpsc::Sender<Shown>,
}

/// What was offered to transcoders so far; the other task reads it.
#[derive(Debug, Default)]
pub(super) struct Offered {
    inputs: AtomicU64,
    newest: AtomicI64,
}

impl Offered {
    /// How many units, and words of the clock.
    pub(super) fn inputs(&self) -> u64 {
        self.inputs.load(Ordering::Relaxed)
    }

    /// The newest time.
    pub(super) fn newest(&self) -> MediaTime {
        MediaTime(self.newest.load(Ordering::Relaxed))
    }

    fn count(&self, newest: MediaTime) {
        self.newest.fetch_max(newest.0, Ordering::Relaxed);
        self.inputs.fetch_add(1, Ordering::Relaxed);
    }
}

/// The time that the next unit of each kind would have if it came now.
#[derive(Debug)]
struct Clock {
    video: Option<(MediaTime, Instant)>,
    audio: Option<(MediaTime, Instant)>,
    /// Before the first unit of either kind.
    begins: (MediaTime, Instant),
}

impl Clock {
    fn new(at: MediaTime, now: Instant) -> Self {
        Self { video: None, audio: None, begins: (at, now) }
    }

    fn note(&mut self, unit: &AccessUnit, now: Instant) {
        let last = match unit.codec.kind() {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        };
        *last = Some((unit.pts, now));
    }

    fn at(&self, now: Instant) -> Input {
        let then = |last: Option<(MediaTime, Instant)>, other: Option<(MediaTime, Instant)>| {
            let (at, since) = last.or(other).unwrap_or(self.begins);
            at + MediaTime::between(since.into_std(), now.into_std())
        };
        Input::Clock { video: then(self.video, self.audio), audio: then(self.audio, self.video) }
    }
}

/// Why feeding stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fed {
    /// Nobody publishes any more; the transcoder was told to finish.
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
    /// `first` was taken from the publishers already.
    pub(super) fn new(sources: Sources, first: Vec<AccessUnit>, start: Beginning) -> Self {
        let Beginning { at, slate, keyframe, passage } = start;
        let clock = Clock::new(at, Instant::now());
        let passing = passage.map(|passage| Passing::new(passage, at));
        let (none, fed) = (VecDeque::new(), Arc::default());
        let mut feeding = Self { sources, first: none, slate, keyframe, fed, clock, passing };
        feeding.begin_with(first);
        feeding
    }

    /// A new transcoder is told the slate, and then these.
    fn begin_with(&mut self, units: Vec<AccessUnit>) {
        let slate = self.slate.clone().map(|data| Input::Slate { data });
        self.first = slate.into_iter().chain(units.into_iter().map(Input::Unit)).collect();
    }

    /// What was offered to transcoders, as it grows.
    pub(super) fn fed(&self) -> Arc<Offered> {
        Arc::clone(&self.fed)
    }

    /// A new transcoder begins at `start` with what the last one may not have finished.
    pub(super) fn restart(&mut self, start: MediaTime) {
        if let Some(passing) = &mut self.passing {
            passing.restart(start);
        }
        let recent = self.sources.recent();
        self.begin_with(recent);
        self.sources.request_keyframe();
    }

    /// Feeds until nobody publishes any more or a stop is called.
    pub(super) async fn run(mut self: Box<Self>, mut sides: Sides, stops: Stops) -> (Box<Self>, Fed) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopped = loop {
            let offered = match self.next(&mut ticks, &stops).await {
                Ok(next) => self.offer(&mut sides, next, &stops).await,
                Err(stopped) => Err(stopped),
            };
            if let Err(stopped) = offered {
                break stopped;
            }
        };
        if stopped != Fed::Gone {
            tokio::select! {
                () = stops.gone.cancelled() => {}
                _ = sides.input.send(Input::Finish) => {}
            }
        }
        (self, stopped)
    }

    /// What the transcoder is to be told next. The clock speaks only while no media wait: after a stall of
    /// ours, what is there is shown and nothing is made up.
    async fn next(&mut self, ticks: &mut Interval, stops: &Stops) -> Result<Next, Fed> {
        if let Some(input) = self.first.pop_front() {
            return Ok(Next::Input(input));
        }
        let keyframe = Arc::clone(&self.keyframe);
        let event = tokio::select! {
            biased;
            () = stops.gone.cancelled() => return Err(Fed::Gone),
            () = stops.cancel.cancelled() => return Err(Fed::Cancelled),
            () = keyframe.notified() => {
                self.sources.request_keyframe();
                return Ok(Next::KeyframeWanted);
            }
            event = self.sources.event() => event,
            now = ticks.tick() => match self.sources.tick(now) {
                Some(event) => event,
                None => return Ok(Next::Input(self.clock.at(now))),
            },
        };
        match event {
            Event::Unit(unit) => {
                self.clock.note(&unit, Instant::now());
                Ok(Next::Input(Input::Unit(unit)))
            }
            Event::Switched(units) => {
                self.first = units.into_iter().map(Input::Unit).collect();
                Ok(Next::Input(Input::Switch))
            }
            Event::Over(end) => Err(Fed::Ended(end)),
        }
    }

    /// What both sides are told of it, in this order.
    fn steps(&mut self, next: Next) -> Vec<Step> {
        let Some(passing) = &mut self.passing else {
            return match next {
                Next::Input(input) => vec![Step::Tell(input)],
                Next::KeyframeWanted => Vec::new(),
            };
        };
        let now = Instant::now();
        let (mut steps, last) = match next {
            Next::KeyframeWanted => (passing.interrupt(Break::Corrupt), None),
            Next::Input(Input::Unit(unit)) if unit.codec.kind() == TrackKind::Video => {
                (passing.picture(unit, now), None)
            }
            Next::Input(Input::Switch) => (passing.interrupt(Break::Switched), Some(Input::Switch)),
            Next::Input(Input::Clock { video, audio }) => {
                (passing.clock(video, now), Some(Input::Clock { video, audio }))
            }
            Next::Input(input) => (Vec::new(), Some(input)),
        };
        steps.extend(last.map(Step::Tell));
        steps
    }

    async fn offer(&mut self, sides: &mut Sides, next: Next, stops: &Stops) -> Result<(), Fed> {
        for step in self.steps(next) {
            let sent = async {
                match step {
                    Step::Show(shown) => sides.shown.send(shown).await.map_err(|_| Fed::Gone),
                    Step::Tell(input) => {
                        self.fed.count(match &input {
                            Input::Unit(unit) => unit.pts,
                            _ => MediaTime::ZERO,
                        });
                        sides.input.send(input).await.map_err(|_| Fed::Gone)
                    }
                }
            };
            tokio::select! {
                biased;
                () = stops.gone.cancelled() => return Err(Fed::Gone),
                () = stops.cancel.cancelled() => return Err(Fed::Cancelled),
                sent = sent => sent?,
            }
        }
        Ok(())
    }
}

/// What comes next.
enum Next {
    /// Something for the transcoder.
    Input(Input),
    /// It needs a keyframe to go on.
    KeyframeWanted,
}
