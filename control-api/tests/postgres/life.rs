use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use control_api::Embedded;
use control_api::postgres::{Metrics, Options};
use nix::sys::signal::Signal;
use prometheus::Registry;
use sqlx::{Connection, PgConnection};

use crate::fixture::{ask, folder, pid, pid_file, signal, start, throwaway};

fn runs(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}/exe")).exists()
}

#[tokio::test]
async fn data_outlives_a_stop_and_a_stopped_server_is_gone() {
    let folder = folder();
    let server = start(&folder).await.unwrap();
    let options = server.connect_options();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let sql = "create table kept as select 1";
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    let first = pid(&server);
    server.stop().await.unwrap();
    assert!(!runs(first) && !pid_file(&folder).exists());
    let server = start(&folder).await.unwrap();
    assert_eq!(ask(&server, "select count(*)::text from kept").await, "1");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_is_reached_by_its_socket_alone_and_never_runs_as_root() {
    let folder = folder();
    let server = start(&folder).await.unwrap();
    assert_eq!(ask(&server, "select current_setting('listen_addresses')").await, "");
    assert_eq!(ask(&server, "select current_setting('server_encoding')").await, "UTF8");
    assert_eq!(ask(&server, "select datcollate::text from pg_database where datname = 'headwater'").await, "C");
    let process = fs::metadata(format!("/proc/{}", pid(&server))).unwrap();
    assert_ne!(process.uid(), 0);
    for inner in ["postgres", "postgres/data", "postgres/run"] {
        let found = fs::metadata(folder.path().join(inner)).unwrap();
        assert_eq!((found.mode() & 0o777, found.uid()), (0o700, process.uid()), "{inner}");
    }
    let log = fs::metadata(folder.path().join("postgres.log")).unwrap();
    assert_eq!(log.mode() & 0o777, 0o600);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_server_is_restarted_and_counted() {
    let folder = folder();
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let options = Options { metrics: metrics.clone(), ..throwaway() };
    let server = Embedded::start(folder.path(), options).await.unwrap();
    let first = pid(&server);
    signal(first, Signal::SIGKILL);
    let mut ids = server.process_id();
    let other = ids.wait_for(|id| id.is_some_and(|id| id != first)).await;
    let other = other.unwrap().unwrap();
    assert!(runs(other));
    assert_eq!(ask(&server, "select 'back'::text").await, "back");
    server.stop().await.unwrap();
    assert_eq!((metrics.restarts.get(), metrics.up.get()), (1, 0));
}

#[tokio::test]
async fn a_dropped_server_ends_and_its_folder_is_free_for_the_next() {
    let folder = folder();
    let server = start(&folder).await.unwrap();
    let first = pid(&server);
    let mut ids = server.process_id();
    drop(server);
    // The supervisor holds the other end until it is gone.
    ids.wait_for(|_| false).await.unwrap_err();
    let server = start(&folder).await.unwrap();
    assert_ne!(pid(&server), first);
    server.stop().await.unwrap();
}

/// Plays both parts: with the variable set it is the process that is killed.
#[tokio::test]
async fn the_server_of_a_process_killed_by_force_is_taken_over() {
    const HOLD: &str = "HEADWATER_TEST_HOLD";
    if let Some(folder) = std::env::var_os(HOLD) {
        let server = Embedded::start(folder.as_ref(), throwaway()).await.unwrap();
        println!("\nrunning {}", pid(&server));
        return std::future::pending().await;
    }
    let folder = folder();
    let mut first = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("life::the_server_of_a_process_killed_by_force_is_taken_over")
        .env(HOLD, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(first.stdout.take().unwrap()).lines();
    let mut told = lines.map_while(Result::ok);
    let orphan = told.find_map(|line| line.strip_prefix("running ")?.parse().ok());
    first.kill().unwrap();
    first.wait().unwrap();
    let server = start(&folder).await.unwrap();
    assert_eq!(Some(pid(&server)), orphan);
    assert_eq!(ask(&server, "select 'mine'::text").await, "mine");
    // It is no child of ours, and still looked after.
    signal(pid(&server), Signal::SIGKILL);
    let mut ids = server.process_id();
    ids.wait_for(|id| id.is_some() && *id != orphan).await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_that_names_a_stranger_is_no_obstacle() {
    let folder = folder();
    start(&folder).await.unwrap().stop().await.unwrap();
    for stranger in [std::process::id().to_string(), "1".into(), "999999999".into(), String::new()] {
        let lines = format!("{stranger}\n/nowhere\n1\n5432\n/nowhere\n\n1 2\nready\n");
        fs::write(pid_file(&folder), lines).unwrap();
        let server = start(&folder).await.unwrap();
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_creation_that_was_cut_short_is_begun_again() {
    let folder = folder();
    let unfinished = folder.path().join("postgres/data.new");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let server = start(&folder).await.unwrap();
    assert!(!unfinished.exists());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_too_deep_for_a_socket_gets_a_short_one() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let deep = folder.path().join("deep \"and\", odd".repeat(8));
    fs::create_dir(&deep).unwrap();
    fs::set_permissions(&deep, fs::Permissions::from_mode(0o755)).unwrap();
    let server = Embedded::start(&deep, throwaway()).await.unwrap();
    let socket = ask(&server, "select current_setting('unix_socket_directories')").await;
    let socket = socket.trim_matches('"').to_owned();
    let found = fs::metadata(&socket).unwrap();
    assert_eq!(found.mode() & 0o777, 0o700, "{socket}");
    assert_ne!(found.uid(), 0);
    server.stop().await.unwrap();
    let server = Embedded::start(&deep, throwaway()).await.unwrap();
    server.stop().await.unwrap();
    fs::remove_dir(socket).unwrap();
}
