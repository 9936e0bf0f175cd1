use control_api::SchemaError;

use crate::fixture::empty_database;

#[tokio::test]
async fn migrations_can_be_repeated_and_run_by_two_at_once() {
    let database = empty_database().await;
    let waiting = database.migrate_check().await;
    assert!(matches!(waiting, Err(SchemaError::Pending(_))), "{waiting:?}");
    let (one, two) = tokio::join!(database.migrate(), database.migrate());
    one.unwrap();
    two.unwrap();
    database.migrate().await.unwrap();
    database.migrate_check().await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_or_other_program_is_told_apart() {
    let database = empty_database().await;
    database.migrate().await.unwrap();
    let change = "update _sqlx_migrations set checksum = '\\x00'";
    sqlx::query(change).execute(database.pool()).await.unwrap();
    let changed = database.migrate_check().await;
    assert!(matches!(changed, Err(SchemaError::Changed(1))), "{changed:?}");
    let newer = "update _sqlx_migrations set version = 9999";
    sqlx::query(newer).execute(database.pool()).await.unwrap();
    let newer = database.migrate_check().await;
    assert!(matches!(newer, Err(SchemaError::Newer(9999))), "{newer:?}");
}
