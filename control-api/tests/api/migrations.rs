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
    let change = "update _sqlx_migrations set checksum = '\\x00' where version = 1";
    sqlx::query(change).execute(database.pool()).await.unwrap();
    let changed = database.migrate_check().await;
    assert!(matches!(changed, Err(SchemaError::Changed(1))), "{changed:?}");
    let newer = "update _sqlx_migrations set version = 9999 where version = 1";
    sqlx::query(newer).execute(database.pool()).await.unwrap();
    let newer = database.migrate_check().await;
    assert!(matches!(newer, Err(SchemaError::Newer(9999))), "{newer:?}");
}

/// The schema as the first release left it, with a broadcast in it.
const FIRST: &str = include_str!("../../../schema/migrations/0001_channels_keys_broadcasts.sql");
const FIRST_DATA: &str = "insert into channels (id, name, title) values ('00000000-0000-7000-8000-000000000001', 'old', 'Old'); \
    insert into stream_keys (id, channel_id, hash) values ('00000000-0000-7000-8000-000000000002', \
      '00000000-0000-7000-8000-000000000001', sha256('old')); \
    insert into broadcasts (id, channel_id, incarnation, node, session, key_id, state, started_at, ended_at, end_reason) \
      values ('b0', '00000000-0000-7000-8000-000000000001', 1, 'n', 's', '00000000-0000-7000-8000-000000000002', \
      'ended', now(), now(), 'closed')";
const SECOND: &str = include_str!("../../../schema/migrations/0002_web_sessions_publish_tokens.sql");

#[tokio::test]
async fn the_second_migration_keeps_what_is_there_and_serves_the_first_program_too() {
    let database = empty_database().await;
    for script in [FIRST, FIRST_DATA, SECOND, SECOND] {
        sqlx::raw_sql(script).execute(database.pool()).await.unwrap();
    }
    let sql = "select protocol || ' ' || end_reason || ' ' || (key_id is not null)::text from broadcasts";
    let kept: String = sqlx::query_scalar(sql).fetch_one(database.pool()).await.unwrap();
    assert_eq!(kept, "whip closed true");
    // What the first program writes, which knows no new column.
    let more = "insert into broadcasts (id, channel_id, incarnation, node, session, key_id, state, started_at) \
                select 'b1', channel_id, 2, node, session, key_id, 'live', now() from broadcasts";
    sqlx::query(more).execute(database.pool()).await.unwrap();
}

const THIRD: &str = include_str!("../../../schema/migrations/0003_grace_slate_backup.sql");

#[tokio::test]
async fn the_third_migration_keeps_what_is_there_and_serves_the_second_program_too() {
    let database = empty_database().await;
    for script in [FIRST, FIRST_DATA, SECOND, THIRD, THIRD] {
        sqlx::raw_sql(script).execute(database.pool()).await.unwrap();
    }
    let sql = "select c.grace_s || ' ' || c.second_publisher || ' ' || (c.slate is null)::text || ' ' || k.role || ' ' \
               || b.reconnecting::text from channels c join stream_keys k on k.channel_id = c.id \
               join broadcasts b on b.key_id = k.id";
    let kept: String = sqlx::query_scalar(sql).fetch_one(database.pool()).await.unwrap();
    assert_eq!(kept, "60 replace true primary false");
    // What the second program writes of a broadcast that waits, which knows no such thing.
    let more = "insert into broadcasts (id, channel_id, incarnation, node, session, key_id, state, started_at, reconnecting) \
                select 'b1', channel_id, 2, node, session, key_id, 'live', now(), true from broadcasts; \
                update broadcasts set state = 'ended', ended_at = now() where id = 'b1'";
    sqlx::raw_sql(more).execute(database.pool()).await.unwrap();
}

const FOURTH: &str = include_str!("../../../schema/migrations/0004_dvr.sql");

#[tokio::test]
async fn the_fourth_migration_keeps_what_is_there_and_serves_the_third_program_too() {
    let database = empty_database().await;
    for script in [FIRST, FIRST_DATA, SECOND, THIRD, FOURTH, FOURTH] {
        sqlx::raw_sql(script).execute(database.pool()).await.unwrap();
    }
    // What the third program writes of a channel, which knows no such thing.
    let more = "insert into channels (id, name, title, profile, grace_s, second_publisher) \
                values (gen_random_uuid(), 'more', 'More', 'low', 60, 'replace')";
    sqlx::query(more).execute(database.pool()).await.unwrap();
    let sql = "select count(*) from channels where dvr_s = 0";
    let kept: i64 = sqlx::query_scalar(sql).fetch_one(database.pool()).await.unwrap();
    assert_eq!(kept, 2);
}

#[tokio::test]
async fn the_database_refuses_settings_that_the_api_would_not_take() {
    let database = empty_database().await;
    for script in [FIRST, FIRST_DATA, SECOND, THIRD, FOURTH] {
        sqlx::raw_sql(script).execute(database.pool()).await.unwrap();
    }
    for change in [
        "update channels set dvr_s = -1",
        "update channels set dvr_s = 43201",
        "update channels set grace_s = -1",
        "update channels set grace_s = 601",
        "update channels set second_publisher = 'wait'",
        "update channels set slate = '\\x00'",
        "update channels set slate_type = 'image/png'",
        "update channels set slate = '\\x00', slate_type = 'image/gif'",
        "update channels set slate = '', slate_type = 'image/png'",
        "update channels set slate = convert_to(repeat('x', 524289), 'UTF8'), slate_type = 'image/png'",
        "update stream_keys set role = 'both'",
    ] {
        let refused = sqlx::raw_sql(change).execute(database.pool()).await.unwrap_err();
        let code = refused.as_database_error().and_then(|error| error.code()).unwrap_or_default();
        assert_eq!(code, "23514", "{change}: {refused}");
    }
}

