//! Many blocking reloads held at once, and all released by one part.
//!
//! One HTTP/1.1 connection each, as far as descriptors go; the rest are streams of HTTP/2 connections.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use benches::client::{Accept, Connection, Counted};
use benches::machine::{self, Stretch};
use benches::node::Node;
use benches::playlist::Listing;
use benches::process::{Process, cpu_s_of};
use benches::summary::Spread;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Connections from one source address: below `limits.connections_per_address`, and the number of its ports.
const PER_ADDRESS: usize = 900;
/// Descriptors that a node needs for other things: its database, workers, sockets.
const SPARE_DESCRIPTORS: usize = 600;
/// Streams of one HTTP/2 connection; a node allows 256.
const STREAMS: usize = 250;
/// So many requests can surely be placed in a second, also where everything is slow.
const PLACED_PER_S: usize = 5_000;
/// An answer within this, or it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);
/// Tries until all requests were placed before the first was released.
const TRIES: usize = 5;
/// The gauge of the node that counts them.
const HELD: &str = "headwater_origin_held_requests";

/// What came of one number of them.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) held: usize,
    /// How many of them were streams of HTTP/2.
    http2_streams: usize,
    /// How many the node counted just before it released them.
    pub(crate) placed: usize,
    /// Answers that were not 200, or none at all.
    pub(crate) failures: usize,
    /// From the first answer's head to each one's, in milliseconds.
    pub(crate) wake_ms: Option<Spread>,
    /// From the first answer's head to the end of the last, in milliseconds.
    pub(crate) released_ms: f64,
    /// The node's resident memory before any connection was opened, in bytes.
    memory_before: u64,
    /// With all connections open, each used once.
    memory_connected: u64,
    /// With all requests held.
    memory_held: u64,
    /// More than before, for each of them, in kB of 1,000 bytes.
    pub(crate) memory_each_kb: f64,
    /// The node's CPU from the release on, for each of them, in microseconds.
    cpu_each_us: f64,
    pub(crate) idle_before: f64,
    pub(crate) others: f64,
    tries: usize,
}

/// What all numbers have in common.
pub(crate) struct Setting<'a> {
    pub(crate) node: &'a Node,
    pub(crate) playlist: &'a str,
    /// The node's memory before anything was held.
    pub(crate) memory_before: u64,
    /// How many descriptors a process may have.
    pub(crate) descriptors: u64,
}

/// One place from which a request is made.
enum Line {
    Http1(Connection),
    Http2(http2::SendRequest<Empty<Bytes>>, SocketAddr),
}

