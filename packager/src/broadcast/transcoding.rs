//! The seam to a transcoder: how one is started, and its two ends. Tests script it without FFmpeg.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use packager_transcode::process::{Waiting, Worker, WorkerCommand, WorkerInput, WorkerOutput};
use packager_transcode::wire::{Input, Output, Plan};
use thiserror::Error;
use tracing::{debug, warn};

/// A future of this seam.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a transcoder cannot be used (any more).
#[derive(Debug, Error)]
pub enum TranscodingError {
    /// It could not be started.
    #[error("the transcoder cannot be started: {0}")]
    Start(String),
    /// It is gone and takes nothing more.
    #[error("the transcoder is gone")]
    Gone,
}

/// Both ends of a running transcoder. It goes away when both are dropped.
pub type Ends = (Box<dyn TranscoderInput>, Box<dyn TranscoderOutput>);

/// Starts transcoders.
pub trait Transcoding: Send + Sync {
    /// Starts one for `plan`. The plan has been handed over: [`Input::Start`] is not sent again.
    fn start(&self, plan: Plan) -> Pending<'_, Result<Ends, TranscodingError>>;

    /// The same, but what can be done for the first start before its plan is known is under way; `None` where there is
    /// nothing.
    fn ahead(&self) -> Option<Arc<dyn Transcoding>> {
        None
    }
}

/// Where a transcoder is fed.
pub trait TranscoderInput: Send {
    /// Hands one message over, waiting while the transcoder is full.
    fn send(&mut self, input: Input) -> Pending<'_, Result<(), TranscodingError>>;
}

/// Where a transcoder's work comes out.
pub trait TranscoderOutput: Send {
    /// The next message; `None` when the transcoder is gone. Dropping the future loses nothing.
    fn next(&mut self) -> Pending<'_, Option<Output>>;
}

/// Transcoders that are workers of `packager_transcode`.
#[derive(Debug, Clone)]
pub struct WorkerProcess {
    /// How one is started.
    pub command: WorkerCommand,
    /// The encoder of all pictures: its row in the table of `packager_transcode::encoder`.
    pub encoder: String,
    /// Its speed preset.
    pub preset: String,
}

impl WorkerProcess {
    fn plan(&self, plan: Plan) -> Plan {
        Plan { encoder: self.encoder.clone(), preset: self.preset.clone(), ..plan }
    }
}

impl Transcoding for WorkerProcess {
    fn start(&self, plan: Plan) -> Pending<'_, Result<Ends, TranscodingError>> {
        Box::pin(async move {
            Worker::start(&self.command, self.plan(plan))
                .map(ends)
                .map_err(|error| TranscodingError::Start(error.to_string()))
        })
    }

    fn ahead(&self) -> Option<Arc<dyn Transcoding>> {
        match Worker::ahead(&self.command) {
            Ok(waiting) => Some(Arc::new(Ahead { waiting: Mutex::new(Some(waiting?)), then: self.clone() })),
            Err(error) => {
                warn!(%error, "a transcode worker could not be started ahead of its plan");
                None
            }
        }
    }
}

/// Workers of which the first has started already.
#[derive(Debug)]
struct Ahead {
    waiting: Mutex<Option<Waiting>>,
    then: WorkerProcess,
}

impl Transcoding for Ahead {
    fn start(&self, plan: Plan) -> Pending<'_, Result<Ends, TranscodingError>> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        match waiting.map(|waiting| waiting.start(self.then.plan(plan.clone()))) {
            Some(Ok(worker)) => Box::pin(ready(Ok(ends(worker)))),
            Some(Err(error)) => {
                warn!(%error, "the transcode worker that was started ahead is of no use");
                self.then.start(plan)
            }
            None => self.then.start(plan),
        }
    }
}

fn ends(worker: Worker) -> Ends {
    let (input, output) = worker.split();
    (Box::new(input), Box::new(output))
}

impl TranscoderInput for WorkerInput {
    fn send(&mut self, input: Input) -> Pending<'_, Result<(), TranscodingError>> {
        Box::pin(async move { WorkerInput::send(self, input).await.map_err(|_| TranscodingError::Gone) })
    }
}

impl TranscoderOutput for WorkerOutput {
    fn next(&mut self) -> Pending<'_, Option<Output>> {
        Box::pin(async move {
            let output = WorkerOutput::next(self).await;
            if output.is_none() {
                let end = self.ended().await;
                debug!(%end, "worker is gone");
            }
            output
        })
    }
}

#[cfg(test)]
mod tests {
    use schema::MediaTime;
    use schema::ladder::{FrameRate, Ladder, LatencyProfile, PictureSize};

    use super::*;
    use crate::ladder;
    use crate::timing::{Timing, Tracks};

    #[test]
    fn the_configured_encoder_and_preset_are_what_a_worker_is_told() {
        let size = PictureSize { width: 640, height: 360 };
        let renditions = ladder::renditions(&Ladder::default(), Some(size), false, LatencyProfile::Low);
        let timing = Timing::new(LatencyProfile::Low, FrameRate::THIRTY, Tracks { video: true, audio: false });
        let planned = ladder::plan(&renditions, &timing, MediaTime::ZERO);
        let workers = WorkerProcess {
            command: WorkerCommand::Process {
                program: "headwater".into(),
                arguments: Vec::new(),
                environment: Vec::new(),
            },
            encoder: "libmagic".to_owned(),
            preset: "rapid".to_owned(),
        };
        let told = workers.plan(planned.clone());
        assert_eq!((told.encoder.as_str(), told.preset.as_str()), ("libmagic", "rapid"));
        assert_eq!(told.video, planned.video);
    }
}
