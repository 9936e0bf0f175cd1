//! The worker itself: reads the plan and access units, decodes once, and writes the coded ladder.
//!
//! One thread reads, decodes and scales; one encodes each video rendition; one does audio; one
//! makes thumbnails; one writes. The queues of the ladder are bounded and wait when full, so a slow encoder slows
//! the reading down and the node sees it. The worker knows no clock but the media's and the one it is told
//! ([`Input::Clock`]), and no network.

mod audio;
mod counters;
mod decoder;
mod encoders;
mod keys;
mod outlet;
mod pacing;
mod rendition;
mod scale;
mod slate;
mod thumbnail;
mod timeline;
mod video;

pub use decoder::missing_decoders;

use std::io::{BufReader, Read, Write};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use schema::{AccessUnit, Codec, MediaTime};
use thiserror::Error;

use crate::encoder::OpenError;
use crate::ffi;
use crate::wire::{self, Input, Output, Plan, ReadError, Step, WriteError};
use audio::Audio;
use counters::Counters;
use outlet::Outlet;
use rendition::{Recipe, Rendition};
use video::Video;

/// How often statistics are put out, in media time.
const STATISTICS_INTERVAL: MediaTime = MediaTime(2 * MediaTime::PER_SECOND);
/// How often a worker says that it runs.
const ALIVE_INTERVAL: Duration = Duration::from_millis(200);
/// More renditions than this are refused: each is an encoder.
const RENDITIONS_MAX: usize = 8;

/// Why a worker could not go on.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The input is no sequence of messages.
    #[error("the input cannot be read: {0}")]
    Input(#[from] ReadError),
    /// The messages come in an order that makes no sense.
    #[error("unexpected message: {0}")]
    Protocol(&'static str),
    /// The plan cannot be carried out.
    #[error("the plan is not possible: {0}")]
    Plan(&'static str),
    /// The node no longer reads.
    #[error("nobody reads the output")]
    OutputClosed,
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] WriteError),
    /// A decoder cannot be opened.
    #[error("a decoder cannot be opened: {0}")]
    OpenDecoder(ffmpeg::Error),
    /// A video encoder cannot be opened.
    #[error(transparent)]
    OpenVideo(#[from] OpenError),
    /// The audio encoder cannot be opened.
    #[error("the audio encoder cannot be opened: {0}")]
    OpenAudio(ffmpeg::Error),
    /// A filter graph cannot be built or fails.
    #[error("scaling failed: {0}")]
    Scale(ffmpeg::Error),
    /// An encoder fails.
    #[error("encoding failed: {0}")]
    Encode(ffmpeg::Error),
    /// An encoder's thread is gone; its own error tells why.
    #[error("an encoder is gone")]
    EncoderGone,
    /// The feed's time jumped further ahead than is filled.
    #[error("the time of the {0} jumped by more than a minute")]
    Jump(&'static str),
    /// A thread cannot be started.
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
    /// A thread panicked.
    #[error("a thread of the worker panicked")]
    Panicked,
}

/// Runs a worker on the process's standard input and output, as [`run`].
///
/// # Errors
/// As [`run`].
pub fn run_on_stdio() -> Result<(), WorkerError> {
    use std::os::fd::AsFd;
    // The bare descriptors: `Stdout` would cut binary data at line ends, and `StdinLock` is not `Send`.
    let input = std::io::stdin().as_fd().try_clone_to_owned();
    let output = std::io::stdout().as_fd().try_clone_to_owned();
    match (input, output) {
        (Ok(input), Ok(output)) => {
            let counters = Counters { own_process: true, ..Counters::default() };
            run_counting(std::fs::File::from(input), std::fs::File::from(output), &counters)
        }
        (Err(error), _) | (_, Err(error)) => Err(WorkerError::Thread(error)),
    }
}

/// Runs a worker until `input` ends or says [`Input::Finish`], or something fails; blocks meanwhile.
///
/// The last message is [`Output::Finished`], or [`Output::Failed`] with the error that is returned.
///
/// # Errors
/// [`WorkerError`]. Access units that cannot be decoded are no error: they are counted and dropped.
pub fn run(input: impl Read + Send, output: impl Write + Send) -> Result<(), WorkerError> {
    run_counting(input, output, &Counters::default())
}

fn run_counting(input: impl Read + Send, output: impl Write + Send, counters: &Counters) -> Result<(), WorkerError> {
    ffi::initialise();
    std::thread::scope(|scope| {
        let (outlet, queue) = outlet::channel();
        let writer = thread(scope, "write", move || Ok(outlet::write_all(&queue, output)?))?;
        let alive = say_alive(scope, &outlet)?;
        let result = work(scope, input, &outlet, counters);
        drop(alive);
        let last = match &result {
            Ok(()) => Output::Finished,
            Err(error) => Output::Failed(error.to_string().replace('\n', " ")),
        };
        // If nobody reads any more, the writer's own error says so.
        let _ = outlet.say(last);
        drop(outlet);
        result.and(join(writer))
    })
}

/// Says that the worker runs, until what is returned is dropped.
fn say_alive<'scope>(scope: &'scope Scope<'scope, '_>, outlet: &Outlet) -> Result<SyncSender<()>, WorkerError> {
    let (running, stopped) = sync_channel::<()>(0);
    let outlet = outlet.clone();
    thread(scope, "alive", move || {
        while stopped.recv_timeout(ALIVE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            outlet.say(Output::Alive)?;
        }
        Ok(())
    })?;
    Ok(running)
}

fn work<'scope>(
    scope: &'scope Scope<'scope, '_>,
    input: impl Read,
    outlet: &Outlet,
    counters: &'scope Counters,
) -> Result<(), WorkerError> {
    let mut input = BufReader::with_capacity(256 * 1024, input);
    let plan = match wire::read(&mut input)? {
        Some(Input::Start(plan)) => plan,
        Some(_) => return Err(WorkerError::Protocol("the plan does not come first")),
        None => return Ok(()),
    };
    check(&plan)?;
    let mut stage = Stage::new(&plan, outlet, counters);
    let fed = stage.start(scope, &plan).and_then(|()| feed(&mut input, &mut stage));
    // A thread that failed is why feeding it failed: its error comes first.
    stage.finish().and(fed)
}