impl Setting<'_> {
    /// Holds so many, and watches them being released.
    pub(crate) async fn hold(&self, held: usize) -> Result<Outcome> {
        let idle_before = machine::idle_share()?;
        let mut drivers = JoinSet::new();
        let mut lines = self.open(held, &mut drivers).await?;
        let memory_connected = self.node.process().memory_bytes()?;
        for tries in 1..=TRIES {
            let round = self.round(lines).await?;
            let all_placed = round.placed == held && round.answers.iter().all(|(_, answer)| answer.is_some());
            if all_placed || tries == TRIES {
                return Ok(self.outcome(&round, held, memory_connected, idle_before, tries));
            }
            lines = round.answers.into_iter().map(|(line, _)| line).collect();
        }
        bail!("no try was made")
    }

    async fn open(&self, held: usize, drivers: &mut JoinSet<()>) -> Result<Vec<Line>> {
        let room = usize::try_from(self.descriptors)?.saturating_sub(SPARE_DESCRIPTORS);
        let single = held.min(room);
        let mut lines = Vec::with_capacity(held);
        for index in 0..single {
            let last = u8::try_from(2 + index / PER_ADDRESS)?;
            let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
            let mut connection = Connection::open(self.node.http, Some(from)).await?;
            // Used once, so that what a connection costs is there.
            let counted = connection.count(self.playlist, Accept::Gzip).await?;
            ensure!(counted.status == StatusCode::OK, "GET {}: {}", self.playlist, counted.status);
            lines.push(Line::Http1(connection));
        }
        while lines.len() < held {
            let stream = TcpStream::connect(self.node.http).await?;
            let (sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            // A broken connection shows in its requests.
            drivers.spawn(async move { drop(driver.await) });
            let count = STREAMS.min(held - lines.len());
            lines.extend((0..count).map(|_| Line::Http2(sender.clone(), self.node.http)));
        }
        Ok(lines)
    }

    async fn round(&self, lines: Vec<Line>) -> Result<Round> {
        let held = lines.len();
        let (go, gone) = watch::channel(None::<String>);
        let mut tasks = JoinSet::new();
        for line in lines {
            tasks.spawn(wait(line, gone.clone()));
        }
        let query = self.directive(held).await?;
        let family: Vec<Process> = self.node.family()?.into_iter().chain([Process::own()]).collect();
        let (began, stretch, ours) = (Instant::now(), Stretch::begin()?, cpu_s_of(&family)?);
        go.send(Some(format!("{}{query}", self.playlist)))?;
        let (mut placed, mut memory_held) = (0, 0);
        // The first to end is the first to be released.
        let mut joined = loop {
            tokio::select! {
                biased;
                first = tasks.join_next() => break first.context("nobody waits")??,
                () = tokio::time::sleep(Duration::from_millis(20)), if placed < held => {
                    placed = self.count_held().await?;
                    memory_held = self.node.process().memory_bytes()?;
                }
            }
        };
        let placing_s = began.elapsed().as_secs_f64();
        let cpu = self.node.process().cpu_s()?;
        let mut answers = Vec::with_capacity(held);
        loop {
            answers.push(joined);
            let Some(next) = tasks.join_next().await else { break };
            joined = next?;
        }
        let others = stretch.end()?.others(cpu_s_of(&family)? - ours);
        let cpu_s = self.node.process().cpu_s()? - cpu;
        eprintln!("{placed} of {held} held, released after {placing_s:.2} s by {query}");
        Ok(Round { answers, placed, memory_held, cpu_s, others })
    }

    async fn count_held(&self) -> Result<usize> {
        let held = self.node.metric(HELD).await?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small whole number
        Ok(held.max(0.0) as usize)
    }

    /// Waits for a segment's first part, and returns what asks for something far enough ahead for `held` requests
    /// to be placed.
    async fn directive(&self, held: usize) -> Result<String> {
        let mut connection = Connection::open(self.node.http, None).await?;
        let mut query = String::new();
        loop {
            let answer = connection.get(&format!("{}{query}", self.playlist)).await?;
            ensure!(answer.status == StatusCode::OK, "the broadcast: {}", answer.status);
            let listing = Listing::read(&String::from_utf8_lossy(&answer.body));
            if !query.is_empty() && listing.open_parts == 1 {
                return Ok(ahead(&listing, held));
            }
            query = listing.next_query();
        }
    }

    fn outcome(&self, round: &Round, held: usize, memory_connected: u64, idle_before: f64, tries: usize) -> Outcome {
        let good: Vec<&Counted> = round.answers.iter().filter_map(|(_, answer)| answer.as_ref()).collect();
        let first = good.iter().map(|answer| answer.head_at).min();
        let since = |at: Instant| first.map_or(0.0, |first| (at - first).as_secs_f64() * 1000.0);
        #[allow(clippy::cast_precision_loss)] // far below 2^52
        let per = |total: f64| total / held as f64;
        #[allow(clippy::cast_precision_loss)]
        let grown = round.memory_held.saturating_sub(self.memory_before) as f64;
        Outcome {
            held,
            http2_streams: round.answers.iter().filter(|(line, _)| matches!(line, Line::Http2(..))).count(),
            placed: round.placed,
            failures: held - good.len(),
            wake_ms: Spread::of(good.iter().map(|answer| since(answer.head_at))),
            released_ms: good.iter().map(|answer| since(answer.done_at)).fold(0.0, f64::max),
            memory_before: self.memory_before,
            memory_connected,
            memory_held: round.memory_held,
            memory_each_kb: per(grown / 1000.0),
            cpu_each_us: per(round.cpu_s * 1e6),
            idle_before,
            others: round.others,
            tries,
        }
    }
}

struct Round {
    answers: Vec<(Line, Option<Counted>)>,
    placed: usize,
    memory_held: u64,
    cpu_s: f64,
    others: f64,
}

/// A part that comes late enough; where even the farthest part that may be asked for is too near, a segment.
fn ahead(listing: &Listing, held: usize) -> String {
    let target_ms = listing.part_target_ms.max(1);
    let needed_ms = 200 + 1000 * held / PLACED_PER_S;
    // The Advance Part Limit: three seconds of parts (rfc8216bis 6.2.5.2). One less, as one may come meanwhile.
    let most = (3_000 / target_ms).saturating_sub(1);
    let parts = u64::try_from(needed_ms).unwrap_or(u64::MAX).div_ceil(target_ms) + 1;
    if parts > most {
        return format!("?_HLS_msn={}", listing.next_msn + 1);
    }
    format!("?_HLS_msn={}&_HLS_part={}", listing.next_msn, listing.open_parts + parts - 1)
}

/// Waits for the word, asks, and reads the answer; `None` if there is no good one.
async fn wait(mut line: Line, mut go: watch::Receiver<Option<String>>) -> (Line, Option<Counted>) {
    let path = match go.wait_for(Option::is_some).await {
        Ok(path) => path.clone().unwrap_or_default(),
        Err(_gone) => return (line, None),
    };
    let counted = tokio::time::timeout(PATIENCE, line.count(&path)).await;
    let good = counted.ok().and_then(Result::ok).filter(|counted| counted.status == StatusCode::OK);
    (line, good)
}

impl Line {
    async fn count(&mut self, path: &str) -> Result<Counted> {
        match self {
            Self::Http1(connection) => connection.count(path, Accept::Gzip).await,
            Self::Http2(sender, host) => {
                let request = Request::get(format!("http://{host}{path}")).header("accept-encoding", "gzip");
                sender.ready().await?;
                let response = sender.send_request(request.body(Empty::new())?).await?;
                Counted::read(response).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_far_enough_and_not_too_far() {
        let listing = Listing { next_msn: 8, open_parts: 1, part_target_ms: 342, ..Listing::default() };
        assert_eq!(ahead(&listing, 1_000), "?_HLS_msn=8&_HLS_part=3");
        assert_eq!(ahead(&listing, 5_000), "?_HLS_msn=8&_HLS_part=5");
        assert_eq!(ahead(&listing, 20_000), "?_HLS_msn=9");
    }
}
