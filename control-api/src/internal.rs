//! The Unix socket on which nodes of this machine reach the control plane.

use std::fs;
use std::future::IntoFuture;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::ControlApi;

/// How long running requests may take to finish after the end was ordered: one request's longest.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// Listens on `path` with mode 0600, in place of whatever socket a predecessor left there. For a
/// path short enough see [`crate::postgres::short_socket_path`].
///
/// # Errors
/// If the socket cannot be made.
pub fn bind_internal(path: &Path) -> io::Result<UnixListener> {
    // Made under another name: under its own it never has another mode.
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&draft)?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))?;
    fs::rename(&draft, path)?;
    Ok(listener)
}

/// Serves the internal API on `listener` until `cancel`, then lets running requests finish for
/// at most ten seconds.
///
/// # Errors
/// If the listener fails.
pub async fn serve_internal(listener: UnixListener, state: ControlApi, cancel: CancellationToken) -> io::Result<()> {
    let router = crate::internal_router(state);
    let ended = cancel.clone().cancelled_owned();
    let serve = axum::serve(listener, router).with_graceful_shutdown(ended);
    let overtime = async {
        cancel.cancelled().await;
        tokio::time::sleep(DRAIN_DEADLINE).await;
    };
    tokio::select! {
        served = serve.into_future() => served,
        () = overtime => Ok(()),
    }
}
