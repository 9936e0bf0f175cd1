//! The keys that sign playback tokens: made, rotated and retired in Postgres, which keeps them sealed, and kept in memory,
//! so that tokens are renewed while the database is away.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schema::playback::{KEYS_MAX, PlaybackKey, PlaybackKeys};
use sqlx::{FromRow, PgConnection};

use crate::ControlApi;
use crate::http::problem::ApiError;
use crate::secret;
use crate::sql;

/// How long what was read counts.
const FRESH: Duration = Duration::from_secs(10);
/// Random bytes of a secret: 256 bits.
const SECRET_BYTES: usize = 32;
/// What the sealed secrets are for.
const PURPOSE: &str = "playback_key";
/// The most keys that are read: more than can be valid, as some may not open.
const READ_MAX: i64 = 32;

/// The keys as they were read last.
#[derive(Debug, Default)]
pub(super) struct Keys(Mutex<Option<(Arc<PlaybackKeys>, Instant)>>);

#[derive(FromRow)]
struct KeyRow {
    id: String,
    sealed: Vec<u8>,
    /// Younger than a week, after which another is made.
    is_young: bool,
}

struct Key {
    key: PlaybackKey,
    is_young: bool,
}

impl Keys {
    /// The keys that are valid; the one that signs first.
    pub(super) async fn newest(&self, api: &ControlApi) -> Result<Arc<PlaybackKeys>, ApiError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((keys, read)) = &known
            && read.elapsed() < FRESH
        {
            return Ok(Arc::clone(keys));
        }
        match (read_and_rotate(api).await, known) {
            (Ok(keys), _) => {
                let keys = Arc::new(keys);
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(&keys), Instant::now()));
                Ok(keys)
            }
            (Err(ApiError::DatabaseUnavailable), Some((keys, _))) => Ok(keys),
            (Err(error), _) => Err(error),
        }
    }
}

async fn read_and_rotate(api: &ControlApi) -> Result<PlaybackKeys, ApiError> {
    let mut work = api.begin().await?;
    rotate(&mut work).await?;
    let mut keys = open(api, &rows(&mut work).await?);
    if !keys.iter().any(|key| key.is_young) {
        sql::query("select pg_advisory_xact_lock(hashtextextended('playback_keys', 0))").execute(&mut *work).await?;
        keys = open(api, &rows(&mut work).await?);
        if !keys.iter().any(|key| key.is_young) {
            make(&mut work, api).await?;
            let rows = rows(&mut work).await?;
            keys = open(api, &rows);
            if keys.len() < rows.len() {
                tracing::error!("playback keys cannot be opened: auth.key_file is not the one they were sealed with");
            }
        }
    }
    work.commit().await?;
    Ok(PlaybackKeys::new(keys.into_iter().map(|key| key.key).collect()))
}

/// Retires the keys that have not signed for longer than a token lives.
async fn rotate(work: &mut PgConnection) -> Result<(), sqlx::Error> {
    let sql = "update playback_keys set retired_at = now() where retired_at is null \
                 and created_at < now() - interval '9 days'";
    sql::query(sql).execute(&mut *work).await?;
    // A key that is gone for a week is of no use to anybody, and is a secret.
    let sql = "delete from playback_keys where retired_at < now() - interval '7 days'";
    sql::query(sql).execute(work).await?;
    Ok(())
}

async fn make(work: &mut PgConnection, api: &ControlApi) -> Result<(), sqlx::Error> {
    let sealed = api.auth().seal().seal(PURPOSE, new_secret().as_bytes());
    let sql = "insert into playback_keys (id, sealed) values ($1, $2)";
    let query = sql::query(sql).bind(format!("k{}", secret::random_hex::<6>())).bind(sealed);
    query.execute(work).await?;
    Ok(())
}

/// The keys that are valid, the one that signs first.
pub(super) async fn read(work: &mut PgConnection, api: &ControlApi) -> Result<Vec<PlaybackKey>, sqlx::Error> {
    Ok(open(api, &rows(work).await?).into_iter().map(|key| key.key).collect())
}

/// The newest key signs once it is a minute old: by then every node and edge knows it. The first one signs at once.
async fn rows(work: &mut PgConnection) -> Result<Vec<KeyRow>, sqlx::Error> {
    let sql = "select id, sealed, created_at > now() - interval '7 days' as is_young from playback_keys \
               where retired_at is null \
               order by created_at < now() - interval '1 minute' desc, created_at desc, id limit $1";
    sql::query_as(sql).bind(READ_MAX).fetch_all(work).await
}

/// A key that cannot be opened was sealed by another `auth.key_file`; tokens of it are good no more.
fn open(api: &ControlApi, rows: &[KeyRow]) -> Vec<Key> {
    let opened = rows.iter().filter_map(|row| {
        let secret = api.auth().seal().open_sealed(PURPOSE, &row.sealed);
        let key = PlaybackKey { id: row.id.parse().ok()?, secret: String::from_utf8(secret?).ok()? };
        Some(Key { key, is_young: row.is_young })
    });
    opened.take(KEYS_MAX).collect()
}

fn new_secret() -> String {
    let mut bytes = [0_u8; SECRET_BYTES];
    rand::fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}
