//! A broadcast with viewers for a long time: what grows that should not.
//!
//! Memory, descriptors and threads of node and worker, and the node's own gauges, sampled all the
//! time; the slope is that of the least-squares line through the last two thirds. JSON goes to
//! standard output, a table to standard error.

mod viewer;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use benches::figure::{Bar, Common, Figure, Report};
use benches::machine::{self, Stretch};
use benches::node::{Node, Picture, Running, Wish, raise_descriptors};
use benches::process::{Process, cpu_s_of};
use benches::summary::slope;
use clap::Parser;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use viewer::Seen;

/// Growth that nobody notices in a week of broadcasting: below 100 MiB.
const SLOPE_MAX_KIB_PER_MIN: f64 = 10.0;
/// The broadcast.
const PICTURE: Picture = Picture { width: 640, height: 360, kbits: 1_500 };
const RUNGS: [(u32, u32); 2] = [(360, 700_000), (180, 250_000)];

/// A broadcast with viewers for a long time.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// How long, in minutes.
    #[arg(long, default_value_t = 45, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// How many viewers.
    #[arg(long, default_value_t = 20)]
    viewers: usize,
    /// Seconds between samples.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    interval: u32,
}

/// One process at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
struct Shape {
    memory_kib: u64,
    descriptors: usize,
    threads: usize,
}

/// Everything at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
struct Sample {
    at_s: f64,
    node: Shape,
    worker: Shape,
    connections: f64,
    held: f64,
    /// Tasks of the node's runtime.
    tasks: f64,
}

#[derive(Debug, Serialize)]
struct Details {
    minutes: u32,
    viewers: usize,
    samples: Vec<Sample>,
    reloads: u64,
    parts: u64,
    reload_timeouts: u64,
    reconnects: u64,
    /// Workers that died and were replaced: another process id than at the beginning.
    worker_changes: usize,
    node_cpu_percent: f64,
    worker_cpu_percent: f64,
    idle_before: f64,
    others: f64,
    /// The node after publisher and viewers are gone.
    after: Shape,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    raise_descriptors()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let details = runtime.block_on(measure(&arguments))?;
    let figures = figures(&details)?;
    // Never void: what is counted does not depend on who else uses the machine.
    Report::new("soak", Vec::new(), figures, details)?.publish(&arguments.common.results)
}

async fn measure(arguments: &Arguments) -> Result<Details> {
    let idle_before = machine::idle_share()?;
    let node = Node::start(&arguments.common.binary)?;
    let channel = node.channel("bench-soak", Wish { profile: "low", rungs: &RUNGS }).await?;
    let publisher = node.publish(&channel, PICTURE)?;
    let (video, sound) = node.renditions(&channel).await?;
    let playlists: Vec<String> = video.into_iter().chain(sound).collect();
    let seen = Arc::new(Seen::default());
    let mut viewers = JoinSet::new();
    for playlist in playlists.iter().cycle().take(arguments.viewers) {
        viewers.spawn(viewer::watch(node.http, playlist.clone(), Arc::clone(&seen)));
    }
    let mut watch = Watch { node: &node, publisher, worker: worker(&node)?, worker_changes: 0, samples: Vec::new() };
    let family: Vec<Process> = node.family()?.into_iter().chain([Process::own(), watch.publisher.process()]).collect();
    let (stretch, ours) = (Stretch::begin()?, cpu_s_of(&family)?);
    let (node_cpu, worker_cpu) = (node.process().cpu_s()?, watch.worker.cpu_s()?);
    let length = Duration::from_secs(60 * u64::from(arguments.minutes));
    tokio::select! {
        Some(ended) = viewers.join_next() => { ended?.context("a viewer")?; anyhow::bail!("a viewer left by itself") }
        result = watch.run(length, Duration::from_secs(arguments.interval.into())) => result?,
    }
    let busy = stretch.end()?;
    let others = busy.others(cpu_s_of(&family).map_or(0.0, |now| now - ours));
    let percent = |before: f64, now: f64| 100.0 * (now - before) / busy.wall_s;
    let node_cpu_percent = percent(node_cpu, node.process().cpu_s()?);
    let worker_cpu_percent = percent(worker_cpu, watch.worker.cpu_s()?);
    let Watch { publisher, worker_changes, samples, .. } = watch;
    viewers.shutdown().await;
    drop(publisher);
    // Until the window is no longer owed to viewers, and gone.
    tokio::time::sleep(Duration::from_secs(60)).await;
    Ok(Details {
        minutes: arguments.minutes,
        viewers: arguments.viewers,
        samples,
        reloads: seen.reloads.load(Ordering::Relaxed),
        parts: seen.parts.load(Ordering::Relaxed),
        reload_timeouts: seen.timeouts.load(Ordering::Relaxed),
        reconnects: seen.reconnects.load(Ordering::Relaxed),
        worker_changes,
        node_cpu_percent,
        worker_cpu_percent,
        idle_before,
        others,
        after: shape(node.process())?,
    })
}

