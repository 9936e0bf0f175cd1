//! Creates a cluster, starts a server on it, and knows how to connect.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::account::Account;
use super::folder::{Folder, last_line};
use super::orphan::{PidFile, lives_in, survivor};
use super::programs::Programs;
use super::server::Server;
use super::{Durability, Options, StartError};

/// Our database, and the role that owns everything.
pub(super) const DATABASE: &str = "headwater";
/// The database that every cluster has.
const MAINTENANCE: &str = "postgres";
/// How often a starting server is tried.
const READY_POLL: Duration = Duration::from_millis(30);
/// How long one connection attempt may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// How long a server that we find running may take to answer before it is ended.
const ADOPT_DEADLINE: Duration = Duration::from_secs(10);
/// How long the children of a killed server may take to end.
const SURVIVOR_DEADLINE: Duration = Duration::from_secs(20);

/// Set on every server, over its configuration file.
const SETTINGS: [&str; 9] = [
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "max_connections=60",
    "shared_buffers=64MB",
    "timezone=UTC",
    "logging_collector=off",
    "log_min_messages=warning",
    "log_min_error_statement=panic",
];
/// Commits still reach the system before they are confirmed, so they survive a kill.
const THROWAWAY_SETTINGS: [&str; 2] = ["fsync=off", "full_page_writes=off"];

/// A cluster that is ready to be served.
#[derive(Debug)]
pub(super) struct Cluster {
    folder: Folder,
    account: Account,
    programs: Programs,
    socket: PathBuf,
    durability: Durability,
    ready_deadline: Duration,
    stop_deadline: Duration,
}

impl Cluster {
    /// Locks the folder, finds user and programs, and runs `initdb` where there is no cluster.
    /// Blocks.
    pub(super) fn prepare(data_dir: &Path, options: &Options) -> Result<Self, StartError> {
        let (cluster, written_by) = Self::find(data_dir, options)?;
        if written_by.is_none() {
            cluster.init()?;
        }
        Ok(cluster)
    }

    /// Locks the folder and finds user and programs, which fit the cluster where there is one; its
    /// major version, if any. Blocks.
    pub(super) fn find(data_dir: &Path, options: &Options) -> Result<(Self, Option<u32>), StartError> {
        let folder = Folder::open(data_dir)?;
        let account = Account::resolve(&folder.data())?;
        let written_by = folder.cluster_major()?;
        let programs = Programs::find(options.bin_dir.as_deref(), written_by)?;
        let root = folder.root();
        let own = account.own_folder(&root);
        own.map_err(|source| StartError::Folder { what: "create", path: root.clone(), source })?;
        let found = programs.major(&account, &root)?;
        let socket = folder.socket_folder(&account)?;
        let cluster = Self {
            folder,
            account,
            programs,
            socket,
            durability: options.durability,
            ready_deadline: options.ready_deadline,
            stop_deadline: options.stop_deadline,
        };
        match written_by {
            Some(data) if data != found => Err(cluster.version_error(data, found)),
            _ => Ok((cluster, written_by)),
        }
    }

    /// The server program that would be run.
    pub(super) fn program(&self) -> PathBuf {
        self.programs.postgres()
    }

    fn version_error(&self, data: u32, programs: u32) -> StartError {
        StartError::Version { folder: self.folder.data(), data, programs }
    }

