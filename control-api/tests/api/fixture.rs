//! One Postgres server per test binary, one database per test, and requests without a socket.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;
use std::thread;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use control_api::auth::Auth;
use control_api::auth::config::{AuthConfig, MailConfig};
use control_api::permission::{ChannelRole, Role};
use control_api::postgres::{Durability, Options};
use control_api::secret::ApiToken;
use control_api::{ControlApi, Database, Embedded, FirstRunNames, first_run};
use http_body_util::BodyExt;
use prometheus::{Encoder, Registry, TextEncoder};
use schema::StreamKey;
use schema::api::{BroadcastReport, BroadcastState, NodeReport, Protocol, ReportAnswer};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

/// Lives as long as the test binary. The guard sees its end, however it comes, by the end of its
/// own input, stops the server and removes the folder.
struct Shared {
    options: PgConnectOptions,
    _guard: ChildStdin,
}

const GUARD: &str = r#"cat >/dev/null
pid=$(head -n1 "$0/postgres/data/postmaster.pid" 2>/dev/null) && kill -INT "$pid"
while [ -e "$0/postgres/data/postmaster.pid" ]; do sleep 0.05; done
rm -rf "$0""#;

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let dir = open_folder().keep();
        let guard = guard(&dir);
        let (started, options) = sync_channel(1);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Embedded::start(&dir, throwaway()).await.unwrap();
                started.send(server.connect_options()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        Shared { options: options.recv().unwrap(), _guard: guard }
    })
}

/// Local accounts, with the sealing key of `data`.
fn auth(data: &TempDir) -> Auth {
    Auth::new(&AuthConfig::default(), &MailConfig::default(), data.path(), "http://localhost").unwrap()
}

fn guard(dir: &Path) -> ChildStdin {
    let mut command = Command::new("sh");
    command.arg("-c").arg(GUARD).arg(dir).process_group(0);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap().stdin.take().unwrap()
}

/// A folder that an unprivileged user can enter, as the tests may run as root.
fn open_folder() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn throwaway() -> Options {
    Options { durability: Durability::Throwaway, ..Options::default() }
}

/// An empty database of its own.
pub(crate) async fn empty_database() -> Database {
    let options = &shared().options;
    let name = format!("test_{}", Uuid::now_v7().simple());
    let mut connection = PgConnection::connect_with(options).await.unwrap();
    let sql = AssertSqlSafe(format!("create database {name}"));
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    Database::with_options(options.clone().database(&name))
}

/// A control plane after its first start.
pub(crate) struct Plane {
    pub(crate) database: Database,
    pub(crate) admin: ApiToken,
    pub(crate) key: StreamKey,
    registry: Registry,
    public: Router,
    internal: Router,
    api: ControlApi,
    /// What the process keeps, its sealing key too.
    data: TempDir,
}

/// An answer with a JSON body, or none.
#[derive(Debug)]
pub(crate) struct Answer<T = Value> {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: T,
}

