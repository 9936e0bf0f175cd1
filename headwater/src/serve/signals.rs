//! The signals that end the process, and the one that has it read files again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and Ctrl-C.
pub(crate) struct Terminate {
    term: Signal,
    interrupt: Signal,
}

/// Begins to listen, before anything starts that would have to be ended.
///
/// # Errors
/// The system refuses signal handlers.
pub(crate) fn terminate() -> io::Result<Terminate> {
    Ok(Terminate { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
}

/// SIGHUP, which has files read again. Where nothing is to be read it must still be taken, as it would end the
/// process.
///
/// # Errors
/// The system refuses signal handlers.
pub(crate) fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

impl Terminate {
    /// Waits for the first of them.
    pub(crate) async fn wait(&mut self) {
        let name = tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "shutting down");
    }
}
