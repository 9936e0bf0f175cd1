//! What publishers cost a node: CPU and memory for each WHIP stream.
//!
//! The streams were encoded before, so that the generator only sends. The figure is the node's own
//! process; the transcode workers, one process each, stand apart. JSON goes to standard output, a
//! table to standard error.

use std::time::Duration;

use anyhow::{Context, Result};
use benches::figure::{Bar, Common, Figure, Report, void_reason};
use benches::machine::{self, Stretch};
use benches::node::{Channel, Node, Wish};
use benches::process::{Process, cpu_s_of};
use benches::publisher::Clip;
use benches::streams::{self, Publishers};
use benches::summary::{mebibytes, median};
use clap::Parser;
use serde::Serialize;

/// CPU of one core for each stream, in percent.
const CPU_MAX: f64 = 3.0;
const CPU_AIM: f64 = 1.5;
/// The smallest rung there is: encoding is not what is measured.
const RUNGS: [(u32, u32); 1] = [(64, 50_000)];

/// What publishers cost a node.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// How many publishers at once, one number after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10])]
    publishers: Vec<u32>,
    #[command(flatten)]
    plan: streams::Plan,
}

/// One stretch.
#[derive(Debug, Clone, Copy, Serialize)]
struct Run {
    /// CPU of one core for each stream, in percent, less what the node takes without any.
    node_percent: f64,
    worker_percent: f64,
    generator_percent: f64,
    idle: f64,
    others: f64,
}

/// One number of publishers.
#[derive(Debug, Serialize)]
struct Outcome {
    publishers: u32,
    runs: Vec<Run>,
    /// The node's resident memory more than without any publisher, for each, in MiB.
    node_memory_mib: f64,
    /// The resident memory of one worker, in MiB.
    worker_memory_mib: f64,
    idle_before: f64,
}

#[derive(Debug, Serialize)]
struct Details {
    video_bitrate: u32,
    memory_without_mib: f64,
    /// CPU of one core that the node takes without publishers, in percent.
    idle_percent: f64,
    outcomes: Vec<Outcome>,
}

/// A node before anybody publishes.
struct Bench {
    node: Node,
    clip: Clip,
    memory_without: u64,
    cpu_without: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let details = runtime.block_on(measure(&arguments))?;
    let (void, figures) = (void(&details), figures(&details));
    Report::new("ingest", void, figures, details)?.publish(&arguments.common.results)
}

async fn measure(arguments: &Arguments) -> Result<Details> {
    let clip = streams::clip(streams::source(&arguments.plan.folder)?);
    let node = Node::start(&arguments.common.binary)?;
    let without = node.process();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let stretch = Duration::from_secs(arguments.plan.seconds.into());
    let cpu_before = without.cpu_s()?;
    tokio::time::sleep(stretch).await;
    let cpu_without = (without.cpu_s()? - cpu_before) / stretch.as_secs_f64();
    let bench = Bench { memory_without: without.memory_bytes()?, cpu_without, node, clip };
    let mut outcomes = Vec::new();
    for &number in &arguments.publishers {
        let outcome = bench.outcome(number, arguments).await.with_context(|| format!("{number} publishers"))?;
        eprintln!(
            "{number} publishers: {:.2} % of a core each",
            median(outcome.runs.iter().map(|run| run.node_percent))
        );
        outcomes.push(outcome);
    }
    Ok(Details {
        video_bitrate: streams::VIDEO_BITRATE,
        memory_without_mib: mebibytes(bench.memory_without),
        idle_percent: 100.0 * cpu_without,
        outcomes,
    })
}

impl Bench {
    async fn outcome(&self, number: u32, arguments: &Arguments) -> Result<Outcome> {
        let idle_before = machine::idle_share()?;
        let channels = self.channels(number).await?;
        let mut publishers = Publishers::new(&self.node, self.clip.clone());
        channels.iter().for_each(|channel| publishers.add(channel.clone()));
        let outcome = publishers.during(self.watch(number, &channels, idle_before, arguments)).await?;
        publishers.stop().await?;
        Ok(outcome)
    }

