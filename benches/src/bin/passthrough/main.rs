//! What a stream costs whose pictures are passed through, against an `ffmpeg` that copies the same stream.
//!
//! Both read it by RTP, encode its sound to AAC and write HLS. The figure is all processes that do so: the node and its
//! workers, and the receiving `ffmpeg`. JSON goes to standard output, a table to standard error.

mod peer;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use benches::figure::{Bar, Common, Figure, Report, void_reason};
use benches::machine::{self, Stretch};
use benches::node::{Node, Wish};
use benches::process::{Process, cpu_s_of};
use benches::publisher::Clip;
use benches::streams::{self, Publishers};
use benches::summary::{mebibytes, median};
use clap::Parser;
use serde::Serialize;
use tokio::time::Instant;

use peer::Peer;

/// CPU of the node and its workers against `ffmpeg`.
const RATIO_MAX: f64 = 1.5;
const RATIO_AIM: f64 = 1.0;
/// The source's own size, with room above its bit rate: nothing is left to encode.
const RUNGS: [(u32, u32); 1] = [(720, 4_000_000)];
/// How many renditions the node passes through now.
const PASSED: &str = "headwater_passthrough_active";
/// How often a source began or ceased to be passed through.
const TURNS: &str = "headwater_passthrough_turns_total";
/// A source has proven itself within this.
const PASSED_LIMIT: Duration = Duration::from_secs(60);
/// How often it is looked whether it has.
const PASSED_LOOK: Duration = Duration::from_millis(200);

/// What a stream costs whose pictures are passed through.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// How many streams at once, one number after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 50])]
    streams: Vec<u16>,
    #[command(flatten)]
    plan: streams::Plan,
}

/// One side at one number.
#[derive(Debug, Serialize)]
struct Side {
    /// CPU of one core for each stream, in percent; a stretch each.
    percent: Vec<f64>,
    memory_mib: f64,
    idle: Vec<f64>,
    others: Vec<f64>,
    /// How often a stream began or ceased to be passed through meanwhile.
    turns: f64,
}

#[derive(Debug, Serialize)]
struct Outcome {
    streams: u16,
    idle_before: f64,
    ours: Side,
    peers: Side,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcomes = runtime.block_on(measure(&arguments))?;
    let (void, figures) = (void(&outcomes), figures(&outcomes));
    Report::new("passthrough", void, figures, outcomes)?.publish(&arguments.common.results)
}

async fn measure(arguments: &Arguments) -> Result<Vec<Outcome>> {
    let source = streams::source(&arguments.plan.folder)?;
    let file = peer::clip(&arguments.plan.folder, &source)?;
    let clip = streams::clip(source);
    let mut outcomes = Vec::new();
    for &streams in &arguments.streams {
        let idle_before = machine::idle_share()?;
        let peers = peers(streams, &file, arguments).await.with_context(|| format!("{streams} of ffmpeg"))?;
        let ours = ours(streams, &clip, arguments).await.with_context(|| format!("{streams} streams"))?;
        eprintln!("{streams} streams: {:.2} % each, ffmpeg {:.2} %", of(&ours.percent), of(&peers.percent));
        outcomes.push(Outcome { streams, idle_before, ours, peers });
    }
    Ok(outcomes)
}

async fn peers(streams: u16, clip: &Path, arguments: &Arguments) -> Result<Side> {
    let folder = tempfile::tempdir()?;
    let mut peers = peer::start(folder.path(), clip, streams)?;
    tokio::time::sleep(Duration::from_secs(arguments.plan.settle.into())).await;
    let receivers: Vec<Process> = peers.iter().map(Peer::receiver).collect();
    let side = side(&receivers, &Process::own().family()?.into_keys().collect::<Vec<_>>(), 0, streams, arguments).await;
    peers.iter_mut().try_for_each(Peer::check)?;
    side
}

async fn ours(streams: u16, clip: &Clip, arguments: &Arguments) -> Result<Side> {
    let node = Node::start(&arguments.common.binary)?;
    let without = node.process().memory_bytes()?;
    let mut publishers = Publishers::new(&node, clip.clone());
    for number in 1..=streams {
        let wish = Wish { profile: "low", rungs: &RUNGS };
        publishers.add(node.channel(&format!("bench-passthrough-{streams}-{number}"), wish).await?);
        publishers.during(until_passed(&node, number)).await?;
    }
    let side = publishers.during(all_passed(&node, streams, without, arguments)).await?;
    publishers.stop().await?;
    Ok(side)
}

