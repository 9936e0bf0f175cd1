//! The first start: an admin token, a channel and a stream key, told in a file.
//!
//! The file gets its final name only after the database knows what it says. In between it lies
//! under a draft name, so a crash leaves either nothing, or a draft that the next start finishes:
//! never a file that opens nothing, and never an administered database without the file.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use schema::{ChannelName, StreamKey};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use thiserror::Error;
use tokio::fs;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::secret::{self, ApiToken};
use crate::sql;

/// The file in the data folder.
const FILE: &str = "first-run.json";
/// The same, until the database knows what it says.
const DRAFT: &str = "first-run.json.new";
/// The advisory lock of the first run ("headwate" in ASCII): two first starts on one database
/// make one token.
const LOCK: i64 = 0x6865_6164_7761_7465;

/// What the first start made. `Debug` shows no secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct FirstRun {
    /// A bearer token of role `admin`.
    pub admin_token: ApiToken,
    /// The channel's name.
    pub channel: ChannelName,
    /// A key that publishes to it.
    pub stream_key: StreamKey,
}

impl fmt::Debug for FirstRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstRun").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// How the first channel is called.
#[derive(Debug, Clone)]
pub struct FirstRunNames {
    /// In URLs.
    pub channel: ChannelName,
    /// For people.
    pub title: String,
}

impl Default for FirstRunNames {
    fn default() -> Self {
        Self { channel: "demo".parse().expect("a valid name"), title: "Demo".to_owned() }
    }
}

/// Why the first start could not be finished.
#[derive(Debug, Error)]
pub enum FirstRunError {
    /// The database refused.
    #[error("the first start could not write to the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// If there is no API token yet: makes one, the first channel and a stream key, and writes
/// `DIR/first-run.json` with mode 0600. `None` where that was done before. The schema must be up
/// to date.
///
/// # Errors
/// If the database or the folder refuses; nothing is left half done then.
pub async fn first_run(
    pool: &PgPool,
    data_dir: &Path,
    names: &FirstRunNames,
) -> Result<Option<FirstRun>, FirstRunError> {
    let draft = data_dir.join(DRAFT);
    let mut work = pool.begin().await?;
    sql::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *work).await?;
    if has_tokens(&mut work).await? {
        return finish(&mut work, data_dir).await;
    }
    let made = FirstRun {
        admin_token: ApiToken::generate(),
        channel: names.channel.clone(),
        stream_key: secret::new_stream_key(),
    };
    insert(&mut work, &made, names).await?;
    write_draft(&draft, &made).await.map_err(at(&draft))?;
    work.commit().await?;
    publish(data_dir).await?;
    Ok(Some(made))
}

/// Finishes a first start that a crash cut short after its commit; else removes what is left.
async fn finish(work: &mut PgConnection, data_dir: &Path) -> Result<Option<FirstRun>, FirstRunError> {
    let draft = data_dir.join(DRAFT);
    let text = match fs::read(&draft).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(at(&draft))?,
    };
    let made = serde_json::from_slice::<FirstRun>(&text).ok();
    if let Some(made) = made
        && knows(work, &made).await?
    {
        publish(data_dir).await?;
        return Ok(Some(made));
    }
    fs::remove_file(&draft).await.map_err(at(&draft))?;
    Ok(None)
}

async fn has_tokens(work: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let sql = "select exists (select from api_tokens)";
    sql::query_scalar(sql).fetch_one(work).await
}

async fn knows(work: &mut PgConnection, made: &FirstRun) -> Result<bool, sqlx::Error> {
    let sql = "select exists (select from api_tokens where hash = $1)";
    let query = sql::query_scalar(sql).bind(secret::hash(made.admin_token.expose()));
    query.fetch_one(work).await
}

async fn insert(work: &mut PgConnection, made: &FirstRun, names: &FirstRunNames) -> Result<(), sqlx::Error> {
    let sql = "insert into api_tokens (id, hash, name, role) values ($1, $2, 'first run', 'admin')";
    sql::query(sql).bind(Uuid::now_v7()).bind(secret::hash(made.admin_token.expose())).execute(&mut *work).await?;
    let sql = "insert into channels (id, name, title) values ($1, $2, $3) \
               on conflict (name) where deleted_at is null do nothing";
    sql::query(sql).bind(Uuid::now_v7()).bind(made.channel.as_str()).bind(&names.title).execute(&mut *work).await?;
    let sql = "insert into stream_keys (id, channel_id, hash, label) \
               select $1, id, $2, 'first run' from channels where name = $3 and deleted_at is null";
    sql::query(sql)
        .bind(Uuid::now_v7())
        .bind(secret::hash(made.stream_key.expose()))
        .bind(made.channel.as_str())
        .execute(work)
        .await?;
    Ok(())
}

async fn write_draft(draft: &Path, made: &FirstRun) -> io::Result<()> {
    match fs::remove_file(draft).await {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut text = serde_json::to_vec_pretty(made)?;
    text.push(b'\n');
    let mut open = fs::OpenOptions::new();
    let mut file = open.write(true).create_new(true).mode(0o600).open(draft).await?;
    file.write_all(&text).await?;
    file.sync_all().await
}

async fn publish(data_dir: &Path) -> Result<(), FirstRunError> {
    let path = data_dir.join(FILE);
    let renamed = fs::rename(data_dir.join(DRAFT), &path).await;
    renamed.map_err(at(&path))?;
    let dir = fs::File::open(data_dir).await.map_err(at(data_dir))?;
    dir.sync_all().await.map_err(at(data_dir))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FirstRunError {
    let path = path.to_owned();
    move |source| FirstRunError::File { path, source }
}
