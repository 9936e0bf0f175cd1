//! `headwater serve`: starts every part in order, says "ready", and ends them in the opposite order.
//!
//! This is the only place that knows all parts.

pub(crate) mod database;
mod http;
mod part;
mod signals;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use control_api::auth::Auth;
use control_api::{ControlApi, FirstRunNames};
use ingest::whip::{self, Whip};
use ingest_rtc::{Endpoint, EndpointConfig};
use origin::{Directory, Guard, Limits, Origin};
use prometheus::Registry;
use serde::Serialize;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::database::OpenDatabase;
use self::http::HttpPorts;
use self::part::Part;
use self::signals::Terminate;
use crate::config::Config;
use crate::console::say;
use crate::control::ControlClient;
use crate::doctor;
use crate::exit::Exit;
use crate::http::audience::Audience;
use crate::http::metrics::Metrics;
use crate::http::pages;
use crate::http::public::Public;
use crate::media_port;
use crate::node::Node;
use crate::node::admission::NodeAdmission;
use crate::node::reporter::{self, Hands, Reports};
use crate::node::room::Room;
use crate::node::rulebook::Rulebook;
use crate::ops::Ops;
use crate::process;

/// Publishers that wait for the node to take them; one beyond them waits in its own session.
const ARRIVALS_QUEUE: usize = 16;

/// Orders of the control plane that wait for the node.
const ORDERS_QUEUE: usize = 64;

/// The ports, bound before anything else starts, so that a taken one is told at once.
struct Ports {
    registry: Registry,
    ops: Ops,
    http: HttpPorts,
    endpoint: Endpoint,
}

/// Runs everything until SIGTERM or Ctrl-C.
///
/// # Errors
/// [`Exit::Unavailable`] before anything is served, where something needed is missing;
/// [`Exit::Software`] where a part ended by itself.
pub(crate) async fn run(config: Config) -> Result<(), Exit> {
    let mut terminate = signals::terminate().map_err(Exit::software)?;
    doctor::data_folder(&config.data).map_err(Exit::Unavailable)?;
    doctor::ffmpeg(&config.transcode.encoder).map_err(Exit::Unavailable)?;
    let data = std::path::absolute(&config.data).map_err(Exit::unavailable)?;
    let config = Config { data, ..config };
    process::raise_descriptors(config.limits.connections_max);
    let ports = bind(&config).await?;
    let metrics = control_api::postgres::Metrics::register(&ports.registry).map_err(Exit::software)?;
    let database = database::open(&config, Some(metrics)).await?;
    let result = serve(&config, ports, &database, &mut terminate).await;
    database.close().await;
    result
}

async fn bind(config: &Config) -> Result<Ports, Exit> {
    let taken = |key: &str, address: SocketAddr, error: std::io::Error| {
        Exit::Unavailable(format!("{key}: cannot listen on {address}: {error}"))
    };
    let registry = Registry::new();
    process::register(&registry).map_err(Exit::software)?;
    let ops = Ops::start(config.ops_listen(), registry.clone())?;
    let http = HttpPorts::bind(config, &registry).await?;
    let media = EndpointConfig { listen: config.media_listen(), announce: config.media.announce.clone() };
    let endpoint = Endpoint::bind(media).await.map_err(|error| taken("media.listen", config.media_listen(), error))?;
    media_port::register(endpoint.counters(), &registry).map_err(Exit::software)?;
    Ok(Ports { registry, ops, http, endpoint })
}

/// Everything that lives between the database's start and its end.
async fn serve(config: &Config, ports: Ports, database: &OpenDatabase, terminate: &mut Terminate) -> Result<(), Exit> {
    let Ports { registry, ops, http, endpoint } = ports;
    database.migrate().await?;
    let public_url = http.addresses().map_err(Exit::software)?.public_url();
    let api = control_plane(config, database, &registry, &public_url).await?;
    let (internal, socket) = control_socket(&config.data)?;
    let control = ControlClient::over(&socket).map_err(Exit::software)?;

    let addresses =
        Addresses { http: http.addresses().map_err(Exit::software)?, media: endpoint.local_addr(), ops: ops.address };
    let (arrived, arrivals) = mpsc::channel(ARRIVALS_QUEUE);
    let limits = whip::Limits { sessions: config.limits.sessions_max, ..whip::Limits::default() };
    let room = Room::new(config.transcode.cores_max(), &registry).map_err(Exit::software)?;
    let admission = Arc::new(NodeAdmission { control: control.clone(), room: room.clone() });
    let whip = Whip::new(Arc::new(endpoint), admission, arrived, limits, &registry).map_err(Exit::software)?;
    let whip = whip.with_ice_servers(config.media.ice_servers().map_err(Exit::Usage)?);
    let directory = Directory::new();
    let reports = Reports::default();
    let (orders, ordered) = mpsc::channel(ORDERS_QUEUE);
    let node = Node::new(config, directory.clone(), reports.clone(), ordered, room, &registry)?;
    let guard = Guard::new(config.edge.secret.clone());
    let rules = Rulebook::open(guard.clone(), &config.data);
    let public = public(&registry, &whip, &api, (directory.clone(), guard), http.metrics.clone())?;

    let fallen = CancellationToken::new();
    let reporter = {
        let hands = Hands { whip: whip.clone(), orders, directory: directory.clone(), rules };
        let name = config.node.name.clone();
        move |cancel| reporter::run(name, control, reports, hands, cancel)
    };
    let hangup = signals::hangup().map_err(Exit::software)?;
    let mut parts = vec![Part::start("broadcasts", &fallen, |cancel| node.run(arrivals, cancel))];
    parts.extend(http.start(public, hangup, &fallen).map_err(Exit::software)?);
    parts.push(Part::start("reporter", &fallen, reporter));
    let desk = api.auth().take_desk();
    let desk = desk.ok_or_else(|| Exit::Software("the mail desk runs already".to_owned()))?;
    parts.push(Part::start("mail", &fallen, |cancel| desk.run(api.clone(), cancel)));
    parts.push(Part::start("viewer sessions", &fallen, |cancel| api.clone().write_viewers(cancel)));
    parts.push(Part::start("control", &fallen, |cancel| serve_control(internal, api, cancel)));
    ops.readiness.set(true);
    announce(config, &addresses);
    let result = tokio::select! {
        () = terminate.wait() => Ok(()),
        () = fallen.cancelled() => Err(Exit::Software("a part ended by itself; see the log".to_owned())),
    };
    ops.readiness.set(false);
    directory.close();
    shut_down(config, &whip, &mut parts).await;
    // A file that stays behind is replaced at the next start.
    let _left_behind = std::fs::remove_file(&socket);
    result
}

