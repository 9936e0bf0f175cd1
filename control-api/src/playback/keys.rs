//! The keys that sign playback tokens: made, rotated and retired in Postgres, and kept in memory, so that tokens are
//! renewed while the database is away.

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

/// The keys as they were read last.
#[derive(Debug, Default)]
pub(super) struct Keys(Mutex<Option<(Arc<PlaybackKeys>, Instant)>>);

#[derive(FromRow)]
struct KeyRow {
    id: String,
    secret: String,
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
    let keys = read(&mut work).await?;
    work.commit().await?;
    Ok(PlaybackKeys::new(keys))
}

/// Makes a key where none is younger than a week, and retires those that have not signed for longer than a token lives.
async fn rotate(work: &mut PgConnection) -> Result<(), sqlx::Error> {
    let sql = "select exists (select from playback_keys where retired_at is null \
                 and created_at > now() - interval '7 days')";
    if !sql::query_scalar::<bool>(sql).fetch_one(&mut *work).await? {
        sql::query("select pg_advisory_xact_lock(hashtextextended('playback_keys', 0))").execute(&mut *work).await?;
        let sql = "insert into playback_keys (id, secret) select $1, $2 where not exists (select from playback_keys \
                     where retired_at is null and created_at > now() - interval '7 days')";
        let query = sql::query(sql).bind(format!("k{}", secret::random_hex::<6>())).bind(new_secret());
        query.execute(&mut *work).await?;
    }
    let sql = "update playback_keys set retired_at = now() where retired_at is null \
                 and created_at < now() - interval '9 days'";
    sql::query(sql).execute(&mut *work).await?;
    // A key that is gone for a week is of no use to anybody, and is a secret.
    let sql = "delete from playback_keys where retired_at < now() - interval '7 days'";
    sql::query(sql).execute(work).await?;
    Ok(())
}

/// The newest key signs once it is a minute old: by then every node and edge knows it. The first one signs at once.
pub(super) async fn read(work: &mut PgConnection) -> Result<Vec<PlaybackKey>, sqlx::Error> {
    let sql = "select id, secret from playback_keys where retired_at is null \
               order by created_at < now() - interval '1 minute' desc, created_at desc, id limit $1";
    let most = i64::try_from(KEYS_MAX).unwrap_or(1);
    let rows: Vec<KeyRow> = sql::query_as(sql).bind(most).fetch_all(work).await?;
    let parsed = rows.into_iter().filter_map(|row| Some(PlaybackKey { id: row.id.parse().ok()?, secret: row.secret }));
    Ok(parsed.collect())
}

fn new_secret() -> String {
    let mut bytes = [0_u8; SECRET_BYTES];
    rand::fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}