/// Waits until so many streams are passed through.
async fn until_passed(node: &Node, streams: u16) -> Result<()> {
    let began = Instant::now();
    loop {
        let now = node.metric(PASSED).await?;
        if now >= f64::from(streams) {
            return Ok(());
        }
        ensure!(began.elapsed() < PASSED_LIMIT, "{now} of {streams} streams are passed through");
        tokio::time::sleep(PASSED_LOOK).await;
    }
}

/// Measures while all are passed through.
async fn all_passed(node: &Node, streams: u16, without: u64, arguments: &Arguments) -> Result<Side> {
    tokio::time::sleep(Duration::from_secs(arguments.plan.settle.into())).await;
    until_passed(node, streams).await?;
    let turns = node.metric(TURNS).await?;
    let work: Vec<Process> = std::iter::once(node.process()).chain(node.workers()?).collect();
    let family: Vec<Process> = node.family()?.into_iter().chain([Process::own()]).collect();
    let side = side(&work, &family, without, streams, arguments).await?;
    Ok(Side { turns: node.metric(TURNS).await? - turns, ..side })
}

/// What `work` takes for each stream; `family` is all that belongs to the bench, `without` the memory without streams.
async fn side(work: &[Process], family: &[Process], without: u64, streams: u16, arguments: &Arguments) -> Result<Side> {
    let mut side = Side { percent: Vec::new(), memory_mib: 0.0, idle: Vec::new(), others: Vec::new(), turns: 0.0 };
    for _ in 0..arguments.plan.runs {
        let (stretch, before) = (Stretch::begin()?, [cpu_s_of(work)?, cpu_s_of(family)?]);
        tokio::time::sleep(Duration::from_secs(arguments.plan.seconds.into())).await;
        let (busy, after) = (stretch.end()?, [cpu_s_of(work)?, cpu_s_of(family)?]);
        side.percent.push(100.0 * (after[0] - before[0]) / busy.wall_s / f64::from(streams));
        side.idle.push(busy.idle);
        side.others.push(busy.others(after[1] - before[1]));
    }
    let memory = work.iter().map(|process| process.memory_bytes()).sum::<Result<u64>>()?.saturating_sub(without);
    side.memory_mib = mebibytes(memory) / f64::from(streams);
    Ok(side)
}

fn of(values: &[f64]) -> f64 {
    median(values.iter().copied())
}

fn figures(outcomes: &[Outcome]) -> Vec<Figure> {
    let of_one = |Outcome { streams, ours, peers, .. }: &Outcome| {
        let (our_cpu, peers_cpu) = (of(&ours.percent), of(&peers.percent));
        let name = |what: &str| format!("{streams} streams, {what}");
        let ratio = Figure::new(name("CPU against ffmpeg"), our_cpu / peers_cpu, "");
        // One stream bears the whole node.
        let ratio = if *streams < 10 { ratio } else { ratio.with_bar(Bar::AtMost(RATIO_MAX)).with_aim(RATIO_AIM) };
        vec![
            ratio,
            Figure::new(name("CPU of one core each"), our_cpu, "%"),
            Figure::new(name("CPU of one core each, ffmpeg"), peers_cpu, "%"),
            Figure::new(name("memory each, workers included"), ours.memory_mib, "MiB"),
            Figure::new(name("memory each, ffmpeg"), peers.memory_mib, "MiB"),
        ]
    };
    outcomes.iter().flat_map(of_one).collect()
}

fn void(outcomes: &[Outcome]) -> Vec<String> {
    let of_side = |outcome: &Outcome, side: &Side, name: &str| {
        let runs = side.idle.iter().zip(&side.others);
        let what = format!("{} streams, {name}", outcome.streams);
        let busy = runs.filter_map(|(idle, others)| void_reason(&what, idle.min(outcome.idle_before), *others));
        let encoded = (side.turns > 0.0).then(|| format!("{what}: not all were passed through all the time"));
        busy.chain(encoded).collect::<Vec<_>>()
    };
    let of_one = |outcome: &Outcome| {
        [of_side(outcome, &outcome.ours, "ours"), of_side(outcome, &outcome.peers, "ffmpeg")].concat()
    };
    outcomes.iter().flat_map(of_one).collect()
}
