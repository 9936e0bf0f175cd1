//! What operators see of the process itself: its build, its memory and descriptors, its runtime.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Opts, Registry};
use tokio::runtime::Handle;

/// Shows this process in `registry`; must be called on its runtime.
///
/// # Errors
/// The metrics are registered already.
pub(crate) fn register(registry: &Registry) -> Result<(), prometheus::Error> {
    let build = Opts::new("headwater_build_info", "Always 1; the labels tell which build runs")
        .const_label("version", env!("CARGO_PKG_VERSION"))
        .const_label("profile", if cfg!(debug_assertions) { "debug" } else { "release" });
    let build = IntGauge::with_opts(build)?;
    build.set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(ProcessCollector::for_self()))?;
    registry.register(Box::new(Runtime::of(Handle::current())?))
}

/// Descriptors for other things than viewers' connections: files, the database, workers, media sockets.
const OTHER_DESCRIPTORS: u64 = 1_000;

/// Takes as many descriptors as the system grants: a shell or a container starts with 1,024 of them, and each viewer
/// costs one. Says so where they do not suffice for `connections_max`.
pub(crate) fn raise_descriptors(connections_max: usize) {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most).map(|()| most));
    let wanted = u64::try_from(connections_max).unwrap_or(u64::MAX).saturating_add(OTHER_DESCRIPTORS);
    match raised {
        Ok(most) if most < wanted => tracing::warn!(
            descriptors = most,
            wanted,
            "limits.connections_max needs more open files than the system grants: raise its limit (LimitNOFILE, ulimit -n)"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "could not raise the limit of open files"),
    }
}

/// Figures of the asynchronous runtime, read when somebody asks.
struct Runtime {
    handle: Handle,
    workers: IntGauge,
    tasks: IntGauge,
    queue: IntGauge,
}

impl Runtime {
    fn of(handle: Handle) -> Result<Self, prometheus::Error> {
        Ok(Self {
            handle,
            workers: IntGauge::new("headwater_runtime_workers", "Threads of the asynchronous runtime")?,
            tasks: IntGauge::new("headwater_runtime_tasks", "Tasks that are alive in the asynchronous runtime")?,
            queue: IntGauge::new(
                "headwater_runtime_queue",
                "Tasks that wait in the runtime's global queue for a thread",
            )?,
        })
    }

    fn gauges(&self) -> [&IntGauge; 3] {
        [&self.workers, &self.tasks, &self.queue]
    }
}

impl Collector for Runtime {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = self.handle.metrics();
        for (gauge, value) in [
            (&self.workers, now.num_workers()),
            (&self.tasks, now.num_alive_tasks()),
            (&self.queue, now.global_queue_depth()),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.gauges().into_iter().flat_map(Collector::collect).collect()
    }
}
