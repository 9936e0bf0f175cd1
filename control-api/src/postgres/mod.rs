//! A Postgres server of our own, run from the installed server programs in the data folder.
//!
//! Used where no `database.url` is configured. One supervisor owns the server: it creates the
//! cluster, starts the server, adopts the one that a killed predecessor left behind, restarts it
//! when it dies, and stops it. Nothing is downloaded: `initdb` and `postgres` come from the
//! machine. A ready-made embedding crate is not used, as those at hand can neither change the
//! user when started as root (`initdb` refuses to run as root) nor adopt a running server.
//!
//! Access is by Unix socket alone, without a password: the socket lies in a folder of mode 0700,
//! so only the server's own user and root reach it, and these could read the data files anyway.
//!
//! ```text
//! DIR/postgres.lock    held (flock) for as long as a process owns the cluster
//! DIR/postgres.log     what the server says on stderr, at most 16 MiB
//! DIR/postgres/        0700, owned by the server's user
//!   data/              the cluster
//!   data.new/          a cluster whose creation was cut short; removed at the next start
//!   run/               the socket (a short folder under /tmp, where DIR is too long a path)
//! ```
//!
//! Knows nothing of tables, channels or HTTP.

mod account;
mod cluster;
mod folder;
mod orphan;
mod programs;
mod server;
mod supervisor;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prometheus::{IntCounter, IntGauge, Registry};
use sqlx::postgres::PgConnectOptions;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use cluster::Cluster;

pub use folder::short_socket_path;

/// Whether the cluster must survive a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Everything is synced: for real data.
    #[default]
    Durable,
    /// Nothing is synced to the disk: for tests, whose data must survive a kill, but no loss of
    /// power.
    Throwaway,
}

/// How the server is found and run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder with `initdb` and `postgres`; `None` looks on `PATH` and then for the newest
    /// `/usr/lib/postgresql/*/bin`.
    pub bin_dir: Option<PathBuf>,
    /// Whether the cluster must survive a loss of power.
    pub durability: Durability,
    /// How long a start may take until connections are accepted, crash recovery included.
    pub ready_deadline: Duration,
    /// How long a fast shutdown may take before the server is ended at once.
    pub stop_deadline: Duration,
    /// Where restarts are counted.
    pub metrics: Metrics,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bin_dir: None,
            durability: Durability::Durable,
            ready_deadline: Duration::from_secs(60),
            stop_deadline: Duration::from_secs(10),
            metrics: Metrics::unregistered(),
        }
    }
}

/// What is counted of the server.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Restarts of the embedded Postgres server after it died unexpectedly.
    pub restarts: IntCounter,
    /// 1 while the embedded Postgres server runs, else 0.
    pub up: IntGauge,
}

impl Metrics {
    /// Metrics that `registry` shows.
    ///
    /// # Errors
    /// If they are registered there already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self::unregistered();
        registry.register(Box::new(metrics.restarts.clone()))?;
        registry.register(Box::new(metrics.up.clone()))?;
        Ok(metrics)
    }

    /// Metrics that nobody sees.
    fn unregistered() -> Self {
        Self {
            restarts: IntCounter::new(
                "headwater_postgres_restarts_total",
                "Restarts of the embedded Postgres server after it died unexpectedly.",
            )
            .expect("a valid name"),
            up: IntGauge::new("headwater_postgres_up", "1 while the embedded Postgres server runs, else 0.")
                .expect("a valid name"),
        }
    }
}

