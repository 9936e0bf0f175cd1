//! The owner of a worker on the node's side: starts it, feeds it, hears it, notices its end.
//!
//! Knows no FFmpeg: a worker is a program that speaks [`crate::wire`] on its standard input and
//! output, or the same loop on a thread. A worker exits when its input closes, so none outlives its node.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::wire::{self, Input, Output, Plan, ReadError, WriteError};

/// How many messages may wait for a worker; when full, the sender waits. About half a second of media.
pub const INPUT_QUEUE: usize = 64;
/// How many messages of a worker may wait for the node; when full, the worker waits. About half a second of a ladder.
pub const OUTPUT_QUEUE: usize = 256;

/// How much of a worker's output is read with one call: a few pictures.
const READ_BYTES: usize = 16 * 1024;

/// What a worker is.
#[derive(Debug, Clone)]
pub enum WorkerCommand {
    /// A process of its own, so that a crash or hang of a codec costs no more than one broadcast.
    Process {
        /// The program to run, such as the running binary.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<OsString>,
        /// Variables set above those it inherits.
        environment: Vec<(OsString, OsString)>,
    },
    /// A thread of this process, over a socket pair.
    #[cfg(feature = "ffmpeg")]
    InProcess,
}

/// Why a worker could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The program cannot be run.
    #[error("cannot run {program}: {error}")]
    Spawn {
        /// Which program.
        program: String,
        /// Why not.
        error: std::io::Error,
    },
    /// A pipe, socket or thread could not be made.
    #[error("cannot set up a worker: {0}")]
    SetUp(#[from] std::io::Error),
}

/// The worker is gone; [`WorkerOutput::ended`] tells why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the worker is gone")]
pub struct Gone;

/// Why nothing was handed to a worker.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum TrySendError {
    /// The worker is behind; the message comes back.
    #[error("the worker is behind")]
    Full(Box<Input>),
    /// The worker is gone.
    #[error("the worker is gone")]
    Gone,
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerEnd {
    /// By itself and well.
    Exited,
    /// By itself and badly: an exit code, a signal or an error, in one line.
    Failed(String),
    /// It spoke no sense and was killed.
    Garbled(String),
    /// [`WorkerOutput::kill`] was called.
    Killed,
}

impl fmt::Display for WorkerEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited => f.write_str("exited"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Garbled(why) => write!(f, "killed, as it wrote no message: {why}"),
            Self::Killed => f.write_str("killed"),
        }
    }
}

/// Why the worker is to be stopped by force: asked for, or by what it wrote.
type Stop = watch::Sender<Option<WorkerEnd>>;

/// A running worker, killed when its output side is dropped.
#[derive(Debug)]
pub struct Worker {
    input: WorkerInput,
    output: WorkerOutput,
}

/// The way to a worker. Dropping it closes the worker's input: it flushes and exits.
#[derive(Debug)]
pub struct WorkerInput {
    queue: mpsc::Sender<Input>,
}

/// The way back from a worker, and its life: dropping it kills a worker process, and cuts a worker thread off.
#[derive(Debug)]
pub struct WorkerOutput {
    queue: mpsc::Receiver<Output>,
    stop: Stop,
    end: watch::Receiver<Option<WorkerEnd>>,
    pid: Option<u32>,
    /// Writer, reader and supervisor; dropped with it.
    _tasks: JoinSet<()>,
}

impl Worker {
    /// Starts a worker with `plan`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running. A program that starts and then fails is seen by [`WorkerOutput::ended`].
    pub fn start(how: &WorkerCommand, plan: Plan) -> Result<Self, StartError> {
        let mut seam = Seam::new(plan);
        match how {
            WorkerCommand::Process { .. } => seam.run_process(spawn(how)?)?,
            #[cfg(feature = "ffmpeg")]
            WorkerCommand::InProcess => {
                seam.run_thread(|input, output| crate::worker::run(input, output).map_err(|error| error.to_string()))?
            }
        }
        Ok(seam.finish())
    }

    /// A worker that has started and waits for its plan; `None` where there is nothing to start before it. Must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn ahead(how: &WorkerCommand) -> Result<Option<Waiting>, StartError> {
        match how {
            WorkerCommand::Process { .. } => spawn(how).map(|child| Some(Waiting { child })),
            #[cfg(feature = "ffmpeg")]
            WorkerCommand::InProcess => Ok(None),
        }
    }

    /// Both ways, for two tasks: one task that fills and drains a worker can deadlock under load.
    #[must_use]
    pub fn split(self) -> (WorkerInput, WorkerOutput) {
        (self.input, self.output)
    }
}

