//! Logs: text or JSON, one line each, on standard error, so that standard output stays for the ready line.

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};
use crate::exit::Exit;

/// Starts logging for the process.
///
/// # Errors
/// A filter that cannot be parsed.
pub(crate) fn start(log: &Log) -> Result<(), Exit> {
    let filter =
        EnvFilter::try_new(&log.filter).map_err(|error| Exit::Usage(format!("config: log.filter: {error}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start (tests) keeps the first subscriber.
    let _already_started = match log.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    Ok(())
}
