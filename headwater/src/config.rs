//! The configuration: built-in defaults, under one TOML file, under `HEADWATER_…` variables, under flags.
//!
//! Everything is checked here, before anything starts. A bad value is one line that names where it
//! stands, the key and the reason.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use control_api::auth::config::{AuthConfig, MailConfig};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::exit::Exit;

mod admission;
mod dvr;
mod edge;
mod limits;
mod media;
mod transcode;

use crate::http::proxies::Network;
use crate::http::tls::Files;
pub(crate) use admission::Admission;
pub(crate) use dvr::Dvr;
pub(crate) use edge::Edge;
pub(crate) use limits::Limits;
pub(crate) use media::Media;
pub(crate) use transcode::{Transcode, TranscodeMode};

/// The whole configuration. Each key may stand in the TOML file as `[section] key = value`, or in
/// the environment as `HEADWATER_SECTION__KEY`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The folder under which everything lies that the process writes.
    pub(crate) data: PathBuf,
    /// The public port.
    pub(crate) http: Http,
    /// WebRTC media.
    pub(crate) media: Media,
    /// Metrics and health.
    pub(crate) ops: Ops,
    /// Postgres.
    pub(crate) database: Database,
    /// FFmpeg.
    pub(crate) transcode: Transcode,
    /// The operator's own word about publishers.
    pub(crate) admission: Admission,
    /// This node.
    pub(crate) node: Node,
    /// Windows for rewinding.
    pub(crate) dvr: Dvr,
    /// Who somebody is.
    pub(crate) auth: AuthConfig,
    /// How mail leaves.
    pub(crate) mail: MailConfig,
    /// Edges that check viewers' tokens.
    pub(crate) edge: Edge,
    /// Bounds.
    pub(crate) limits: Limits,
    /// Logging.
    pub(crate) log: Log,
    /// The asynchronous runtime.
    pub(crate) runtime: Runtime,
    /// How the process ends.
    pub(crate) shutdown: Shutdown,
}

/// The public HTTP port.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    /// Address and port of pages, WHIP, playback and API; port 0 lets the system choose.
    pub(crate) listen: SocketAddr,
    /// Address and port of a plain HTTP port that sends everybody to https; only beside TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redirect_listen: Option<SocketAddr>,
    /// Addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub(crate) trusted_proxies: Vec<Network>,
    /// TLS, if a certificate is configured.
    pub(crate) tls: Tls,
}

/// TLS of the public port. Certificate and key are given both or not at all.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// A PEM file: the server's certificate, then the chain up to a known authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<PathBuf>,
    /// A PEM file: its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    /// For so many seconds browsers shall refuse to come without TLS; 0 tells them nothing.
    pub(crate) hsts_max_age_s: u64,
}

impl Tls {
    /// Where certificate and key lie, where there is TLS.
    pub(crate) fn files(&self) -> Option<Files> {
        Some(Files { certificate: self.certificate.clone()?, key: self.key.clone()? })
    }

    /// The value of `Strict-Transport-Security`, where it is sent.
    pub(crate) fn hsts(&self) -> Option<HeaderValue> {
        let age = self.hsts_max_age_s;
        (age > 0).then(|| HeaderValue::try_from(format!("max-age={age}")).ok()).flatten()
    }
}

/// Metrics and health.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ops {
    /// Address and port of `/metrics`, `/health` and `/ready`, never the public port; unset means loopback
    /// and port 9464, or any free port where `http.listen` takes any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<SocketAddr>,
}

/// Postgres.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    /// A `postgres://` URL; unset means a server of our own in the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// The same database without a pooler between, for migrations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) direct_url: Option<String>,
    /// True if `url` leads through a transaction-mode pooler.
    pub(crate) pooled: bool,
    /// The folder of `initdb` and `postgres`; unset means the newest installed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bin_dir: Option<PathBuf>,
    /// The most connections of this process.
    pub(crate) connections_max: u32,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // URLs hold passwords.
        f.debug_struct("Database").field("url", &self.url.as_ref().map(|_| "…")).finish_non_exhaustive()
    }
}

