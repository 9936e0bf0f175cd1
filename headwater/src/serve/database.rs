//! The database of this process: a configured one, or a Postgres of our own in the data folder.

use control_api::postgres::{Metrics, Options};
use control_api::{Database, DatabaseConfig, Embedded, Route};

use crate::config::{self, Config};
use crate::exit::Exit;

/// An open database, and the server behind it where that is ours.
pub(crate) struct OpenDatabase {
    /// The pool that requests use.
    pub(crate) database: Database,
    embedded: Option<Embedded>,
}

/// The configured database, or our own, started. `metrics` counts restarts of our own.
///
/// # Errors
/// [`Exit::Unavailable`]: our own server cannot start; [`Exit::Usage`]: a URL cannot be read.
pub(crate) async fn open(config: &Config, metrics: Option<Metrics>) -> Result<OpenDatabase, Exit> {
    if let Some(configured) = configured(&config.database)? {
        return Ok(OpenDatabase { database: configured, embedded: None });
    }
    let embedded =
        Embedded::start(&config.data, options(&config.database, metrics)).await.map_err(Exit::unavailable)?;
    Ok(OpenDatabase { database: Database::embedded(&embedded), embedded: Some(embedded) })
}

/// The database behind `database.url`, where one is configured. Connects when first used.
pub(crate) fn configured(settings: &config::Database) -> Result<Option<Database>, Exit> {
    let Some(url) = settings.url.clone() else { return Ok(None) };
    let config = DatabaseConfig {
        url,
        direct_url: settings.direct_url.clone(),
        route: if settings.pooled { Route::Pooled } else { Route::Direct },
        connections_max: settings.connections_max,
    };
    Database::connect(&config).map(Some).map_err(|error| Exit::Usage(format!("config: {error}")))
}

/// How our own server is run.
pub(crate) fn options(settings: &config::Database, metrics: Option<Metrics>) -> Options {
    let defaults = Options::default();
    Options {
        bin_dir: settings.bin_dir.clone(),
        metrics: metrics.unwrap_or_else(|| defaults.metrics.clone()),
        ..defaults
    }
}

impl OpenDatabase {
    /// Applies pending migrations.
    pub(crate) async fn migrate(&self) -> Result<(), Exit> {
        self.database.migrate().await.map_err(Exit::unavailable)
    }

    /// Fails if migrations are pending.
    pub(crate) async fn check(&self) -> Result<(), Exit> {
        self.database.migrate_check().await.map_err(Exit::unavailable)
    }

    /// Closes the pool, then stops our own server.
    pub(crate) async fn close(self) {
        self.database.close().await;
        if let Some(embedded) = self.embedded
            && let Err(error) = embedded.stop().await
        {
            tracing::error!(%error, "our Postgres did not stop cleanly");
        }
    }
}