/// What is watched all the time.
struct Watch<'a> {
    node: &'a Node,
    publisher: Running,
    worker: Process,
    worker_changes: usize,
    samples: Vec<Sample>,
}

impl Watch<'_> {
    async fn run(&mut self, length: Duration, interval: Duration) -> Result<()> {
        let began = Instant::now();
        let mut ticks = tokio::time::interval(interval);
        while began.elapsed() < length {
            ticks.tick().await;
            self.publisher.check()?;
            let worker = worker(self.node)?;
            if worker != self.worker {
                self.worker_changes += 1;
                self.worker = worker;
            }
            self.samples.push(Sample {
                at_s: began.elapsed().as_secs_f64(),
                node: shape(self.node.process())?,
                worker: shape(worker)?,
                connections: self.node.metric("headwater_http_connections").await?,
                held: self.node.metric("headwater_origin_held_requests").await?,
                tasks: self.node.metric("headwater_runtime_tasks").await?,
            });
            self.say();
        }
        Ok(())
    }

    /// Once in about a minute.
    fn say(&self) {
        if let Some(sample) = self.samples.last().filter(|_| self.samples.len() % 6 == 1) {
            let Sample { at_s, node, worker, .. } = sample;
            eprintln!(
                "{:5.1} min: node {} KiB, {} descriptors, {} threads; worker {} KiB",
                at_s / 60.0,
                node.memory_kib,
                node.descriptors,
                node.threads,
                worker.memory_kib
            );
        }
    }
}

fn worker(node: &Node) -> Result<Process> {
    node.workers()?.first().copied().context("the broadcast has no worker")
}

fn shape(process: Process) -> Result<Shape> {
    Ok(Shape {
        memory_kib: process.memory_bytes()? / 1024,
        descriptors: process.descriptors()?,
        threads: process.threads()?,
    })
}

fn figures(details: &Details) -> Result<Vec<Figure>> {
    // The first third fills windows, caches and the allocator's free lists.
    let steady = &details.samples[details.samples.len() / 3..];
    let (first, last) = steady.first().zip(steady.last()).context("no sample")?;
    let per_minute = |pick: fn(&Sample) -> f64| {
        slope(&steady.iter().map(|sample| (sample.at_s / 60.0, pick(sample))).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let memory = |name: &str, pick: fn(&Sample) -> f64| {
        Figure::new(format!("{name} memory, slope"), per_minute(pick), "KiB/min")
            .with_bar(Bar::AtMost(SLOPE_MAX_KIB_PER_MIN))
    };
    let most = |pick: fn(&Sample) -> f64| steady.iter().map(pick).fold(0.0, f64::max);
    ensure!(details.reloads > 0 || details.viewers == 0, "no viewer was ever answered");
    Ok(vec![
        memory("node", |sample| kibibytes(sample.node)),
        memory("worker", |sample| kibibytes(sample.worker)),
        Figure::new("node memory, most", most(|sample| kibibytes(sample.node)) / 1024.0, "MiB"),
        Figure::new("worker memory, most", most(|sample| kibibytes(sample.worker)) / 1024.0, "MiB"),
        Figure::new("node memory, a minute after the end", kibibytes(details.after) / 1024.0, "MiB"),
        // Viewers open a new connection now and then; more than all of theirs at once is a leak.
        Figure::new("node descriptors, growth", count(last.node.descriptors) - count(first.node.descriptors), "")
            .with_bar(Bar::AtMost(count(details.viewers / 2 + 2))),
        Figure::new("node threads, growth", count(last.node.threads) - count(first.node.threads), "")
            .with_bar(Bar::AtMost(2.0)),
        Figure::new("node tasks, growth", last.tasks - first.tasks, "")
            .with_bar(Bar::AtMost(count(details.viewers / 2 + 2))),
        Figure::new("worker descriptors, growth", count(last.worker.descriptors) - count(first.worker.descriptors), "")
            .with_bar(Bar::AtMost(0.0)),
        Figure::new("workers replaced", count(details.worker_changes), "").with_bar(Bar::AtMost(0.0)),
        Figure::new("node CPU of one core", details.node_cpu_percent, "%"),
        Figure::new("worker CPU of one core", details.worker_cpu_percent, "%"),
    ])
}

fn kibibytes(shape: Shape) -> f64 {
    count(usize::try_from(shape.memory_kib).unwrap_or(usize::MAX))
}

#[allow(clippy::cast_precision_loss)] // far below 2^52
fn count(number: usize) -> f64 {
    number as f64
}
