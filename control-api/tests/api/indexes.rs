//! An index for each query: every route is asked over large tables, and the database itself counts what was read in turn.

use control_api::permission::Role;
use control_api::{ApiRoute, Verb};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, PgPool};

use crate::fixture::Plane;

/// Rows of each large table; enough for the planner to choose an index where there is one that serves.
const ROWS: i64 = 20_000;
/// A table in which fewer rows than this were read in turn was not scanned: a look whether it is empty reads one.
const READ_IN_TURN_MAX: i64 = 1_000;

/// Fills each table with [`ROWS`] rows, as if used for a year.
const SEED: &str = r"
insert into users (id, name, display_name, email, role)
  select gen_random_uuid(), 'user-' || n, 'User ' || n, 'user-' || n || '@example.org',
         (array['viewer', 'creator', 'moderator', 'viewer'])[1 + n % 4] from generate_series(1, 20000) n;
insert into channels (id, name, title) select gen_random_uuid(), 'channel-' || n, 'Channel ' || n from generate_series(1, 20000) n;
insert into channel_members (channel_id, user_id, role)
  select c.id, u.id, 'owner' from channels c join users u on u.name = replace(c.name, 'channel-', 'user-');
insert into api_tokens (id, hash, name, role, user_id)
  select gen_random_uuid(), sha256(('token' || name)::bytea), name, 'read', id from users;
insert into stream_keys (id, channel_id, hash)
  select gen_random_uuid(), id, sha256(('key' || name)::bytea) from channels;
insert into publish_tokens (id, hash, channel_id, user_id, expires_at)
  select gen_random_uuid(), sha256(('publish' || c.name)::bytea), c.id, m.user_id, now() + interval '1 hour'
  from channels c join channel_members m on m.channel_id = c.id;
insert into web_sessions (id, hash, user_id, expires_at)
  select gen_random_uuid(), sha256(('session' || name)::bytea), id, now() + interval '1 hour' from users;
insert into broadcasts (id, channel_id, incarnation, node, session, key_id, state, started_at, ended_at, end_reason, reported_at)
  select 'b' || k.id, k.channel_id, 1, 'node-' || (n % 50), 's' || k.id, k.id, case when n % 100 = 0 then 'live' else 'ended' end,
         now() - n * interval '1 minute', case when n % 100 = 0 then null else now() end,
         case when n % 100 = 0 then null else 'closed' end, now()
  from (select *, row_number() over () as n from stream_keys) k;
insert into audit (actor_kind, actor, action, object_kind, object_id, channel_id)
  select 'user', m.user_id::text, 'channel.update', 'channel', c.name, c.id
  from channels c join channel_members m on m.channel_id = c.id;
insert into idempotency_keys (actor, key_hash, request_hash, status)
  select id::text, sha256(name::bytea), sha256(name::bytea), 201 from users;
insert into local_accounts (user_id, password_hash) select id, 'none' from users;
insert into mail_tokens (hash, purpose, email, expires_at)
  select sha256(('mail' || name)::bytea), 'sign_up', email, now() + interval '1 hour' from users;
insert into refresh_families (id, user_id, expires_at) select gen_random_uuid(), id, now() + interval '1 day' from users;
insert into refresh_tokens (hash, family_id) select sha256(('refresh' || id)::bytea), id from refresh_families;
insert into recovery_codes (hash, user_id) select sha256(('code' || id)::bytea), id from users;
insert into user_identities (issuer, subject, user_id) select 'https://id.example', name, id from users;
insert into webhook_deliveries (provider, id) select 'clerk', name from users;
insert into channel_viewers (channel_id, user_id)
  select c.id, u.id from channels c join users u on u.name = replace(c.name, 'channel-', 'user-');
insert into viewer_sessions (id, channel_id, user_id, started_at, last_seen_at, token_until, ended_at, end_reason)
  select md5(c.name), c.id, v.user_id, now() - n * interval '1 minute', now() - n * interval '1 minute',
         now() - n * interval '1 minute', case when n % 100 = 0 then null else now() end,
         case when n % 100 = 0 then null else 'left' end
  from (select *, row_number() over () as n from channels) c join channel_viewers v on v.channel_id = c.id;
insert into denied_viewers (viewer_session, until) select id, now() + interval '1 hour' from viewer_sessions;
analyze;
";

/// Every other connection to this database that a client has.
macro_rules! others {
    () => {
        "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
         and backend_type = 'client backend'"
    };
}

/// A path with its parameters filled in.
fn filled(route: &ApiRoute, ids: &Ids) -> String {
    let id = match route.path {
        path if path.contains("/users/") || path.contains("/members/") => &ids.user,
        path if path.contains("/broadcasts/") => &ids.broadcast,
        path if path.contains("/keys/") => &ids.key,
        path if path.contains("/viewer-sessions/") => &ids.viewer,
        _ => &ids.token,
    };
    route
        .path
        .replace("channels/{name}", "channels/channel-7")
        .replace("playback/{name}", "playback/channel-7")
        .replace("{name}", "user-7")
        .replace("{id}", id)
        .replace("{user}", &ids.user)
}

struct Ids {
    user: String,
    key: String,
    broadcast: String,
    token: String,
    viewer: String,
}

