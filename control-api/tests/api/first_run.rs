use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use control_api::{Database, FirstRun, FirstRunError, FirstRunNames, first_run};
use sqlx::PgPool;

use crate::fixture::empty_database;

async fn migrated() -> Database {
    let database = empty_database().await;
    database.migrate().await.unwrap();
    database
}

async fn run(pool: &PgPool, dir: &Path) -> Result<Option<FirstRun>, FirstRunError> {
    first_run(pool, dir, &FirstRunNames::default()).await
}

async fn tokens(pool: &PgPool) -> i64 {
    let sql = "select count(*) from api_tokens";
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

fn read(path: &Path) -> FirstRun {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn the_first_start_makes_token_channel_and_key_once() {
    let (database, dir) = (migrated().await, tempfile::tempdir().unwrap());
    let made = run(database.pool(), dir.path()).await.unwrap().unwrap();
    let path = dir.path().join("first-run.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let told = read(&path);
    assert_eq!(told.admin_token.expose(), made.admin_token.expose());
    assert_eq!(told.stream_key.expose(), made.stream_key.expose());
    assert_eq!(told.channel.as_str(), "demo");
    assert!(run(database.pool(), dir.path()).await.unwrap().is_none());
    assert_eq!(read(&path).admin_token.expose(), made.admin_token.expose());
    assert_eq!(tokens(database.pool()).await, 1);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_crash_between_commit_and_rename_is_finished_at_the_next_start() {
    let (database, dir) = (migrated().await, tempfile::tempdir().unwrap());
    let made = run(database.pool(), dir.path()).await.unwrap().unwrap();
    let path = dir.path().join("first-run.json");
    fs::rename(&path, dir.path().join("first-run.json.new")).unwrap();
    let finished = run(database.pool(), dir.path()).await.unwrap().unwrap();
    assert_eq!(finished.admin_token.expose(), made.admin_token.expose());
    assert_eq!(read(&path).admin_token.expose(), made.admin_token.expose());
    assert_eq!(tokens(database.pool()).await, 1);
}

#[tokio::test]
async fn a_crash_before_the_commit_leaves_a_draft_that_is_replaced() {
    let (database, dir) = (migrated().await, tempfile::tempdir().unwrap());
    let draft = dir.path().join("first-run.json.new");
    fs::write(&draft, "{\"admin_token\":\"hw_at_dead").unwrap();
    let made = run(database.pool(), dir.path()).await.unwrap().unwrap();
    assert!(!draft.exists());
    let path = dir.path().join("first-run.json");
    assert_eq!(read(&path).admin_token.expose(), made.admin_token.expose());
}

#[tokio::test]
async fn a_draft_that_the_database_does_not_know_is_removed() {
    let (database, dir) = (migrated().await, tempfile::tempdir().unwrap());
    run(database.pool(), dir.path()).await.unwrap().unwrap();
    let draft = dir.path().join("first-run.json.new");
    fs::write(&draft, r#"{"admin_token":"hw_at_1","channel":"demo","stream_key":"k"}"#).unwrap();
    assert!(run(database.pool(), dir.path()).await.unwrap().is_none());
    assert!(!draft.exists());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_leaves_the_database_untouched() {
    let (database, dir) = (migrated().await, tempfile::tempdir().unwrap());
    let missing = dir.path().join("missing");
    let error = run(database.pool(), &missing).await.unwrap_err();
    assert!(error.to_string().contains("missing/first-run.json"), "{error}");
    assert_eq!(tokens(database.pool()).await, 0);
}

#[tokio::test]
async fn two_first_starts_on_one_database_make_one_token() {
    let database = migrated().await;
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = tokio::join!(run(database.pool(), a.path()), run(database.pool(), b.path()));
    assert_eq!(one.unwrap().is_some() as u8 + two.unwrap().is_some() as u8, 1);
    assert_eq!(tokens(database.pool()).await, 1);
}
