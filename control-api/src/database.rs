//! The one database: a pool that fails fast, and the migrations.
//!
//! Knows no table; the resources do.

use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use thiserror::Error;
use tokio::time::timeout;

use crate::postgres::Embedded;

/// How long a request waits for a connection.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one statement may run.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection for migrations may take to come up.
const DIRECT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections of one process, unless configured.
pub const CONNECTIONS_MAX: u32 = 16;

/// The migrations, embedded.
static MIGRATOR: Migrator = sqlx::migrate!("../schema/migrations");

/// Where a configured database is, and how to speak to it.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// `database.url`: `postgres://user:password@host/name`.
    pub url: String,
    /// `database.direct_url`: the same database without a pooler between; `None` means `url`.
    pub direct_url: Option<String>,
    /// What stands between.
    pub route: Route,
    /// The most connections of this process.
    pub connections_max: u32,
}

impl std::fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseConfig")
            .field("route", &self.route)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

/// What stands between us and the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Route {
    /// Nothing: sessions are ours.
    #[default]
    Direct,
    /// A pooler in transaction mode: no session settings, so statements are bounded from our side
    /// alone. (Named statements are used on neither route, see `sql`.)
    Pooled,
}

/// Why a configured database cannot be used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Not a URL of a database. The text is not repeated, as it may hold a password.
    #[error("{0} is not a database URL of the form postgres://user:password@host/name")]
    Url(&'static str),
}

/// Why the schema is not what this program needs.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// The database cannot be reached.
    #[error("the database cannot be reached: {0}")]
    Connect(#[source] sqlx::Error),
    /// The database did not answer in time.
    #[error("the database did not answer within {} s", DIRECT_CONNECT_TIMEOUT.as_secs())]
    Silent,
    /// A migration failed, or the one applied differs from ours.
    #[error("the database schema cannot be brought up to date: {0}")]
    Migrate(#[from] MigrateError),
    /// Migrations are waiting.
    #[error("the database lacks {0} migration(s); run `headwater migrate`")]
    Pending(usize),
    /// The database was migrated by a newer program.
    #[error("the database has migration {0}, which this program does not know; run a newer headwater")]
    Newer(i64),
    /// A migration was changed after it was applied.
    #[error("migration {0} differs from the one that was applied to the database")]
    Changed(i64),
}

/// A pool for requests and a direct way for migrations.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    direct: PgConnectOptions,
}

impl Database {
    /// The configured database. Connects when first used, so it may be away now.
    ///
    /// # Errors
    /// If a URL cannot be read.
    pub fn connect(config: &DatabaseConfig) -> Result<Self, ConnectError> {
        let options = parse("database.url", &config.url)?;
        let direct = match &config.direct_url {
            Some(url) => parse("database.direct_url", url)?,
            None => options.clone(),
        };
        let options = for_requests(options, config.route);
        Ok(Self { pool: lazy_pool(options, config.connections_max), direct: direct.application_name("headwater") })
    }

    /// The database of our own server.
    #[must_use]
    pub fn embedded(server: &Embedded) -> Self {
        Self::with_options(server.connect_options())
    }

    /// The database that `options` name, without a pooler between.
    #[must_use]
    pub fn with_options(direct: PgConnectOptions) -> Self {
        let options = for_requests(direct.clone(), Route::Direct);
        Self { pool: lazy_pool(options, CONNECTIONS_MAX), direct }
    }

    /// For requests.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Brings the schema up to date. Harmless when repeated, and by several processes at once.
    ///
    /// # Errors
    /// If the database is away, or has another history than ours.
    pub async fn migrate(&self) -> Result<(), SchemaError> {
        let mut connection = self.connect_direct().await?;
        MIGRATOR.run_direct(None, &mut connection, false).await?;
        connection.close().await.map_err(SchemaError::Connect)
    }

    /// Checks that the schema is exactly what this program needs, and changes nothing.
    ///
    /// # Errors
    /// If it is not, or the database is away.
    pub async fn migrate_check(&self) -> Result<(), SchemaError> {
        let mut connection = self.connect_direct().await?;
        let sql = "select to_regclass('_sqlx_migrations') is not null";
        let query = sqlx::query_scalar(sql).fetch_one(&mut connection);
        let history: bool = query.await.map_err(SchemaError::Connect)?;
        let applied = match history {
            true => connection.list_applied_migrations("_sqlx_migrations").await?,
            false => Vec::new(),
        };
        for found in &applied {
            let ours = MIGRATOR.iter().find(|own| own.version == found.version);
            let ours = ours.ok_or(SchemaError::Newer(found.version))?;
            if ours.checksum != found.checksum {
                return Err(SchemaError::Changed(found.version));
            }
        }
        match MIGRATOR.iter().count() - applied.len() {
            0 => Ok(()),
            waiting => Err(SchemaError::Pending(waiting)),
        }
    }

    async fn connect_direct(&self) -> Result<PgConnection, SchemaError> {
        let connect = PgConnection::connect_with(&self.direct);
        let connected = timeout(DIRECT_CONNECT_TIMEOUT, connect).await;
        connected.map_err(|_| SchemaError::Silent)?.map_err(SchemaError::Connect)
    }

    /// Closes the pool; running requests finish first.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn parse(name: &'static str, url: &str) -> Result<PgConnectOptions, ConnectError> {
    let schemes = ["postgres://", "postgresql://"];
    let known = schemes.iter().any(|scheme| url.starts_with(scheme));
    let parsed = url.parse().ok().filter(|_| known);
    parsed.ok_or(ConnectError::Url(name))
}

fn for_requests(options: PgConnectOptions, route: Route) -> PgConnectOptions {
    let options = options.application_name("headwater");
    match route {
        Route::Direct => {
            let limit = STATEMENT_TIMEOUT.as_millis();
            options.options([("statement_timeout", limit)])
        }
        Route::Pooled => options.statement_cache_capacity(0).extra_float_digits(None),
    }
}

fn lazy_pool(options: PgConnectOptions, connections_max: u32) -> PgPool {
    PgPoolOptions::new()
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_connections(connections_max.max(1))
        .connect_lazy_with(options)
}
