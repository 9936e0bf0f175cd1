//! Headwater: a live-streaming media server in one binary.
//!
//! This is the composition root: it reads the configuration, starts the parts and joins them.
//! What each command does stands in the module of its name.

mod config;
mod console;
mod control;
mod doctor;
mod exit;
mod http;
mod logging;
mod media_port;
mod migrate;
mod node;
mod ops;
mod process;
mod publish;
mod serve;

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Flags};
use crate::exit::Exit;

/// A live-streaming media server: WHIP in, adaptive Low-Latency HLS out.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs everything in one process: ingest, packager, origin, API and pages.
    Serve(Configured),
    /// Checks configuration, ports, database, FFmpeg and data folder, and says what to mend.
    Doctor(Configured),
    /// Brings the database schema up to date.
    Migrate(migrate::Arguments),
    /// Publishes a test pattern with sound and a visible clock over WHIP.
    Publish(publish::Arguments),
    /// The transcode worker: a node starts it and speaks to it over its pipes.
    #[command(hide = true)]
    Transcode,
}

/// Where a command's configuration comes from.
#[derive(Debug, Clone, clap::Args)]
struct Configured {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "HEADWATER_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

impl Configured {
    fn load(&self) -> Result<Config, Exit> {
        Config::load(self.config.as_deref(), &self.flags)
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            eprintln!("headwater: {exit}");
            exit.code()
        }
    }
}

/// Help and version go to standard output with code 0; a wrong command line is exit code 64.
fn usage(error: &clap::Error) -> ExitCode {
    // Nothing can be told where even this cannot be written.
    let _unwritable = error.print();
    if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS }
}

/// Every TLS client of this process uses the one crypto provider. Named here and not by a feature of
/// the HTTP client, which would bring a second one into the lock file.
fn choose_crypto() {
    // An error means that it was chosen already.
    let _chosen_already = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn run(command: Command) -> Result<(), Exit> {
    choose_crypto();
    match command {
        Command::Serve(configured) => {
            let config = configured.load()?;
            logging::start(&config.log)?;
            block_on(config.runtime.threads, serve::run(config))
        }
        Command::Doctor(configured) => {
            let config = configured.load()?;
            block_on(1, doctor::run(config))
        }
        Command::Migrate(arguments) => {
            let config = arguments.configured.load()?;
            logging::start(&config.log)?;
            block_on(1, migrate::run(config, arguments.check))
        }
        Command::Publish(arguments) => block_on(0, publish::run(arguments)),
        Command::Transcode => packager_transcode::worker::run_on_stdio().map_err(Exit::software),
    }
}

/// Runs `task` on a runtime of `threads` worker threads: 0 means one per core, 1 the current thread.
fn block_on(threads: usize, task: impl Future<Output = Result<(), Exit>>) -> Result<(), Exit> {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    let runtime = builder.enable_all().build().map_err(Exit::software)?;
    let result = runtime.block_on(task);
    // Whatever still blocks a thread has had its deadline.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}