const LATER: [&str; 3] = [
    include_str!("../../../schema/migrations/0004_dvr.sql"),
    include_str!("../../../schema/migrations/0005_passthrough.sql"),
    include_str!("../../../schema/migrations/0006_degraded.sql"),
];
const SEVENTH: &str = include_str!("../../../schema/migrations/0007_users_roles_audit.sql");

#[tokio::test]
async fn the_seventh_migration_keeps_what_is_there_and_serves_the_sixth_program_too() {
    let database = empty_database().await;
    for script in [FIRST, FIRST_DATA, SECOND, THIRD].into_iter().chain(LATER) {
        sqlx::raw_sql(script).execute(database.pool()).await.unwrap();
    }
    // What the sixth program writes, which knows no users.
    let before = "insert into api_tokens (id, hash, name, role) values (gen_random_uuid(), sha256('a'), 'a', 'admin')";
    sqlx::query(before).execute(database.pool()).await.unwrap();
    for _ in 0..2 {
        sqlx::raw_sql(SEVENTH).execute(database.pool()).await.unwrap();
    }
    let more = "insert into api_tokens (id, hash, name) values (gen_random_uuid(), sha256('b'), 'b'); \
        insert into web_sessions (id, hash, api_token_id, expires_at) select id, hash, id, now() from api_tokens; \
        insert into publish_tokens (id, hash, channel_id, api_token_id, expires_at) \
          select t.id, t.hash, c.id, t.id, now() from api_tokens t, channels c; \
        update channels set title = 'New', updated_at = now()";
    sqlx::raw_sql(more).execute(database.pool()).await.unwrap();
    let sql = "select count(*) from api_tokens where role = 'admin' and user_id is null and scopes is null";
    let kept: i64 = sqlx::query_scalar(sql).fetch_one(database.pool()).await.unwrap();
    assert_eq!(kept, 2);
}

#[tokio::test]
async fn the_audit_only_grows_and_no_program_takes_a_narrowed_token_for_an_admin() {
    let database = empty_database().await;
    database.migrate().await.unwrap();
    let user = "insert into users (id, name, display_name) values ('00000000-0000-7000-8000-00000000000a', 'ann', 'Ann'); \
        insert into audit (actor_kind, actor, action, object_kind, object_id) values ('system', 'test', 'a', 'b', 'c')";
    sqlx::raw_sql(user).execute(database.pool()).await.unwrap();
    for (change, code) in [
        ("update audit set action = 'x'", "23001"),
        ("delete from audit", "23001"),
        ("truncate audit", "23001"),
        ("update users set role = 'read'", "23514"),
        ("update users set state = 'gone'", "23514"),
        ("update users set name = 'Ann'", "23514"),
        ("update users set email = 'Ann@example.com'", "23514"),
        ("insert into api_tokens (id, hash, name, user_id) select id, sha256('a'), 'a', id from users", "23514"),
        (
            "insert into api_tokens (id, hash, name, scopes) values (gen_random_uuid(), sha256('a'), 'a', '{key.read}')",
            "23514",
        ),
        (
            "insert into api_tokens (id, hash, name, role, scopes) values (gen_random_uuid(), sha256('a'), 'a', 'read', '{}')",
            "23514",
        ),
        ("insert into web_sessions (id, hash, expires_at) values (gen_random_uuid(), sha256('a'), now())", "23514"),
    ] {
        let refused = sqlx::raw_sql(change).execute(database.pool()).await.unwrap_err();
        let found = refused.as_database_error().and_then(|error| error.code()).unwrap_or_default();
        assert_eq!(found, code, "{change}: {refused}");
    }
}

const EIGHTH: &str = include_str!("../../../schema/migrations/0008_identity.sql");

#[tokio::test]
async fn the_eighth_migration_is_harmless_when_repeated_and_the_database_guards_what_it_keeps() {
    let database = empty_database().await;
    database.migrate().await.unwrap();
    let user = "insert into users (id, name, display_name) values ('00000000-0000-7000-8000-000000000003', 'ann', 'Ann'); \
                insert into local_accounts (user_id, password_hash) select id, 'x' from users";
    for script in [user, EIGHTH, EIGHTH] {
        sqlx::raw_sql(script).execute(database.pool()).await.unwrap();
    }
    for change in [
        "update local_accounts set password_hash = ''",
        "update local_accounts set totp_confirmed_at = now()",
        "insert into recovery_codes (hash, user_id) select '\\x00', user_id from local_accounts",
        "insert into mail_tokens (hash, purpose, email, expires_at) values (sha256('x'), 'other', 'a@b.c', now())",
        "insert into signing_keys (kid, public_key, private_key) values ('a', '\\x04', '\\x00')",
    ] {
        let refused = sqlx::raw_sql(change).execute(database.pool()).await.unwrap_err();
        let code = refused.as_database_error().and_then(|error| error.code()).unwrap_or_default();
        assert_eq!(code, "23514", "{change}: {refused}");
    }
}

const NINTH: &str = include_str!("../../../schema/migrations/0009_playback.sql");

#[tokio::test]
async fn the_ninth_migration_can_be_repeated_and_leaves_channels_to_everybody() {
    let database = empty_database().await;
    database.migrate().await.unwrap();
    for script in [FIRST_DATA, NINTH, NINTH] {
        sqlx::raw_sql(script).execute(database.pool()).await.unwrap();
    }
    let access: String = sqlx::query_scalar("select access from channels").fetch_one(database.pool()).await.unwrap();
    assert_eq!(access, "public");
}