/// A worker process without a plan; killed when dropped.
#[derive(Debug)]
pub struct Waiting {
    child: Child,
}

impl Waiting {
    /// Gives it its plan.
    ///
    /// # Errors
    /// [`StartError`], as where it has ended meanwhile; nothing is left running.
    pub fn start(mut self, plan: Plan) -> Result<Worker, StartError> {
        if let Some(status) = self.child.try_wait()? {
            return Err(std::io::Error::other(format!("it ended before its plan: {status}")).into());
        }
        let mut seam = Seam::new(plan);
        seam.run_process(self.child)?;
        Ok(seam.finish())
    }
}

impl WorkerInput {
    /// Hands `message` to the worker, waiting while it is behind. A dropped call has sent nothing.
    ///
    /// # Errors
    /// [`Gone`] once the worker no longer reads.
    pub async fn send(&self, message: Input) -> Result<(), Gone> {
        self.queue.send(message).await.map_err(|_| Gone)
    }

    /// Hands `message` to the worker if it is not behind.
    ///
    /// # Errors
    /// [`TrySendError`].
    pub fn try_send(&self, message: Input) -> Result<(), TrySendError> {
        self.queue.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(message) => TrySendError::Full(Box::new(message)),
            mpsc::error::TrySendError::Closed(_) => TrySendError::Gone,
        })
    }
}

impl WorkerOutput {
    /// The next message, or `None` when the worker has said its last. A dropped call loses nothing.
    pub async fn next(&mut self) -> Option<Output> {
        self.queue.recv().await
    }

    /// Waits until the worker has ended, and says how. What it said before can still be had from [`Self::next`].
    pub async fn ended(&mut self) -> WorkerEnd {
        match self.end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(WorkerEnd::Killed),
            Err(_) => WorkerEnd::Killed,
        }
    }

    /// Ends the worker by force. [`Self::next`] yields what it had said, then `None`.
    pub fn kill(&self) {
        stop(&self.stop, WorkerEnd::Killed);
    }

    /// The worker's process id; `None` for a thread.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }
}

/// The first reason to stop counts.
fn stop(sender: &Stop, reason: WorkerEnd) {
    sender.send_if_modified(|current| {
        let first = current.is_none();
        current.get_or_insert(reason);
        first
    });
}

/// The two queues and the tasks around a worker, while they are put together.
struct Seam {
    to_worker: mpsc::Sender<Input>,
    pending: Option<mpsc::Receiver<Input>>,
    from_worker: mpsc::Sender<Output>,
    heard: mpsc::Receiver<Output>,
    stop: Stop,
    end: watch::Sender<Option<WorkerEnd>>,
    pid: Option<u32>,
    tasks: JoinSet<()>,
}

impl Seam {
    fn new(plan: Plan) -> Self {
        let (to_worker, pending) = mpsc::channel(INPUT_QUEUE);
        let (from_worker, heard) = mpsc::channel(OUTPUT_QUEUE);
        // A fresh queue has room.
        let _ = to_worker.try_send(Input::Start(plan));
        Self {
            to_worker,
            pending: Some(pending),
            from_worker,
            heard,
            stop: watch::Sender::new(None),
            end: watch::Sender::new(None),
            pid: None,
            tasks: JoinSet::new(),
        }
    }

    fn run_process(&mut self, mut child: Child) -> Result<(), StartError> {
        let missing = || std::io::Error::other("a pipe is missing");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        self.pid = child.id();
        self.connect(stdin, stdout);
        self.tasks.spawn(watch_process(child, self.stop.clone(), self.end.clone()));
        Ok(())
    }

    /// Runs `work` on a thread behind a socket pair.
    #[cfg_attr(not(any(feature = "ffmpeg", test)), allow(dead_code))]
    fn run_thread<F>(&mut self, work: F) -> Result<(), StartError>
    where
        F: FnOnce(ThreadSocket, ThreadSocket) -> Result<(), String> + Send + 'static,
    {
        let (ours, theirs) = ThreadSocket::pair()?;
        ours.set_nonblocking(true)?;
        let (input, output) = (theirs.try_clone()?, theirs.try_clone()?);
        let (from, to) = tokio::net::UnixStream::from_std(ours)?.into_split();
        let (report, done) = oneshot::channel();
        std::thread::Builder::new().name("transcode".to_owned()).spawn(move || {
            let _ = report.send(work(input, output));
        })?;
        self.connect(to, from);
        self.tasks.spawn(watch_thread(theirs, done, self.stop.clone(), self.end.clone()));
        Ok(())
    }

