//! One running server process: our child, or one that we adopted.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use super::StopError;
use super::orphan::lives_in;

/// How often an adopted process, which is not our child, is looked after.
const ADOPTED_POLL: Duration = Duration::from_millis(250);
/// How long an immediate shutdown may take before the process is killed.
const IMMEDIATE_DEADLINE: Duration = Duration::from_secs(5);

/// A server process. A drop asks it to end.
#[derive(Debug)]
pub(super) struct Server {
    pid: i32,
    data: PathBuf,
    child: Option<Child>,
    exited: bool,
}

impl Server {
    /// Our own child, which serves the cluster `data`. `None` if it has ended already.
    pub(super) fn child(child: Child, data: PathBuf) -> Option<Self> {
        let pid = i32::try_from(child.id()?).ok()?;
        Some(Self { pid, data, child: Some(child), exited: false })
    }

    /// A process that somebody else started for the cluster `data`.
    pub(super) fn adopted(pid: i32, data: PathBuf) -> Self {
        Self { pid, data, child: None, exited: false }
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits until the process is gone. Dropping the future loses nothing.
    pub(super) async fn exited(&mut self) {
        match &mut self.child {
            Some(child) => {
                // An error means that there is no such child: gone as well.
                let _ = child.wait().await;
            }
            None => {
                while lives_in(self.pid, &self.data) {
                    sleep(ADOPTED_POLL).await;
                }
            }
        }
        self.exited = true;
    }

    /// Fast shutdown; beyond `deadline` immediate shutdown, which costs a recovery.
    pub(super) async fn stop(mut self, deadline: Duration) -> Result<(), StopError> {
        self.signal(Signal::SIGINT);
        if timeout(deadline, self.exited()).await.is_ok() {
            return Ok(());
        }
        self.signal(Signal::SIGQUIT);
        if timeout(IMMEDIATE_DEADLINE, self.exited()).await.is_err() {
            self.signal(Signal::SIGKILL);
            let _ = timeout(IMMEDIATE_DEADLINE, self.exited()).await;
        }
        Err(StopError::Slow { seconds: deadline.as_secs() })
    }

    /// Sends `signal`, unless the process is known to be gone.
    fn signal(&self, signal: Signal) {
        if !self.exited {
            // It may be gone this very moment, which is what every signal here wants.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::SIGINT);
    }
}
