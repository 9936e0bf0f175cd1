//! Answers per second of server CPU, of the node and of nginx with the same bytes as files.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use benches::client::{Accept, Connection};
use benches::figure::void_reason;
use benches::machine::{self, Stretch};
use benches::nginx::Nginx;
use benches::node::Node;
use benches::playlist::Listing;
use benches::process::{Process, cpu_s_of};
use serde::Serialize;

use crate::load::{Load, Targets};

/// Sent besides what nginx would send, so that both answers are as long.
const NGINX: &str = "  server {
    listen {listen};
    root {folder};
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    open_file_cache max=1000;
    gzip_static on;
    add_header Access-Control-Allow-Origin *;
    add_header Access-Control-Expose-Headers \"Date, Age, Content-Length, Content-Range, ETag\";
    location ~ \\.m3u8$ { add_header Cache-Control max-age=1; add_header Access-Control-Allow-Origin *;
      add_header Access-Control-Expose-Headers \"Date, Age, Content-Length, Content-Range, ETag\"; }
    location / { add_header Cache-Control \"max-age=1209600, immutable\"; add_header Access-Control-Allow-Origin *;
      add_header Access-Control-Expose-Headers \"Date, Age, Content-Length, Content-Range, ETag\"; }
  }";
/// The newest so many segments are asked for, in turn.
const SEGMENTS: usize = 5;
/// And so many parts.
const PARTS: usize = 12;
/// How long the node is watched without load.
const BASE: Duration = Duration::from_secs(3);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Segment,
    Part,
    Playlist,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Segment, Self::Part, Self::Playlist];
}

/// One server under load.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Side {
    pub(crate) requests: u64,
    pub(crate) bytes_each: u64,
    pub(crate) wall_s: f64,
    /// User and system time of the server, less what it took for the same time without load.
    pub(crate) cpu_s: f64,
    /// What was taken off for that.
    pub(crate) base_cpu_s: f64,
    pub(crate) idle_before: f64,
    pub(crate) others: f64,
}

impl Side {
    pub(crate) fn per_cpu_s(&self) -> f64 {
        count(self.requests) / self.cpu_s
    }

    pub(crate) fn per_s(&self) -> f64 {
        count(self.requests) / self.wall_s
    }
}

/// Both under the same load, one after the other.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Pair {
    pub(crate) kind: Kind,
    pub(crate) node: Side,
    pub(crate) nginx: Side,
    pub(crate) ratio: f64,
}

impl Pair {
    pub(crate) fn void(&self) -> impl Iterator<Item = String> {
        let reason = |name: &str, side: &Side| {
            void_reason(&format!("{:?}s of {name}", self.kind), side.idle_before, side.others)
        };
        reason("the node", &self.node).into_iter().chain(reason("nginx", &self.nginx))
    }
}

/// Both servers, and what they serve.
pub(crate) struct Peers<'a> {
    pub(crate) node: &'a Node,
    nginx: Nginx,
    files: &'a Path,
    /// The path of the node's media playlist.
    playlist: &'a str,
    connections: usize,
    length: Duration,
}

impl<'a> Peers<'a> {
    /// nginx serves what is put into `folder`.
    pub(crate) fn start(
        node: &'a Node,
        folder: &'a Path,
        playlist: &'a str,
        connections: usize,
        length: Duration,
    ) -> Result<Self> {
        let nginx = Nginx::start(folder, &NGINX.replace("{folder}", &folder.display().to_string()))?;
        Ok(Self { node, nginx, files: folder, playlist, connections, length })
    }

    /// One stretch of load on each.
    pub(crate) async fn pair(&self, kind: Kind) -> Result<Pair> {
        let names = self.copy(kind).await?;
        let accept = if kind == Kind::Playlist { Accept::Gzip } else { Accept::Identity };
        let (folder, _) = self.playlist.rsplit_once('/').context("a path has a folder")?;
        let here = names.iter().map(|name| format!("{folder}/{name}")).collect();
        let there = names.iter().map(|name| format!("/{name}")).collect();
        let base = self.base_rate().await?;
        let watched = self.node.family()?;
        let targets = Targets { paths: here, accept };
        let node = self.side(self.node.http, &[self.node.process()], &watched, base, targets).await?;
        let serving = self.nginx.family()?;
        let both: Vec<Process> = serving.iter().copied().chain(watched.iter().copied()).collect();
        let nginx = self.side(self.nginx.address, &serving, &both, 0.0, Targets { paths: there, accept }).await?;
        Ok(Pair { kind, node, nginx, ratio: node.per_cpu_s() / nginx.per_cpu_s() })
    }

    /// The node's CPU without load, in seconds per second.
    async fn base_rate(&self) -> Result<f64> {
        let before = self.node.process().cpu_s()?;
        tokio::time::sleep(BASE).await;
        Ok((self.node.process().cpu_s()? - before) / BASE.as_secs_f64())
    }

    /// `family` is everything that belongs to the bench besides this process.
    async fn side(
        &self,
        to: SocketAddr,
        server: &[Process],
        family: &[Process],
        base: f64,
        targets: Targets,
    ) -> Result<Side> {
        let load = Load::open(to, self.connections).await?;
        let idle_before = machine::idle_share()?;
        let ours: Vec<Process> = family.iter().copied().chain([Process::own()]).collect();
        let (stretch, before, ours_before) = (Stretch::begin()?, cpu_s_of(server)?, cpu_s_of(&ours)?);
        let done = load.run(&targets, self.length).await?;
        let (busy, after, ours_after) = (stretch.end()?, cpu_s_of(server)?, cpu_s_of(&ours)?);
        let base_cpu_s = base * done.wall_s;
        ensure!(done.requests > 0, "no answer within {:?}", self.length);
        Ok(Side {
            requests: done.requests,
            bytes_each: done.bytes / done.requests,
            wall_s: done.wall_s,
            cpu_s: after - before - base_cpu_s,
            base_cpu_s,
            idle_before,
            others: busy.others(ours_after - ours_before),
        })
    }

    /// Puts what the node lists now into nginx's folder; returns the names.
    async fn copy(&self, kind: Kind) -> Result<Vec<String>> {
        let mut connection = Connection::open(self.node.http, None).await?;
        let playlist = connection.get(self.playlist).await?;
        ensure!(playlist.status == 200, "GET {}: {}", self.playlist, playlist.status);
        if kind == Kind::Playlist {
            fs::write(self.files.join("index.m3u8"), &playlist.body)?;
            let status =
                std::process::Command::new("gzip").args(["-kf", "index.m3u8"]).current_dir(self.files).status();
            ensure!(status.context("no gzip command")?.success(), "gzip failed");
            return Ok(vec!["index.m3u8".to_owned()]);
        }
        let listing = Listing::read(&String::from_utf8_lossy(&playlist.body));
        let (listed, wanted) =
            if kind == Kind::Segment { (listing.segments, SEGMENTS) } else { (listing.parts, PARTS) };
        let names = listed[listed.len().saturating_sub(wanted)..].to_vec();
        ensure!(!names.is_empty(), "{} lists no {kind:?}", self.playlist);
        let (folder, _) = self.playlist.rsplit_once('/').context("a path has a folder")?;
        for name in &names {
            let object = connection.get(&format!("{folder}/{name}")).await?;
            ensure!(object.status == 200, "GET {name}: {}", object.status);
            fs::write(self.files.join(name), &object.body)?;
        }
        Ok(names)
    }
}

#[allow(clippy::cast_precision_loss)] // far below 2^52
fn count(requests: u64) -> f64 {
    requests as f64
}
