//! The first task: from the publishers into the transcoder, and the time where they bring nothing. It may wait
//! for the transcoder as long as it likes: no session ever waits for it, each one's bounded queue drops to the
//! next keyframe instead.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use packager_transcode::wire::{Input, PATIENCE, Step};
use schema::{AccessUnit, MediaTime, SessionEnd, TrackKind};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::publish::Steps;
use super::sources::{Event, Sources};
use super::transcoding::TranscoderInput;
use crate::outage::{Outage, Outages};
use crate::passthrough::Break;

mod passing;

use passing::{Message, Passing};
pub(super) use passing::{Passage, Shown};

/// How often the transcoder is told the time.
const TICK: Duration = Duration::from_millis(50);
/// So many words of outages are kept for the other task, which looks at each word of the transcoder; none is shorter
/// than three seconds, and a transcoder that says nothing for five is replaced.
const OUTAGES_TOLD: usize = 16;

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
    outages: Outages,
    /// `None` where nothing is ever passed through.
    passing: Option<Passing>,
}

/// What a feeding begins with.
pub(super) struct Beginning {
    /// Where the output begins.
    pub(super) at: MediaTime,
    /// The length of a picture; `None` for sound alone.
    pub(super) frame: Option<MediaTime>,
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
    outages: watch::Sender<Vec<Outage>>,
    /// Of pictures alone, those included that the clock makes up.
    pictures: AtomicI64,
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

    /// The newest outages of the publishers, as they come; what is there already counts as news.
    pub(super) fn outages(&self) -> watch::Receiver<Vec<Outage>> {
        let mut outages = self.outages.subscribe();
        outages.mark_changed();
        outages
    }

    fn tell(&self, outage: Outage) {
        self.outages.send_modify(|outages| {
            outages.push(outage);
            let surplus = outages.len().saturating_sub(OUTAGES_TOLD);
            outages.drain(..surplus);
        });
    }

    /// Up to which time the transcoder has something to encode.
    pub(super) fn pictures(&self) -> MediaTime {
        MediaTime(self.pictures.load(Ordering::Relaxed))
    }

    fn count(&self, input: &Input) {
        let (newest, picture) = match input {
            Input::Unit(unit) if unit.codec.kind() == TrackKind::Video => (unit.pts, unit.pts),
            Input::Unit(unit) => (unit.pts, MediaTime::ZERO),
            Input::Clock { video, .. } => (MediaTime::ZERO, *video - PATIENCE),
            _ => (MediaTime::ZERO, MediaTime::ZERO),
        };
        self.newest.fetch_max(newest.0, Ordering::Relaxed);
        self.pictures.fetch_max(picture.0, Ordering::Relaxed);
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

    /// Of pictures, and of sound.
    fn at(&self, now: Instant) -> (MediaTime, MediaTime) {
        let then = |last: Option<(MediaTime, Instant)>, other: Option<(MediaTime, Instant)>| {
            let (at, since) = last.or(other).unwrap_or(self.begins);
            at + MediaTime::between(since.into_std(), now.into_std())
        };
        (then(self.video, self.audio), then(self.audio, self.video))
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
        let Beginning { at, frame, slate, keyframe, passage } = start;
        let clock = Clock::new(at, Instant::now());
        let outages = Outages::new(at, frame);
        let passing = passage.map(|passage| Passing::new(passage, at));
        let (none, fed) = (VecDeque::new(), Arc::default());
        let mut feeding = Self { sources, first: none, slate, keyframe, fed, clock, outages, passing };
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
    pub(super) async fn run(
        mut self: Box<Self>,
        mut sides: Sides,
        mut steps: watch::Receiver<Steps>,
        stops: Stops,
    ) -> (Box<Self>, Fed) {
        self.tell_pace(&mut steps, |step| step != Step::Whole);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopped = loop {
            let offered = match self.next(&mut ticks, &mut steps, &stops).await {
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
    async fn next(
        &mut self,
        ticks: &mut Interval,
        steps: &mut watch::Receiver<Steps>,
        stops: &Stops,
    ) -> Result<Next, Fed> {
        if steps.has_changed().unwrap_or(false) {
            self.tell_pace(steps, |_| true);
        }
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
                None => return Ok(Next::Input(self.time(now))),
            },
        };
        match event {
            Event::Unit(unit) => {
                self.clock.note(&unit, Instant::now());
                if let Some(over) = self.outages.came(&unit) {
                    self.fed.tell(over);
                }
                Ok(Next::Input(Input::Unit(unit)))
            }
            Event::Switched(units) => {
                self.first = units.into_iter().map(Input::Unit).collect();
                Ok(Next::Input(Input::Switch))
            }
            Event::Over(end) => Err(Fed::Ended(end)),
        }
    }

    /// Nothing came: what time it is.
    fn time(&mut self, now: Instant) -> Input {
        let (video, audio) = self.clock.at(now);
        if let Some(begun) = self.outages.is(video, audio) {
            self.fed.tell(begun);
        }
        Input::Clock { video, audio }
    }

    /// Tells the transcoder first of all what each rendition gives up, of the steps that `which` picks.
    fn tell_pace(&mut self, steps: &mut watch::Receiver<Steps>, which: impl Fn(Step) -> bool) {
        for (rendition, step) in steps.borrow_and_update().iter().copied().filter(|(_, step)| which(*step)) {
            self.first.push_front(Input::Pace { rendition, step });
        }
    }

    /// What both sides are told of it, in this order.
    fn messages(&mut self, next: Next) -> Vec<Message> {
        let Some(passing) = &mut self.passing else {
            return match next {
                Next::Input(input) => vec![Message::Tell(input)],
                Next::KeyframeWanted => Vec::new(),
            };
        };
        let now = Instant::now();
        let (mut messages, last) = match next {
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
        messages.extend(last.map(Message::Tell));
        messages
    }

    async fn offer(&mut self, sides: &mut Sides, next: Next, stops: &Stops) -> Result<(), Fed> {
        for message in self.messages(next) {
            let sent = async {
                match message {
                    Message::Show(shown) => sides.shown.send(shown).await.map_err(|_| Fed::Gone),
                    Message::Tell(input) => {
                        self.fed.count(&input);
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