impl Plane {
    /// All tests' requests come from one address, so none is counted: see `protection` for that.
    pub(crate) async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let auth = auth(&data);
        let make = |pool, registry: &Registry| {
            ControlApi::with_auth(pool, registry, auth).unwrap().with_rate_limits(&control_api::RateLimits::NONE)
        };
        Self { data, ..Self::start_with(make).await }
    }

    /// The same with a control plane that `make` makes.
    pub(crate) async fn start_with(make: impl FnOnce(PgPool, &Registry) -> ControlApi) -> Self {
        let database = empty_database().await;
        database.migrate().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let names = FirstRunNames::default();
        let made = first_run(database.pool(), dir.path(), &names).await;
        let made = made.unwrap().unwrap();
        let registry = Registry::new();
        let api = make(database.pool().clone(), &registry);
        Self {
            database,
            admin: made.admin_token,
            key: made.stream_key,
            registry,
            public: control_api::public_router(api.clone()),
            internal: control_api::internal_router(api.clone()),
            api,
            data: dir,
        }
    }

    /// The same after a restart: what was in memory alone is gone.
    pub(crate) fn restarted(self) -> Self {
        let registry = Registry::new();
        let api = ControlApi::with_auth(self.database.pool().clone(), &registry, auth(&self.data)).unwrap();
        Self {
            registry,
            public: control_api::public_router(api.clone()),
            internal: control_api::internal_router(api.clone()),
            api,
            ..self
        }
    }

    /// The same after a restart for which the file of the sealing key was lost.
    pub(crate) fn restarted_without_key(self) -> Self {
        Self { data: tempfile::tempdir().unwrap(), ..self }.restarted()
    }

    /// Writes viewer sessions to the database now.
    pub(crate) async fn write_viewers(&self) {
        let cancel = CancellationToken::new();
        cancel.cancel();
        self.api.clone().write_viewers(cancel).await;
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// A request of anybody.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(&self.public, Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// A request of the admin; `Value::Null` is no body.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.send_as(Some(self.admin.expose()), method, path, body).await
    }

    pub(crate) async fn send_as(&self, token: Option<&str>, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        send(&self.public, request.body(body.into()).unwrap()).await
    }

    /// A request with these headers and extensions.
    pub(crate) async fn public(&self, request: Request<Body>) -> Answer {
        send(&self.public, request).await
    }

    /// The same, as it is.
    pub(crate) async fn answer(&self, request: Request<Body>) -> axum::response::Response {
        self.public.clone().oneshot(request).await.unwrap()
    }

    /// The same, whatever the answer's body is.
    pub(crate) async fn public_raw(&self, request: Request<Body>) -> Answer {
        let Answer { status, headers, body } = send_raw(&self.public, request).await;
        Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(self.pool()).await.unwrap();
    }

    /// A new user, `member` of the first channel; gives an API token of theirs.
    pub(crate) async fn user(&self, name: &str, role: Role, member: Option<ChannelRole>) -> String {
        let sql = "insert into users (id, name, display_name, role) values ($1, $2, $2, $3)";
        let id = Uuid::now_v7();
        sqlx::query(sql).bind(id).bind(name).bind(role.as_str()).execute(self.pool()).await.unwrap();
        if let Some(member) = member {
            let sql = "insert into channel_members (channel_id, user_id, role) \
                       select id, $1, $2 from channels where name = 'demo'";
            sqlx::query(sql).bind(id).bind(member.as_str()).execute(self.pool()).await.unwrap();
        }
        self.token_of(Some(name), role, None).await
    }

    /// A new API token, of a user or of nobody.
    pub(crate) async fn token_of(&self, user: Option<&str>, role: Role, scope: Option<&str>) -> String {
        let token = ApiToken::generate();
        let role = if user.is_some() || scope.is_some() { "read" } else { role.as_str() };
        let sql = "insert into api_tokens (id, hash, name, role, user_id, scopes) \
                   values ($1, $2, 'test', $3, (select id from users where name = $4), $5)";
        sqlx::query(sql)
            .bind(Uuid::now_v7())
            .bind(control_api::secret::hash(token.expose()))
            .bind(role)
            .bind(user)
            .bind(scope.map(|scope| vec![scope.to_owned()]))
            .execute(self.pool())
            .await
            .unwrap();
        token.expose().to_owned()
    }

    /// Signs in; gives the cookie as a browser sends it.
    pub(crate) async fn sign_in(&self) -> String {
        let body = json!({ "token": self.admin.expose() }).to_string();
        let answer = self.send_as(None, "POST", "/api/v1/session", body).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        let line = answer.headers["set-cookie"].to_str().unwrap();
        line.split(';').next().unwrap().to_owned()
    }

    /// A request of one of our pages, with a cookie.
    pub(crate) async fn browser(&self, cookie: &str, method: &str, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("cookie", cookie);
        let request = request.header("sec-fetch-site", "same-origin");
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.public(request.body(body.into()).unwrap()).await
    }

    /// What the admin gets of a file.
    pub(crate) async fn picture(&self, path: &str) -> Answer<Bytes> {
        let request = Request::get(path).header("authorization", format!("Bearer {}", self.admin.expose()));
        send_raw(&self.public, request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn internal(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).body(body.into()).unwrap();
        send(&self.internal, request).await
    }

    pub(crate) async fn admit(&self, key: &str) -> Answer {
        let body = json!({ "key": key, "protocol": "whip", "session": "s1" });
        self.internal("/internal/v1/admissions", body.to_string()).await
    }

    pub(crate) async fn report(&self, node: &str, broadcasts: &[BroadcastReport]) -> ReportAnswer {
        let report = NodeReport { node: node.to_owned(), broadcasts: broadcasts.to_vec(), playback: None };
        let body = serde_json::to_string(&report).unwrap();
        let answer = self.internal("/internal/v1/reports", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_value(answer.body).unwrap()
    }

    /// A live broadcast that the first key was admitted for.
    pub(crate) async fn live(&self, id: &str) -> BroadcastReport {
        self.live_by(id, self.key.expose()).await
    }

    /// A live broadcast that `key` was admitted for.
    pub(crate) async fn live_by(&self, id: &str, key: &str) -> BroadcastReport {
        let grant = self.admit(key).await;
        BroadcastReport {
            broadcast: id.parse().unwrap(),
            channel: "demo".parse().unwrap(),
            incarnation: schema::Incarnation(1),
            session: format!("session-{id}").parse().unwrap(),
            protocol: Protocol::Whip,
            key_id: grant.body["key_id"].as_str().unwrap().to_owned(),
            state: BroadcastState::Live,
            started_at_us: 1_700_000_000_000_000,
            end: None,
            source_size: None,
            degraded: false,
        }
    }

    pub(crate) fn metrics(&self) -> String {
        let mut text = Vec::new();
        let families = self.registry.gather();
        TextEncoder::new().encode(&families, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let Answer { status, headers, body } = send_raw(router, request).await;
    let body = match body.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&body).unwrap(),
    };
    Answer { status, headers, body }
}

async fn send_raw(router: &Router, request: Request<Body>) -> Answer<Bytes> {
    let response = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, body }
}

impl Answer {
    /// Checks that this is a problem (RFC 9457) of `status` and `code`.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.body["code"], code, "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert!(!self.body["title"].as_str().unwrap().is_empty());
    }
}