/// Why the server could not be started. Each is one line for the operator.
#[derive(Debug, Error)]
pub enum StartError {
    /// The server programs are not installed.
    #[error(
        "PostgreSQL's server programs (initdb and postgres) were not found in {searched}; \
         install the package `postgresql`, or set database.url"
    )]
    ProgramsMissing {
        /// Where they were looked for.
        searched: String,
    },
    /// Started as root on a machine without an unprivileged user.
    #[error("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as")]
    NoUser,
    /// The server's user cannot reach the data folder.
    #[error(
        "{} cannot be entered by user {user}, as whom the database runs when started as root; \
         choose a data folder that it can reach with --data", folder.display()
    )]
    NotTraversable {
        /// The topmost folder that bars the way.
        folder: PathBuf,
        /// The server's user.
        user: String,
    },
    /// Another process owns the cluster.
    #[error(
        "{} is in use by another headwater process; stop that one, or choose another folder with --data",
        folder.display()
    )]
    InUse {
        /// The data folder.
        folder: PathBuf,
    },
    /// A file or folder could not be made or read.
    #[error("cannot {what} {}: {source}; another data folder can be chosen with --data", path.display())]
    Folder {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No socket folder with a path short enough, and ours alone.
    #[error("no folder for the database's socket: {reason}")]
    SocketFolder {
        /// What is wrong with the best one.
        reason: String,
    },
    /// A program could not be run at all.
    #[error("cannot run {}: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `initdb` refused.
    #[error("initdb failed: {last_line}")]
    Init {
        /// The last line it wrote.
        last_line: String,
    },
    /// The cluster belongs to another major version.
    #[error(
        "the database in {} was written by PostgreSQL {data}, but {programs} is installed; \
         install the package `postgresql-{data}`", folder.display()
    )]
    Version {
        /// The cluster.
        folder: PathBuf,
        /// The major version that wrote it.
        data: u32,
        /// The major version of the programs found.
        programs: u32,
    },
    /// Processes of an earlier server neither answer nor end.
    #[error("an earlier database server in {} neither answers nor ends (process {pid})", folder.display())]
    Stuck {
        /// The cluster.
        folder: PathBuf,
        /// One of them.
        pid: i32,
    },
    /// The server ended while starting.
    #[error("the database server ended while starting: {last_line} (see {})", log.display())]
    Died {
        /// The last line of its log.
        last_line: String,
        /// Its log.
        log: PathBuf,
    },
    /// The server runs but refuses connections.
    #[error("the database server accepted no connection within {seconds} s (see {})", log.display())]
    NotReady {
        /// How long it was given.
        seconds: u64,
        /// Its log.
        log: PathBuf,
    },
    /// The server answers, but our database could not be made in it.
    #[error("cannot create the database: {0}")]
    Create(#[source] sqlx::Error),
}

/// Why the server did not stop as it should.
#[derive(Debug, Error)]
pub enum StopError {
    /// The fast shutdown took too long; the server was ended at once and recovers at its next start.
    #[error("the database did not stop within {seconds} s and was ended; it recovers at its next start")]
    Slow {
        /// How long it was given.
        seconds: u64,
    },
    /// The supervisor itself failed.
    #[error("the database supervisor failed: {0}")]
    Supervisor(#[from] tokio::task::JoinError),
}

/// Checks that a server could be started in `DIR/postgres`, and starts none: the folder is ours and
/// free, its user can enter it, the programs are there and fit. Tells the server program. Blocks.
///
/// # Errors
/// What [`Embedded::start`] would say.
pub fn check(data_dir: &Path, options: &Options) -> Result<PathBuf, StartError> {
    Cluster::find(data_dir, options).map(|(cluster, _)| cluster.program())
}

/// A running server and its supervisor.
///
/// [`stop`](Self::stop) ends it and waits. A drop only asks the server to end and waits for
/// nothing.
#[derive(Debug)]
pub struct Embedded {
    options: PgConnectOptions,
    pid: watch::Receiver<Option<i32>>,
    stop: CancellationToken,
    supervisor: JoinSet<Result<(), StopError>>,
}

impl Embedded {
    /// Creates the cluster in `DIR/postgres` where there is none, and starts it, or adopts the
    /// server that runs there already. Returns when it accepts connections and our database
    /// exists in it.
    ///
    /// # Errors
    /// Each names the one thing that is wrong; see [`StartError`].
    pub async fn start(data_dir: &Path, options: Options) -> Result<Self, StartError> {
        let (dir, config) = (data_dir.to_owned(), options.clone());
        let prepared = tokio::task::spawn_blocking(move || Cluster::prepare(&dir, &config));
        let mut cluster = prepared.await.expect("preparation does not panic")?;
        let server = cluster.start().await?;
        cluster.create_database().await?;
        let (pid_out, pid) = watch::channel(Some(server.pid()));
        let stop = CancellationToken::new();
        let connect = cluster.connect_options(cluster::DATABASE);
        let mut supervisor = JoinSet::new();
        options.metrics.up.set(1);
        supervisor.spawn(supervisor::run(cluster, server, options, pid_out, stop.clone()));
        Ok(Self { options: connect, pid, stop, supervisor })
    }

    /// How to connect to our database in this server.
    #[must_use]
    pub fn connect_options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// The server's process id, now and at every change; `None` while it is being restarted.
    #[must_use]
    pub fn process_id(&self) -> watch::Receiver<Option<i32>> {
        self.pid.clone()
    }

    /// Ends the server by a fast shutdown (sessions are cut, data is written) and waits for it.
    ///
    /// # Errors
    /// If it did not end in time and had to be ended at once.
    pub async fn stop(mut self) -> Result<(), StopError> {
        self.stop.cancel();
        match self.supervisor.join_next().await {
            Some(ended) => ended?,
            None => Ok(()),
        }
    }
}