fn feed(input: &mut impl Read, stage: &mut Stage<'_>) -> Result<(), WorkerError> {
    loop {
        match wire::read(input)? {
            Some(Input::Unit(unit)) => stage.unit(unit)?,
            Some(Input::Slate { data }) => stage.slate(data),
            Some(Input::Switch) => stage.switch()?,
            Some(Input::Clock { video, audio }) => stage.clock(video, audio)?,
            Some(Input::Pace { rendition, step }) => stage.pace(rendition, step),
            Some(Input::Pass { at }) => stage.pass(at)?,
            Some(Input::Encode { at }) => stage.encode(at)?,
            Some(Input::Start(_)) => return Err(WorkerError::Protocol("a second plan")),
            Some(Input::Finish) | None => return Ok(()),
        }
    }
}

type Running<'scope> = ScopedJoinHandle<'scope, Result<(), WorkerError>>;

/// Everything between reading and writing.
struct Stage<'scope> {
    video: Option<Video<'scope>>,
    audio: Option<SyncSender<audio::Job>>,
    threads: Vec<Running<'scope>>,
    outlet: Outlet,
    counters: &'scope Counters,
    start: MediaTime,
    counted_at: Option<MediaTime>,
}

impl<'scope> Stage<'scope> {
    fn new(plan: &Plan, outlet: &Outlet, counters: &'scope Counters) -> Self {
        Self {
            video: None,
            audio: None,
            threads: Vec::new(),
            outlet: outlet.clone(),
            counters,
            start: plan.start,
            counted_at: None,
        }
    }

    /// Opens all codecs and starts their threads. After an error, [`Self::finish`] still ends those that run.
    fn start(&mut self, scope: &'scope Scope<'scope, '_>, plan: &Plan) -> Result<(), WorkerError> {
        if !plan.video.is_empty() {
            self.start_video(scope, plan)?;
        }
        if let Some(audio) = &plan.audio {
            let audio = Audio::new(audio, plan.start, self.outlet.clone(), self.counters)?;
            let (sender, units) = sync_channel(audio::QUEUE);
            self.audio = Some(sender);
            self.threads.push(thread(scope, "audio", move || audio.run(&units))?);
        }
        Ok(())
    }

    fn start_video(&mut self, scope: &'scope Scope<'scope, '_>, plan: &Plan) -> Result<(), WorkerError> {
        let mut encoders = Vec::new();
        for video in &plan.video {
            let recipe = Recipe {
                video: video.clone(),
                frame_rate: plan.frame_rate,
                encoder: plan.encoder.clone(),
                preset: plan.preset.clone(),
            };
            let rendition = Rendition::new(recipe, self.outlet.clone(), self.counters)?;
            let (sender, jobs) = sync_channel(rendition::QUEUE);
            encoders.push(sender);
            let name = format!("encode-{}", video.rendition);
            self.threads.push(thread(scope, &name, move || rendition.run(&jobs))?);
        }
        let (thumbnails, work) = thumbnail::new(plan.thumbnail.as_ref(), &self.outlet);
        if let Some(work) = work {
            // Without the thread all thumbnails are left out, and nothing else.
            self.threads.extend(thread(scope, "thumbnail", work).ok());
        }
        self.video = Some(Video::new(plan, encoders, thumbnails, self.outlet.clone(), self.counters));
        Ok(())
    }

