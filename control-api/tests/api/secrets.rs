//! Secrets are in one answer and one file, and nowhere else.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use sqlx::AssertSqlSafe;
use tracing_subscriber::fmt::MakeWriter;

use crate::fixture::Plane;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn secrets_are_in_no_log_no_metric_no_debug_output_and_no_table() {
    let log = Log::default();
    // With one subscriber alone, a place in the code that another test's thread reaches first is
    // taken for one that nobody listens to (tracing-core's registry of call sites).
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let listening = tracing::subscriber::set_default(subscriber);
    let plane = Plane::start().await;
    let keys = "/api/v1/channels/demo/keys";
    let made = plane.admin("POST", keys, Value::Null).await;
    let key = made.body["key"].as_str().unwrap();
    plane.admit(key).await;
    plane.admit(plane.key.expose()).await;
    plane.admin("GET", keys, Value::Null).await;
    let cookie = plane.sign_in().await;
    plane.browser(&cookie, "GET", "/api/v1/session", Value::Null).await;
    let made = plane.browser(&cookie, "POST", "/api/v1/channels/demo/publish-tokens", Value::Null).await;
    let token = made.body["token"].as_str().unwrap();
    plane.admit(token).await;
    drop(listening);

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("admitted a publisher"), "{logged}");
    let debug = format!("{:?} {:?}", plane.admin, plane.key);
    let places = [logged, plane.metrics(), debug, dump(&plane).await];
    let (_, session) = cookie.split_once('=').unwrap();
    for secret in [key, plane.key.expose(), plane.admin.expose(), token, session] {
        let random = secret.rsplit('_').next().unwrap();
        let as_bytes = hex::encode(secret);
        for place in &places {
            assert!(!place.contains(random) && !place.contains(&as_bytes));
        }
    }
}

/// Every row of every table, as text.
async fn dump(plane: &Plane) -> String {
    let sql = "select relname::text from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace";
    let tables: Vec<String> = sqlx::query_scalar(sql).fetch_all(plane.pool()).await.unwrap();
    assert!(tables.len() >= 6);
    let mut all = String::new();
    for table in tables {
        let sql = AssertSqlSafe(format!("select t::text from {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(plane.pool()).await.unwrap();
        all.push_str(&rows.join("\n"));
    }
    assert!(all.contains("demo"));
    all
}