    fn connect(&mut self, to: impl AsyncWrite + Unpin + Send + 'static, from: impl AsyncRead + Unpin + Send + 'static) {
        if let Some(pending) = self.pending.take() {
            self.tasks.spawn(write_messages(pending, to));
        }
        let (heard, stop) = (self.from_worker.clone(), self.stop.clone());
        self.tasks.spawn(read_messages(from, heard, stop));
    }

    fn finish(self) -> Worker {
        Worker {
            input: WorkerInput { queue: self.to_worker },
            output: WorkerOutput {
                queue: self.heard,
                stop: self.stop,
                end: self.end.subscribe(),
                pid: self.pid,
                _tasks: self.tasks,
            },
        }
    }
}

/// The blocking end of a worker thread's socket pair.
type ThreadSocket = std::os::unix::net::UnixStream;

fn spawn(how: &WorkerCommand) -> Result<Child, StartError> {
    let (program, arguments, environment) = match how {
        WorkerCommand::Process { program, arguments, environment } => (program, arguments, environment),
        #[cfg(feature = "ffmpeg")]
        WorkerCommand::InProcess => {
            return Err(std::io::Error::other("a thread is no process").into());
        }
    };
    Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit()) // its log lines have the shape of ours
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| StartError::Spawn { program: program.display().to_string(), error })
}

/// Writes until the queue is closed or the worker no longer reads; then its input closes.
async fn write_messages(mut queue: mpsc::Receiver<Input>, mut to: impl AsyncWrite + Unpin) {
    while let Some(message) = queue.recv().await {
        match wire::write_async(&mut to, &message).await {
            Ok(()) => {}
            Err(WriteError::Io(_)) => return, // it is ending: the supervisor says why
            Err(error) => tracing::warn!(%error, "a message to a transcode worker was left out"),
        }
    }
}

async fn read_messages(from: impl AsyncRead + Unpin, queue: mpsc::Sender<Output>, stopper: Stop) {
    // A message is read in five pieces; what is there comes with one call.
    let mut from = BufReader::with_capacity(READ_BYTES, from);
    loop {
        match wire::read_async::<Output>(&mut from).await {
            Ok(Some(message)) => {
                if queue.send(message).await.is_err() {
                    return;
                }
            }
            // A worker that dies within a message is no liar: its exit status tells.
            Ok(None) | Err(ReadError::Truncated | ReadError::Io(_)) => return,
            Err(error) => return stop(&stopper, WorkerEnd::Garbled(error.to_string())),
        }
    }
}

async fn watch_process(mut child: Child, stop: Stop, end: watch::Sender<Option<WorkerEnd>>) {
    let mut stopped = stop.subscribe();
    let by_force = async { stopped.wait_for(Option::is_some).await.is_ok() };
    let status = tokio::select! {
        status = child.wait() => status,
        _ = by_force => match child.start_kill() {
            Ok(()) => child.wait().await,
            Err(error) => Err(error),
        },
    };
    let reason = stop.borrow().clone();
    end.send_replace(Some(reason.unwrap_or_else(|| process_end(status))));
}

fn process_end(status: std::io::Result<ExitStatus>) -> WorkerEnd {
    match status {
        Ok(status) if status.success() => WorkerEnd::Exited,
        Ok(status) => WorkerEnd::Failed(status.to_string()),
        Err(error) => WorkerEnd::Failed(error.to_string()),
    }
}

/// Reports the thread's end; by force means cutting its socket, which it sees as the end of its input.
async fn watch_thread(
    socket: ThreadSocket,
    mut done: oneshot::Receiver<Result<(), String>>,
    stop: Stop,
    end: watch::Sender<Option<WorkerEnd>>,
) {
    let mut stopped = stop.subscribe();
    let by_force = async { stopped.wait_for(Option::is_some).await.is_ok() };
    let result = tokio::select! {
        result = &mut done => result,
        _ = by_force => {
            let _ = socket.shutdown(std::net::Shutdown::Both); // fails only if it is cut already
            done.await
        }
    };
    let reason = stop.borrow().clone();
    end.send_replace(Some(reason.unwrap_or_else(|| match result {
        Ok(Ok(())) => WorkerEnd::Exited,
        Ok(Err(error)) => WorkerEnd::Failed(error),
        Err(_) => WorkerEnd::Failed("the worker thread panicked".to_owned()),
    })));
    // The reader sees the end when the last handle of this side is closed.
    drop(socket);
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