    /// Creates the cluster beside its place and renames it there, so that it is whole or absent.
    fn init(&self) -> Result<(), StartError> {
        let unfinished = self.folder.unfinished();
        let failed = |what| {
            let path = unfinished.clone();
            move |source| StartError::Folder { what, path, source }
        };
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(failed("remove"))?;
        }
        tracing::info!(folder = %self.folder.data().display(), "creating the database");
        self.run_initdb(&unfinished)?;
        fs::rename(&unfinished, self.folder.data()).map_err(failed("rename"))?;
        let root = fs::File::open(self.folder.root());
        root.and_then(|root| root.sync_all()).map_err(failed("sync"))
    }

    fn run_initdb(&self, target: &Path) -> Result<(), StartError> {
        let program = self.programs.initdb();
        let mut command = Command::new(&program);
        command
            .args(["-E", "UTF8", "--locale=C", "--auth=trust", "--data-checksums"])
            .args(["-U", DATABASE, "-D"])
            .arg(target)
            .current_dir(self.folder.root())
            .stdin(Stdio::null());
        if self.durability == Durability::Throwaway {
            command.arg("--no-sync");
        }
        self.account.run_as(&mut command);
        let root = self.folder.root();
        let explain = |source| self.account.explain(&root, &program, source);
        let ended = command.output().map_err(explain)?;
        if !ended.status.success() {
            return Err(StartError::Init { last_line: last_line(&ended.stderr) });
        }
        Ok(())
    }

    /// Adopts the server that runs on the cluster, or starts one, and waits until it accepts
    /// connections. Dropping the future asks a started server to end.
    pub(super) async fn start(&mut self) -> Result<Server, StartError> {
        if let Some(server) = self.adopt().await? {
            tracing::info!(pid = server.pid(), "took over the database server that was running");
            return Ok(server);
        }
        let server = self.spawn()?;
        self.wait_ready(server).await
    }

    /// The server that runs on the cluster, if it answers. One that does not is ended, and
    /// nothing of it is alive when this returns `None`.
    async fn adopt(&mut self) -> Result<Option<Server>, StartError> {
        let data = self.folder.data();
        let found = PidFile::read(&data).map_err(|source| self.pid_file_error(source))?;
        if let Some(found) = found.filter(|found| lives_in(found.pid, &data)) {
            let mut server = Server::adopted(found.pid, data.clone());
            let ours = std::mem::replace(&mut self.socket, found.socket);
            let answers = tokio::select! {
                () = server.exited() => false,
                answers = self.answers_within(ADOPT_DEADLINE) => answers,
            };
            if answers {
                return Ok(Some(server));
            }
            self.socket = ours;
            if let Err(error) = server.stop(self.stop_deadline).await {
                tracing::warn!(%error, "an earlier database server had to be ended");
            }
        }
        self.wait_for_survivors().await?;
        PidFile::remove(&data).map_err(|source| self.pid_file_error(source))?;
        Ok(None)
    }

    fn pid_file_error(&self, source: std::io::Error) -> StartError {
        StartError::Folder { what: "read", path: self.folder.data().join("postmaster.pid"), source }
    }

    /// Two servers on one cluster would destroy it, so even the last child of a killed one is
    /// waited for.
    async fn wait_for_survivors(&self) -> Result<(), StartError> {
        let data = self.folder.data();
        let deadline = Instant::now() + SURVIVOR_DEADLINE;
        while let Some(pid) = survivor(&data) {
            if Instant::now() >= deadline {
                return Err(StartError::Stuck { folder: data, pid });
            }
            sleep(READY_POLL).await;
        }
        Ok(())
    }

    fn spawn(&self) -> Result<Server, StartError> {
        let program = self.programs.postgres();
        let data = self.folder.data();
        let explain = |source| self.account.explain(&data, &program, source);
        let log = self.folder.open_log().map_err(explain)?;
        let mut command = Command::new(&program);
        command.arg("-D").arg(&data).current_dir(&data);
        for setting in self.settings() {
            command.args(["-c", &setting]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // A group of its own: Ctrl-C at the terminal is for us, and we stop it in our order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        self.account.run_as(&mut command);
        let child = tokio::process::Command::from(command).spawn().map_err(explain)?;
        Server::child(child, data.clone()).ok_or_else(|| self.died())
    }

    fn settings(&self) -> Vec<String> {
        let socket = self.socket.display().to_string().replace('"', "\"\"");
        let mut settings = vec![format!("unix_socket_directories=\"{socket}\"")];
        settings.extend(SETTINGS.map(str::to_owned));
        if self.durability == Durability::Throwaway {
            settings.extend(THROWAWAY_SETTINGS.map(str::to_owned));
        }
        settings
    }

    async fn wait_ready(&self, mut server: Server) -> Result<Server, StartError> {
        let answers = self.answers_within(self.ready_deadline);
        let ready = tokio::select! {
            () = server.exited() => return Err(self.died()),
            ready = answers => ready,
        };
        if ready {
            return Ok(server);
        }
        let _ = server.stop(self.stop_deadline).await;
        Err(StartError::NotReady { seconds: self.ready_deadline.as_secs(), log: self.folder.log() })
    }

    fn died(&self) -> StartError {
        StartError::Died { last_line: self.folder.last_log_line(), log: self.folder.log() }
    }

    /// True once a connection is accepted by a server of this very cluster.
    async fn answers_within(&self, deadline: Duration) -> bool {
        let attempts = async {
            while !self.answers().await {
                sleep(READY_POLL).await;
            }
        };
        timeout_at(Instant::now() + deadline, attempts).await.is_ok()
    }

    async fn answers(&self) -> bool {
        let attempt = async {
            let mut connection = self.connect(MAINTENANCE).await?;
            let sql = "select current_setting('data_directory')";
            let data: String = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok::<_, sqlx::Error>(Path::new(&data) == self.folder.data())
        };
        matches!(timeout(CONNECT_DEADLINE, attempt).await, Ok(Ok(true)))
    }

    async fn connect(&self, database: &str) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect_with(&self.connect_options(database)).await
    }

    /// How to connect to `database` of this cluster.
    pub(super) fn connect_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.socket)
            .port(5432)
            .ssl_mode(PgSslMode::Disable)
            .username(DATABASE)
            .database(database)
    }

    /// Makes our database, unless it exists.
    pub(super) async fn create_database(&self) -> Result<(), StartError> {
        let create = async {
            let mut connection = self.connect(MAINTENANCE).await?;
            let sql = "select exists (select from pg_database where datname = $1)";
            let query = sqlx::query_scalar(sql).bind(DATABASE);
            let exists: bool = query.fetch_one(&mut connection).await?;
            if !exists {
                sqlx::query("create database headwater").execute(&mut connection).await?;
            }
            connection.close().await
        };
        create.await.map_err(StartError::Create)
    }

    /// Keeps the log bounded. Blocks for a moment.
    pub(super) fn trim_log(&self) {
        if let Err(error) = self.folder.trim_log() {
            tracing::warn!(%error, "the database's log could not be trimmed");
        }
    }
}