async fn serve_control(listener: UnixListener, api: ControlApi, cancel: CancellationToken) {
    if let Err(error) = control_api::serve_internal(listener, api, cancel).await {
        tracing::error!(%error, "the control plane's socket failed");
    }
}

async fn control_plane(
    config: &Config,
    database: &OpenDatabase,
    registry: &Registry,
    public_url: &str,
) -> Result<ControlApi, Exit> {
    let pool = database.database.pool();
    if control_api::first_run(pool, &config.data, &FirstRunNames::default()).await.map_err(Exit::unavailable)?.is_some()
    {
        let told_in = config.data.join("first-run.json");
        tracing::info!(told_in = %told_in.display(), "first start: sign in at /studio with the admin_token told there");
    }
    let auth = Auth::new(&config.auth, &config.mail, &config.data, public_url).map_err(Exit::unavailable)?;
    let api = ControlApi::with_auth(pool.clone(), registry, auth).map_err(Exit::software)?;
    let api = api.with_rate_limits(&config.limits.api());
    let hook = config.admission.hook().map_err(|(key, reason)| Exit::Usage(format!("admission.{key}: {reason}")))?;
    Ok(match hook {
        Some(hook) => api.with_admission_hook(hook),
        None => api,
    })
}

/// Everything behind the public port.
fn public(
    registry: &Registry,
    whip: &Whip,
    api: &ControlApi,
    (directory, guard): (Directory, Guard),
    metrics: Metrics,
) -> Result<Public, Exit> {
    let origin = Origin::guarded(directory.clone(), registry, Limits::default(), guard).map_err(Exit::software)?;
    let audience = Audience::register(registry).map_err(Exit::software)?;
    Ok(Public {
        origin,
        audience,
        whip: whip::router(whip.clone()),
        api: control_api::public_router(api.clone()),
        pages: pages::router(directory),
        metrics,
    })
}

/// The Unix socket between node and control plane.
fn control_socket(data: &Path) -> Result<(UnixListener, PathBuf), Exit> {
    let socket = control_api::postgres::short_socket_path(data, "control.sock").map_err(Exit::unavailable)?;
    let listener = control_api::bind_internal(&socket)
        .map_err(|error| Exit::Unavailable(format!("cannot listen on {}: {error}", socket.display())))?;
    Ok((listener, socket))
}

/// The addresses that were chosen.
struct Addresses {
    http: http::Addresses,
    media: SocketAddr,
    ops: SocketAddr,
}

/// The one line on standard output that says everything is up, its fields in this order.
#[derive(Serialize)]
struct Ready<'a> {
    event: &'static str,
    http: String,
    media: SocketAddr,
    ops: String,
    data: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect: Option<String>,
}

fn announce(config: &Config, addresses: &Addresses) {
    let ready = Ready {
        event: "ready",
        http: addresses.http.public_url(),
        media: addresses.media,
        ops: format!("http://{}", addresses.ops),
        data: &config.data,
        redirect: addresses.http.redirect_url(),
    };
    match serde_json::to_string(&ready) {
        Ok(line) => say(line),
        Err(error) => tracing::error!(%error, "the ready line cannot be written: the data folder is not UTF-8"),
    }
}

/// Publishers first, so that broadcasts finish their open part; then each part in order, all within the deadline.
async fn shut_down(config: &Config, whip: &Whip, parts: &mut [Part]) {
    let in_order = async {
        whip.shutdown().await;
        for part in parts.iter_mut() {
            part.stop().await;
        }
    };
    if timeout(Duration::from_secs(config.shutdown.deadline_s), in_order).await.is_err() {
        let alive: Vec<_> = parts.iter().filter_map(Part::alive).collect();
        tracing::error!(?alive, "the shutdown deadline is over; ending all the same");
    }
}
