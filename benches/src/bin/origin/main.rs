//! What a node's viewers cost: against nginx with the same bytes, and held by the thousand.
//!
//! The figure is server CPU, not speed: the load comes from the same machine. JSON goes to standard
//! output, a table to standard error.

mod compare;
mod held;
mod load;

use std::time::Duration;

use anyhow::Result;
use benches::figure::{Bar, Common, Figure, Report, void_reason};
use benches::node::{Node, Picture, Wish, raise_descriptors};
use benches::summary::median;
use clap::Parser;
use serde::Serialize;

use compare::{Kind, Pair, Peers};
use held::{Outcome, Setting};

/// The node may take this much more CPU than nginx: answers per CPU-second of both.
const RATIO_MIN: f64 = 0.8;
const RATIO_AIM: f64 = 1.0;
/// How late the last but ten of a thousand held reloads may be answered, in milliseconds.
const WAKE_MAX_MS: f64 = 50.0;
const WAKE_AIM_MS: f64 = 25.0;
/// Releasing all may take this much longer than answering as many that are not held.
const RELEASE_MAX: f64 = 1.5;
/// Memory of the node for each held reload, in kB.
const MEMORY_MAX_KB: f64 = 20.0;
const MEMORY_AIM_KB: f64 = 8.0;
/// The one broadcast.
const PICTURE: Picture = Picture { width: 640, height: 360, kbits: 1_500 };
const RUNGS: [(u32, u32); 1] = [(360, 1_500_000)];

/// What a node's viewers cost.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// How many rounds of load on each server.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The length of one load in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    seconds: u32,
    /// How many connections make the load.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How many blocking reloads are held at once, one number after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 5_000, 20_000])]
    held: Vec<usize>,
    /// Threads of the load generator.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

#[derive(Debug, Serialize)]
struct Details {
    connections: usize,
    generator_threads: usize,
    descriptors: u64,
    rounds: Vec<Pair>,
    held: Vec<Outcome>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let descriptors = raise_descriptors()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(arguments.threads).enable_all().build()?;
    let details = runtime.block_on(measure(&arguments, descriptors))?;
    let void = void(&details);
    Report::new("origin", void, figures(&details), details)?.publish(&arguments.common.results)
}

async fn measure(arguments: &Arguments, descriptors: u64) -> Result<Details> {
    let node = Node::start(&arguments.common.binary)?;
    let channel = node.channel("bench-origin", Wish { profile: "low", rungs: &RUNGS }).await?;
    let mut publisher = node.publish(&channel, PICTURE)?;
    let (video, _) = node.renditions(&channel).await?;
    let playlist = video.first().map(String::as_str).unwrap_or_default();
    // Some complete segments to ask for.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let rounds = compare_all(arguments, &node, playlist).await?;
    publisher.check()?;
    let setting = Setting { node: &node, playlist, memory_before: node.process().memory_bytes()?, descriptors };
    let mut held = Vec::new();
    for &number in &arguments.held {
        held.push(setting.hold(number).await?);
        publisher.check()?;
    }
    Ok(Details { connections: arguments.connections, generator_threads: arguments.threads, descriptors, rounds, held })
}

async fn compare_all(arguments: &Arguments, node: &Node, playlist: &str) -> Result<Vec<Pair>> {
    let folder = tempfile::Builder::new().prefix("headwater-bench-nginx-").tempdir()?;
    let length = Duration::from_secs(arguments.seconds.into());
    let peers = Peers::start(node, folder.path(), playlist, arguments.connections, length)?;
    let mut rounds = Vec::new();
    for round in 1..=arguments.runs {
        for kind in Kind::ALL {
            let pair = peers.pair(kind).await?;
            eprintln!(
                "round {round}: {kind:?} of {} bytes, {:.0} and {:.0} per CPU-second, {:.2} × nginx",
                pair.node.bytes_each,
                pair.node.per_cpu_s(),
                pair.nginx.per_cpu_s(),
                pair.ratio
            );
            rounds.push(pair);
        }
    }
    Ok(rounds)
}

fn figures(details: &Details) -> Vec<Figure> {
    let mut figures: Vec<Figure> = Kind::ALL.into_iter().flat_map(|kind| of_kind(&details.rounds, kind)).collect();
    let rate = median(rounds_of(&details.rounds, Kind::Playlist).map(|pair| pair.node.per_s()));
    let mut outcomes = details.held.iter().peekable();
    while let Some(outcome) = outcomes.next() {
        figures.extend(of_held(outcome, rate));
        if outcomes.peek().is_none() {
            figures.push(
                Figure::new(format!("memory per held reload at {}", outcome.held), outcome.memory_each_kb, "kB")
                    .with_bar(Bar::AtMost(MEMORY_MAX_KB))
                    .with_aim(MEMORY_AIM_KB),
            );
        }
    }
    figures
}

fn rounds_of(rounds: &[Pair], kind: Kind) -> impl Iterator<Item = &Pair> {
    rounds.iter().filter(move |pair| pair.kind == kind)
}

fn of_kind(rounds: &[Pair], kind: Kind) -> Vec<Figure> {
    let of = |pick: fn(&Pair) -> f64| median(rounds_of(rounds, kind).map(pick));
    let name = format!("{kind:?}").to_lowercase();
    let ratio = Figure::new(format!("{name}s per server CPU-second, ratio to nginx"), of(|pair| pair.ratio), "×");
    let ratio = if kind == Kind::Part { ratio } else { ratio.with_bar(Bar::AtLeast(RATIO_MIN)).with_aim(RATIO_AIM) };
    vec![
        ratio,
        Figure::new(format!("{name}s per server CPU-second"), of(|pair| pair.node.per_cpu_s()), "1/s"),
        Figure::new(format!("{name}s per server CPU-second of nginx"), of(|pair| pair.nginx.per_cpu_s()), "1/s"),
    ]
}

/// `rate` is how many playlists per second the node answers that are not held.
fn of_held(outcome: &Outcome, rate: f64) -> Vec<Figure> {
    let number = outcome.held;
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    let (held, failures) = (number as f64, outcome.failures as f64);
    let wake = outcome.wake_ms.map_or(f64::NAN, |spread| spread.p99);
    let wake = Figure::new(format!("{number} held reloads, wake p99"), wake, "ms");
    let wake = if number <= 1_000 { wake.with_bar(Bar::AtMost(WAKE_MAX_MS)).with_aim(WAKE_AIM_MS) } else { wake };
    let released = Figure::new(format!("{number} held reloads, all released"), outcome.released_ms, "ms");
    let released = match number {
        1_001..=10_000 => released.with_bar(Bar::AtMost(RELEASE_MAX * 1000.0 * held / rate)),
        _ => released,
    };
    let failures = Figure::new(format!("{number} held reloads, failures"), failures, "").with_bar(Bar::AtMost(0.0));
    vec![wake, released, failures]
}

fn void(details: &Details) -> Vec<String> {
    let held = details.held.iter().filter_map(|outcome| {
        let busy = void_reason(&format!("{} held", outcome.held), outcome.idle_before, outcome.others);
        let placed = (outcome.placed < outcome.held)
            .then(|| format!("only {} of {} were held when the first was released", outcome.placed, outcome.held));
        busy.or(placed)
    });
    details.rounds.iter().flat_map(Pair::void).chain(held).collect()
}
