//! `headwater doctor`: checks what `serve` needs, one line each, and says what to mend.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use control_api::SchemaError;
use packager_transcode::encoder::{self, Availability};

use crate::config::{self, Config};
use crate::console::say;
use crate::exit::Exit;
use crate::http::tls::Pair;
use crate::node::room::usual_cores;
use crate::serve::database;

/// What one check found: a fact, or what is wrong and how to mend it.
type Finding = Result<String, String>;

/// Runs every check, prints a line for each, and fails if any did.
pub(crate) async fn run(config: Config) -> Result<(), Exit> {
    let checks: [(&str, Finding); 9] = [
        ("config", Ok("valid".to_owned())),
        ("data folder", data_folder(&config.data)),
        ("ports", ports(&config)),
        ("tls", tls(&config.http.tls)),
        ("ffmpeg", ffmpeg(&config.transcode.encoder)),
        ("decoders", decoders()),
        ("room", Ok(room(&config.transcode))),
        ("pages", pages()),
        ("database", database(&config).await),
    ];
    for (name, finding) in &checks {
        match finding {
            Ok(fact) => say(format_args!("ok    {name}: {fact}")),
            Err(wrong) => say(format_args!("FAIL  {name}: {wrong}")),
        }
    }
    match checks.into_iter().find_map(|(name, finding)| finding.err().map(|wrong| (name, wrong))) {
        None => Ok(()),
        // As `serve` has it: the files are part of the configuration.
        Some((name @ "tls", wrong)) => Err(Exit::Usage(format!("{name}: {wrong}"))),
        Some((name, wrong)) => Err(Exit::Unavailable(format!("{name}: {wrong}"))),
    }
}

/// The folder exists or can be made, and can be written.
pub(crate) fn data_folder(folder: &Path) -> Finding {
    let unusable =
        |error: std::io::Error| format!("{} cannot be used: {error}; choose another with --data", folder.display());
    fs::create_dir_all(folder).map_err(unusable)?;
    let probe = folder.join(".probe");
    fs::write(&probe, b"probe").and_then(|()| fs::remove_file(&probe)).map_err(unusable)?;
    Ok(folder.display().to_string())
}

fn ports(config: &Config) -> Finding {
    let taken =
        |key: &str, address: SocketAddr, error: std::io::Error| format!("{key}: cannot listen on {address}: {error}");
    TcpListener::bind(config.http.listen).map_err(|error| taken("http.listen", config.http.listen, error))?;
    if let Some(redirect) = config.http.redirect_listen {
        TcpListener::bind(redirect).map_err(|error| taken("http.redirect_listen", redirect, error))?;
    }
    TcpListener::bind(config.ops_listen()).map_err(|error| taken("ops.listen", config.ops_listen(), error))?;
    UdpSocket::bind(config.media_listen()).map_err(|error| taken("media.listen", config.media_listen(), error))?;
    Ok(format!(
        "{} (http), {} (media, UDP), {} (ops) are free",
        config.http.listen,
        config.media_listen(),
        config.ops_listen()
    ))
}

/// A configured certificate is usable, and for how long.
fn tls(settings: &config::Tls) -> Finding {
    let Some(files) = settings.files() else { return Ok("not configured".to_owned()) };
    let pair = Pair::load(&files).map_err(|error| error.to_string())?;
    let expires = pair.expires_text();
    if pair.has_expired() {
        return Err(format!("{}: has expired on {expires}", files.certificate.display()));
    }
    Ok(format!("{} is valid until {expires}", files.certificate.display()))
}

/// The linked FFmpeg has the configured encoder.
pub(crate) fn ffmpeg(encoder: &str) -> Finding {
    let rows = encoder::available_encoders();
    let mut available = rows.iter().filter(|row| row.availability == Availability::Available).map(|row| row.name);
    if available.any(|name| name == encoder) {
        return Ok(format!("{encoder} is available"));
    }
    Err(format!("the linked FFmpeg has no {encoder}; install one that has (Debian: apt-get install libavcodec59)"))
}

/// The linked FFmpeg decodes whatever publishers may send. `serve` does without: one codec less is no reason
/// to stay down.
fn decoders() -> Finding {
    let missing = packager_transcode::worker::missing_decoders();
    if missing.is_empty() {
        return Ok("H.264, VP8, VP9 and AV1".to_owned());
    }
    Err(format!(
        "the linked FFmpeg cannot decode {missing:?}; install one that can (Debian: apt-get install libavcodec59)"
    ))
}

/// For how many broadcasts the machine has room.
fn room(settings: &config::Transcode) -> String {
    let each = usual_cores();
    let of = format!("of the default ladder at 720p, of about {each:.1} cores each");
    match settings.cores_max() {
        Some(cores) => {
            let count = std::iter::successors(Some(each), |taken| Some(taken + each));
            let count = count.take_while(|taken| *taken <= cores).count().max(1);
            format!("for {count} broadcast(s) {of}, in {cores:.1}")
        }
        None => format!("without a limit, for any number {of}"),
    }
}

fn pages() -> Finding {
    if crate::http::pages::are_built() {
        return Ok("in the binary".to_owned());
    }
    Err("the binary was built without them: run `make web`, then build again".to_owned())
}

/// A configured database must answer; for our own the programs and the folder must be usable.
async fn database(config: &Config) -> Finding {
    let Some(database) = database::configured(&config.database).map_err(|error| error.to_string())? else {
        return control_api::postgres::check(&config.data, &database::options(&config.database, None))
            .map(|programs| format!("our own Postgres, from {}", programs.display()))
            .map_err(|error| error.to_string());
    };
    let checked = database.migrate_check().await;
    database.close().await;
    match checked {
        Ok(()) => Ok("reachable and up to date".to_owned()),
        Err(SchemaError::Pending(count)) => Ok(format!("reachable; {count} migration(s) will be applied at start")),
        Err(error) => Err(error.to_string()),
    }
}
