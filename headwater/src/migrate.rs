//! `headwater migrate`: brings the database schema up to date, or tells whether it is.

use crate::Configured;
use crate::config::Config;
use crate::exit::Exit;
use crate::serve::database;

/// The arguments of `headwater migrate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Changes nothing: exit code 69 if migrations are pending.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Applies pending migrations, or with `check` only says whether there are any.
pub(crate) async fn run(config: Config, check: bool) -> Result<(), Exit> {
    let database = database::open(&config, None).await?;
    let result = if check { database.check().await } else { database.migrate().await };
    database.close().await;
    result
}