/// This node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node {
    /// Its name, unique in the cluster.
    pub(crate) name: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Logging, to standard error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    /// How lines look.
    pub(crate) format: LogFormat,
    /// What is logged, such as `info` or `info,ingest=debug`.
    pub(crate) filter: String,
}

/// The asynchronous runtime.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Runtime {
    /// Worker threads: 0 means one per core, 1 a current-thread runtime.
    pub(crate) threads: usize,
}

/// How the process ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shutdown {
    /// After so many seconds of waiting for viewers and broadcasts the process ends all the same.
    pub(crate) deadline_s: u64,
}

/// The port of all WebRTC media.
const MEDIA_PORT: u16 = 8189;
/// The port of metrics and health.
const OPS_PORT: u16 = 9464;

impl Default for Config {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            data: PathBuf::from("data"),
            http: Http {
                listen: loopback(8080),
                redirect_listen: None,
                trusted_proxies: Vec::new(),
                tls: Tls::default(),
            },
            media: Media::default(),
            ops: Ops { listen: None },
            database: Database { url: None, direct_url: None, pooled: false, bin_dir: None, connections_max: 16 },
            transcode: Transcode::default(),
            admission: Admission::default(),
            node: Node { name: "node-1".to_owned() },
            dvr: Dvr::default(),
            auth: AuthConfig::default(),
            mail: MailConfig::default(),
            edge: Edge::default(),
            limits: Limits::default(),
            log: Log { format: LogFormat::Text, filter: "info".to_owned() },
            runtime: Runtime { threads: 0 },
            shutdown: Shutdown { deadline_s: 10 },
        }
    }
}

impl Config {
    /// Where WebRTC media is received.
    pub(crate) fn media_listen(&self) -> SocketAddr {
        self.media.listen.unwrap_or_else(|| SocketAddr::new(self.http.listen.ip(), self.or_any(MEDIA_PORT)))
    }

    /// Where metrics and health are served.
    pub(crate) fn ops_listen(&self) -> SocketAddr {
        self.ops.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, self.or_any(OPS_PORT))))
    }

    /// The usual port, or any free one where the public port is any: two servers then run side by side.
    fn or_any(&self, usual: u16) -> u16 {
        if self.http.listen.port() == 0 { 0 } else { usual }
    }

    /// Defaults, under `file`, under the environment, under `flags`; checked.
    ///
    /// # Errors
    /// [`Exit::Usage`] with one line naming where the bad value stands, its key and the reason.
    pub(crate) fn load(file: Option<&Path>, flags: &Flags) -> Result<Self, Exit> {
        if let Some(file) = file.filter(|file| !file.is_file()) {
            return Err(Exit::Usage(format!("{}: config file not found", file.display())));
        }
        let layers = [
            file.map(|file| Figment::from(Toml::file_exact(file))),
            Some(Figment::from(Env::prefixed("HEADWATER_").ignore(&["config", "bin", "key"]).split("__"))),
            Some(flags.provider()),
        ];
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        let mut config = Self::default();
        for layer in layers.into_iter().flatten() {
            figment = figment.merge(layer);
            // After each layer, so that a bad value is told even where a later layer would hide it.
            config = figment.extract().map_err(|error| Exit::Usage(one_line(error)))?;
        }
        config.check().map_err(Exit::Usage)?;
        Ok(config)
    }

    /// Rules beyond types.
    fn check(&self) -> Result<(), String> {
        let refuse = |key: &str, reason: &str| Err(format!("config: {key}: {reason}"));
        self.transcode.check().map_err(|(key, reason)| format!("config: transcode.{key}: {reason}"))?;
        if self.node.name.is_empty() || self.node.name.len() > 64 {
            return refuse("node.name", "must have 1 to 64 characters");
        }
        self.limits.check().map_err(|(key, reason)| format!("config: limits.{key}: {reason}"))?;
        self.check_tls()?;
        self.admission.hook().map_err(|(key, reason)| format!("config: admission.{key}: {reason}"))?;
        let checked = dvr::check(&self.dvr).and_then(|()| self.auth.check()).and_then(|()| self.mail.check());
        let checked = checked.and_then(|()| self.edge.check());
        checked.map_err(|(key, reason)| format!("config: {key}: {reason}"))?;
        self.media.ice_servers().map_err(|reason| format!("config: media.ice_servers: {reason}"))?;
        if !(1..=200).contains(&self.database.connections_max) {
            return refuse("database.connections_max", "must be 1 to 200");
        }
        if self.database.direct_url.is_some() && self.database.url.is_none() {
            return refuse("database.direct_url", "needs database.url");
        }
        if self.shutdown.deadline_s > 3600 {
            return refuse("shutdown.deadline_s", "must be at most 3600");
        }
        Ok(())
    }
}

