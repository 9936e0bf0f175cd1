//! The one way out of a worker: a bounded queue of messages, and the thread that writes them.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::WorkerError;
use crate::wire::{self, Output, WriteError};

/// How many messages may wait to be written; when full, whoever speaks waits.
const QUEUE: usize = 64;

/// A voice of the worker; every thread has its own.
#[derive(Clone)]
pub(super) struct Outlet(SyncSender<Output>);

pub(super) fn channel() -> (Outlet, Receiver<Output>) {
    let (sender, receiver) = sync_channel(QUEUE);
    (Outlet(sender), receiver)
}

impl Outlet {
    /// Says `message`, waiting while the node is behind.
    pub(super) fn say(&self, message: Output) -> Result<(), WorkerError> {
        self.0.send(message).map_err(|_| WorkerError::OutputClosed)
    }

    /// Says that an input unit was dropped, and why: a bounded word.
    pub(super) fn discarded(&self, reason: &str) -> Result<(), WorkerError> {
        self.say(Output::Discarded { reason: reason.to_owned() })
    }
}

/// Writes until all voices are gone or the node no longer reads.
pub(super) fn write_all(queue: &Receiver<Output>, mut to: impl Write) -> Result<(), WriteError> {
    while let Ok(message) = queue.recv() {
        wire::write(&mut to, &message)?;
    }
    Ok(())
}