    async fn channels(&self, number: u32) -> Result<Vec<Channel>> {
        let mut channels = Vec::new();
        for index in 0..number {
            let name = format!("bench-ingest-{number}-{index}");
            channels.push(self.node.channel(&name, Wish { profile: "low", rungs: &RUNGS }).await?);
        }
        Ok(channels)
    }

    async fn watch(
        &self,
        number: u32,
        channels: &[Channel],
        idle_before: f64,
        arguments: &Arguments,
    ) -> Result<Outcome> {
        for channel in channels {
            self.node.renditions(channel).await?;
        }
        tokio::time::sleep(Duration::from_secs(arguments.plan.settle.into())).await;
        let length = Duration::from_secs(arguments.plan.seconds.into());
        let mut runs = Vec::new();
        for _ in 0..arguments.plan.runs {
            runs.push(self.run(number, length).await?);
        }
        let grown = self.node.process().memory_bytes()?.saturating_sub(self.memory_without);
        let workers = self.node.workers()?;
        let worker_memory = workers.iter().map(|worker| worker.memory_bytes()).collect::<Result<Vec<_>>>()?;
        Ok(Outcome {
            publishers: number,
            runs,
            node_memory_mib: mebibytes(grown) / f64::from(number),
            worker_memory_mib: median(worker_memory.into_iter().map(mebibytes)),
            idle_before,
        })
    }

    async fn run(&self, number: u32, length: Duration) -> Result<Run> {
        let (node, workers, own) = ([self.node.process()], self.node.workers()?, [Process::own()]);
        let family: Vec<Process> = self.node.family()?.into_iter().chain(own).collect();
        let sample =
            || -> Result<[f64; 4]> { Ok([cpu_s_of(&node)?, cpu_s_of(&workers)?, cpu_s_of(&own)?, cpu_s_of(&family)?]) };
        let (stretch, before) = (Stretch::begin()?, sample()?);
        tokio::time::sleep(length).await;
        let (busy, after) = (stretch.end()?, sample()?);
        let percent =
            |index: usize, base: f64| 100.0 * ((after[index] - before[index]) / busy.wall_s - base) / f64::from(number);
        Ok(Run {
            node_percent: percent(0, self.cpu_without),
            worker_percent: percent(1, 0.0),
            generator_percent: percent(2, 0.0),
            idle: busy.idle,
            others: busy.others(after[3] - before[3]),
        })
    }
}

fn figures(details: &Details) -> Vec<Figure> {
    let last = details.outcomes.len().saturating_sub(1);
    let of = |(index, outcome): (usize, &Outcome)| {
        let number = outcome.publishers;
        let percent = |pick: fn(&Run) -> f64| median(outcome.runs.iter().map(pick));
        let node = Figure::new(
            format!("{number} publishers, node CPU of one core each"),
            percent(|run| run.node_percent),
            "%",
        );
        let node = if index == last { node.with_bar(Bar::AtMost(CPU_MAX)).with_aim(CPU_AIM) } else { node };
        vec![
            node,
            Figure::new(format!("{number} publishers, node memory each"), outcome.node_memory_mib, "MiB"),
            Figure::new(
                format!("{number} publishers, worker CPU of one core each"),
                percent(|run| run.worker_percent),
                "%",
            ),
            Figure::new(format!("{number} publishers, worker memory each"), outcome.worker_memory_mib, "MiB"),
        ]
    };
    details.outcomes.iter().enumerate().flat_map(of).collect()
}

/// Here the load is not as fast as it can be: no idle time left means that something waited.
fn void(details: &Details) -> Vec<String> {
    let of = |outcome: &Outcome| {
        let runs = outcome.runs.iter().filter_map(|run| {
            let idle = run.idle.min(outcome.idle_before);
            void_reason(&format!("{} publishers", outcome.publishers), idle, run.others)
        });
        runs.collect::<Vec<_>>()
    };
    details.outcomes.iter().flat_map(of).collect()
}