    fn unit(&mut self, unit: AccessUnit) -> Result<(), WorkerError> {
        let pts = unit.pts;
        match (unit.codec, &mut self.video, &self.audio) {
            (Codec::H264 | Codec::Vp8 | Codec::Vp9 | Codec::Av1, Some(video), _) => video.unit(&unit)?,
            (Codec::Opus, _, Some(_)) => self.hear(audio::Job::Unit(unit))?,
            _ => self.outlet.discarded("unsupported")?,
        }
        self.count(pts)
    }

    fn slate(&mut self, data: Bytes) {
        if let Some(video) = &mut self.video {
            video.set_slate(data);
        }
    }

    fn pace(&mut self, rendition: u8, step: Step) {
        if let Some(video) = &mut self.video {
            video.pace(rendition, step);
        }
    }

    fn switch(&mut self) -> Result<(), WorkerError> {
        if let Some(video) = &mut self.video {
            video.switch();
        }
        self.hear(audio::Job::Switch)
    }

    fn pass(&mut self, at: MediaTime) -> Result<(), WorkerError> {
        self.video.as_mut().map_or(Ok(()), |video| video.pass(at))
    }

    fn encode(&mut self, at: MediaTime) -> Result<(), WorkerError> {
        self.video.as_mut().map_or(Ok(()), |video| video.encode(at))
    }

    /// The output goes on without what is late by now.
    fn clock(&mut self, video: MediaTime, audio: MediaTime) -> Result<(), WorkerError> {
        if let Some(pictures) = &mut self.video {
            pictures.fill_up_to(video - wire::PATIENCE)?;
        }
        self.hear(audio::Job::FillUpTo(audio - wire::PATIENCE))?;
        self.count(video.max(audio))
    }

    /// Hands a job to the audio path, if there is one.
    fn hear(&self, job: audio::Job) -> Result<(), WorkerError> {
        match &self.audio {
            Some(audio) => audio.send(job).map_err(|_| WorkerError::EncoderGone),
            None => Ok(()),
        }
    }

    fn count(&mut self, now: MediaTime) -> Result<(), WorkerError> {
        let last = *self.counted_at.get_or_insert(now);
        if now - last < STATISTICS_INTERVAL {
            return Ok(());
        }
        self.counted_at = Some(now);
        let statistics = self.counters.statistics(now - self.start);
        self.outlet.say(Output::Statistics(statistics))
    }

    /// Ends the queues, so that all threads flush, and waits for them.
    fn finish(self) -> Result<(), WorkerError> {
        drop((self.video, self.audio));
        let results: Vec<_> = self.threads.into_iter().map(join).collect();
        results.into_iter().collect()
    }
}

fn check(plan: &Plan) -> Result<(), WorkerError> {
    let problem = if plan.video.is_empty() && plan.audio.is_none() {
        "it has no rendition"
    } else if plan.video.len() > RENDITIONS_MAX {
        "it has too many renditions"
    } else if plan.frame_rate.numerator == 0 || plan.frame_rate.denominator == 0 {
        "its frame rate is zero"
    } else if plan.keyframe_interval <= MediaTime::ZERO {
        "its keyframe interval is zero"
    } else if plan.part_frames == 0 {
        "its parts have no pictures"
    } else {
        return Ok(());
    };
    Err(WorkerError::Plan(problem))
}

fn thread<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> Result<(), WorkerError> + Send + 'scope,
) -> Result<Running<'scope>, WorkerError> {
    Builder::new().name(name.to_owned()).spawn_scoped(scope, work).map_err(WorkerError::Thread)
}

fn join(thread: Running<'_>) -> Result<(), WorkerError> {
    thread.join().unwrap_or(Err(WorkerError::Panicked))
}

/// Whether a codec has nothing more to give for now, or for good.
fn is_drained(error: ffmpeg::Error) -> bool {
    let again = ffmpeg::Error::Other { errno: ffmpeg::error::EAGAIN };
    error == again || error == ffmpeg::Error::Eof
}
