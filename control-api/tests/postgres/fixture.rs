//! A folder of its own for each server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use control_api::postgres::{Durability, Options};
use control_api::{Embedded, StartError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

/// A folder that an unprivileged user can enter, as the tests may run as root.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

pub(crate) fn throwaway() -> Options {
    Options { durability: Durability::Throwaway, ..Options::default() }
}

pub(crate) async fn start(folder: &TempDir) -> Result<Embedded, StartError> {
    Embedded::start(folder.path(), throwaway()).await
}

pub(crate) fn pid(server: &Embedded) -> i32 {
    server.process_id().borrow().unwrap()
}

pub(crate) fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// One value out of the server.
pub(crate) async fn ask(server: &Embedded, sql: &'static str) -> String {
    let options = server.connect_options();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let answer = sqlx::query_scalar(sql).fetch_one(&mut connection).await;
    connection.close().await.unwrap();
    answer.unwrap()
}

pub(crate) fn pid_file(folder: &TempDir) -> PathBuf {
    folder.path().join("postgres/data/postmaster.pid")
}
