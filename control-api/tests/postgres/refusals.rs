//! Every refusal is one line that says what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use control_api::postgres::Options;
use control_api::{Embedded, StartError};

use crate::fixture::{folder, start, throwaway};

fn one_line(error: &StartError) -> String {
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

#[tokio::test]
async fn missing_programs_name_the_package() {
    let folder = folder();
    let options = Options { bin_dir: Some(folder.path().join("nothing")), ..throwaway() };
    let error = Embedded::start(folder.path(), options).await.unwrap_err();
    assert!(matches!(error, StartError::ProgramsMissing { .. }), "{error:?}");
    let text = one_line(&error);
    assert!(text.contains("`postgresql`") && text.contains("nothing"), "{text}");
}

#[tokio::test]
async fn programs_that_do_not_run_are_named() {
    let folder = folder();
    for name in ["initdb", "postgres"] {
        fs::write(folder.path().join(name), "no program").unwrap();
    }
    let options = Options { bin_dir: Some(folder.path().to_owned()), ..throwaway() };
    let error = Embedded::start(folder.path(), options).await.unwrap_err();
    assert!(one_line(&error).contains("/postgres"), "{error}");
}

#[tokio::test]
async fn a_second_process_on_one_folder_is_refused_and_the_first_runs_on() {
    let folder = folder();
    let server = start(&folder).await.unwrap();
    let error = start(&folder).await.unwrap_err();
    assert!(matches!(error, StartError::InUse { .. }), "{error:?}");
    assert!(one_line(&error).contains("--data"), "{error}");
    assert!(server.process_id().borrow().is_some());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_that_bars_the_way_is_named_with_the_way_out() {
    let outer = folder();
    let inner = outer.path().join("barred/data");
    fs::create_dir_all(&inner).unwrap();
    let barred = outer.path().join("barred");
    let mode = if nix::unistd::geteuid().is_root() { 0o700 } else { 0o000 };
    fs::set_permissions(&barred, fs::Permissions::from_mode(mode)).unwrap();
    let error = Embedded::start(&inner, throwaway()).await.unwrap_err();
    fs::set_permissions(&barred, fs::Permissions::from_mode(0o700)).unwrap();
    let text = one_line(&error);
    assert!(text.contains("--data") && text.contains(barred.to_str().unwrap()), "{text}");
    if nix::unistd::geteuid().is_root() {
        assert!(matches!(error, StartError::NotTraversable { folder, .. } if folder == barred.canonicalize().unwrap()));
    }
}

#[tokio::test]
async fn a_data_folder_that_is_a_file_is_named() {
    let outer = folder();
    let file = outer.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Embedded::start(&file, throwaway()).await.unwrap_err();
    assert!(one_line(&error).contains("/file"), "{error}");
}

#[tokio::test]
async fn a_cluster_of_another_major_version_is_named_with_its_package() {
    let folder = folder();
    start(&folder).await.unwrap().stop().await.unwrap();
    fs::write(folder.path().join("postgres/data/PG_VERSION"), "9\n").unwrap();
    let error = start(&folder).await.unwrap_err();
    assert!(one_line(&error).contains("`postgresql-9`"), "{error}");
}

#[tokio::test]
async fn a_server_that_dies_while_starting_is_quoted() {
    let folder = folder();
    start(&folder).await.unwrap().stop().await.unwrap();
    let config = folder.path().join("postgres/data/postgresql.conf");
    fs::write(config, "no_such_setting = 1\n").unwrap();
    let error = start(&folder).await.unwrap_err();
    assert!(matches!(error, StartError::Died { .. }), "{error:?}");
    assert!(one_line(&error).contains("postgres.log"), "{error}");
}
