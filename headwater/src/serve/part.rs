//! A long-lived part of the process: one task, how to end it, and its name for the log.

use std::future::Future;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// One running part.
pub(crate) struct Part {
    name: &'static str,
    cancel: CancellationToken,
    task: JoinSet<()>,
}

impl Part {
    /// Starts `run` with the token that ends it. When it ends, however it ends, `fallen` is cancelled.
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(
        name: &'static str,
        fallen: &CancellationToken,
        run: impl FnOnce(CancellationToken) -> F,
    ) -> Self {
        let cancel = CancellationToken::new();
        let work = run(cancel.clone());
        let fallen = fallen.clone().drop_guard();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _fallen = fallen;
            work.await;
        });
        Self { name, cancel, task }
    }

    /// Asks the part to end and waits until it has.
    pub(crate) async fn stop(&mut self) {
        self.cancel.cancel();
        while let Some(ended) = self.task.join_next().await {
            if let Err(error) = ended {
                tracing::error!(part = self.name, %error, "a part did not end cleanly");
            }
        }
    }

    /// Its name, if it still runs.
    pub(crate) fn alive(&self) -> Option<&'static str> {
        (!self.task.is_empty()).then_some(self.name)
    }
}