async fn ids(pool: &PgPool) -> Ids {
    let sql = "select (select id::text from users where name = 'user-7'), \
               (select k.id::text from stream_keys k join channels c on c.id = k.channel_id where c.name = 'channel-7'), \
               (select b.id from broadcasts b join channels c on c.id = b.channel_id where c.name = 'channel-7'), \
               (select id::text from api_tokens where name = 'user-7'), md5('channel-7')";
    let (user, key, broadcast, token, viewer) = sqlx::query_as(sql).fetch_one(pool).await.unwrap();
    Ids { user, key, broadcast, token, viewer }
}

/// What a write says that is understood; others are refused after they were looked up.
fn body(route: &ApiRoute) -> Value {
    match (route.verb, route.path) {
        (Verb::Get | Verb::Delete, _) => Value::Null,
        (_, "/api/v1/channels") => json!({ "name": "one-more" }),
        (_, "/api/v1/users") => json!({ "name": "one-more", "email": "one@example.org" }),
        (_, "/api/v1/session") => json!({ "token": "hw_at_unknown" }),
        (_, path) if path.contains("/auth/") => {
            json!({ "email": "user-7@example.org", "password": "wrong horse battery", "token": "hw_unknown" })
        }
        _ => json!({}),
    }
}

#[tokio::test]
async fn no_request_reads_a_large_table_in_turn() {
    let plane = Plane::start().await;
    sqlx::raw_sql(SEED).execute(plane.pool()).await.unwrap();
    let ids = ids(plane.pool()).await;
    let mut read = Read { counts: counts(&plane).await, blamed: Vec::new() };
    assert!(read.counts.len() > 12, "{:?}", read.counts);
    // Reads first: what is removed then was there when it was read.
    let mut routes = control_api::declared_routes();
    routes.sort_by_key(|route| matches!(route.verb, Verb::Delete));
    for route in &routes {
        let path = filled(route, &ids);
        read.after(&plane, route.verb.as_str(), &path, body(route)).await;
    }
    for filter in ["actor=user-7", "object=channel-7", "channel=channel-7", "action=channel.update"] {
        read.after(&plane, "GET", &format!("/api/v1/audit?{filter}"), Value::Null).await;
    }
    for path in
        ["/api/v1/broadcasts?channel=channel-7", "/api/v1/users?role=admin&limit=5", "/api/v1/users?state=suspended"]
    {
        read.after(&plane, "GET", path, Value::Null).await;
    }
    plane.admit("keychannel-7").await;
    read.blame(&plane, "an admission").await;
    plane.report("node-7", &[]).await;
    read.blame(&plane, "a report").await;
    play(&plane, &mut read).await;
    assert!(read.blamed.is_empty(), "{}", read.blamed.join("\n"));
}

/// What viewers cost who have an account: a place, the renewal of a token, a session that is taken up again, and what is
/// written in batches.
async fn play(plane: &Plane, read: &mut Read) {
    let token = plane.token_of(Some("user-8"), Role::Viewer, None).await;
    plane.execute("update channels set access = 'members' where name = 'channel-8' and deleted_at is null").await;
    let started = plane.send_as(Some(&token), "POST", "/api/v1/playback/channel-8", "").await;
    assert_eq!(started.status, 201, "{started:?}");
    read.blame(plane, "a viewer with an account").await;
    plane.write_viewers().await;
    read.blame(plane, "the writer of viewer sessions").await;
    let body = json!({ "token": started.body["token"] }).to_string();
    let path = format!("/api/v1/viewer-sessions/{}/heartbeat", started.body["viewer_session"].as_str().unwrap());
    assert_eq!(plane.send_as(None, "POST", &path, body).await.body["state"], "watching");
    read.blame(plane, "a heartbeat").await;
}

/// What was read in turn so far, and by whom.
struct Read {
    counts: Vec<(String, i64)>,
    blamed: Vec<String>,
}

impl Read {
    async fn after(&mut self, plane: &Plane, method: &str, path: &str, body: Value) {
        let answer = plane.admin(method, path, body).await;
        assert!(answer.status.as_u16() < 500, "{method} {path}: {answer:?}");
        self.blame(plane, &format!("{method} {path}")).await;
    }

    async fn blame(&mut self, plane: &Plane, who: &str) {
        let now = counts(plane).await;
        for ((table, before), (_, after)) in self.counts.iter().zip(&now) {
            let rows = after - before;
            if rows >= READ_IN_TURN_MAX {
                self.blamed.push(format!("{who} read {rows} rows of {table} in turn"));
            }
        }
        self.counts = now;
    }
}

/// The counts once every connection has told its own, which it does as it ends.
async fn counts(plane: &Plane) -> Vec<(String, i64)> {
    let options = plane.pool().connect_options();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let end = concat!("select pg_terminate_backend(pid, 10000) ", others!());
    sqlx::query(end).execute(&mut connection).await.unwrap();
    let left: i64 =
        sqlx::query_scalar(concat!("select count(*) ", others!())).fetch_one(&mut connection).await.unwrap();
    assert_eq!(left, 0);
    let sql = "select relname::text, seq_tup_read from pg_stat_user_tables where n_live_tup >= $1 order by relname";
    let counts = sqlx::query_as(sql).bind(ROWS / 2).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    counts
}