impl Config {
    fn check_tls(&self) -> Result<(), String> {
        let refuse = |key: &str, reason: &str| Err(format!("config: {key}: {reason}"));
        match (&self.http.tls.certificate, &self.http.tls.key) {
            (Some(_), None) => return refuse("http.tls.key", "is missing beside http.tls.certificate"),
            (None, Some(_)) => return refuse("http.tls.certificate", "is missing beside http.tls.key"),
            (None, None) if self.http.redirect_listen.is_some() => {
                return refuse("http.redirect_listen", "needs http.tls.certificate and http.tls.key");
            }
            (None, None) if self.http.tls.hsts_max_age_s > 0 => {
                return refuse("http.tls.hsts_max_age_s", "needs http.tls.certificate and http.tls.key");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Values given on the command line; they win over everything.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Flags {
    /// The folder under which everything lies that the process writes.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address and port of the public HTTP server.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Address and port of the UDP socket of WebRTC media.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) media_listen: Option<SocketAddr>,
    /// Address and port of metrics and health.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) ops_listen: Option<SocketAddr>,
}

impl Flags {
    /// The flags as a layer over the other sources.
    fn provider(&self) -> Figment {
        let mut figment = Figment::new();
        let mut set = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                figment = std::mem::take(&mut figment).merge(Serialized::default(key, value));
            }
        };
        set("data", self.data.as_ref().map(|path| path.display().to_string()));
        set("http.listen", self.listen.map(|address| address.to_string()));
        set("media.listen", self.media_listen.map(|address| address.to_string()));
        set("ops.listen", self.ops_listen.map(|address| address.to_string()));
        figment
    }
}

/// The first of figment's errors as one line: source, key, reason. Never the value, which may be a secret.
fn one_line(error: figment::Error) -> String {
    use figment::error::Kind;
    let place = error.metadata.as_ref().map_or_else(
        || "config".to_owned(),
        |metadata| match &metadata.source {
            Some(figment::Source::File(path)) => path.display().to_string(),
            _ => metadata.name.to_string(),
        },
    );
    let key = error.path.join(".");
    let reason = match error.kind {
        Kind::UnknownField(field, _) => return format!("{place}: {}: unknown key", dotted(&key, &field)),
        Kind::InvalidType(_, expected) => format!("must be {expected}"),
        Kind::InvalidValue(_, expected) => format!("must be {expected}"),
        Kind::UnknownVariant(_, known) => format!("must be one of {}", known.join(", ")),
        Kind::MissingField(field) => return format!("{place}: {}: is missing", dotted(&key, &field)),
        Kind::Message(message) => message.replace('\n', " "),
        other => other.to_string().replace('\n', " "),
    };
    if key.is_empty() { format!("{place}: {reason}") } else { format!("{place}: {key}: {reason}") }
}

fn dotted(path: &str, field: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or_default();
    match path {
        "" => field.to_owned(),
        _ if last == field => path.to_owned(),
        _ => format!("{path}.{field}"),
    }
}

#[cfg(test)]
mod tests;
