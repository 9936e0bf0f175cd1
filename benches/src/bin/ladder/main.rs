//! CPU of the transcode worker against the `ffmpeg` command: same source, same encoder settings and threads.
//!
//! Each round runs three processes one after the other: the worker, `ffmpeg` scaling each rung from
//! the source, `ffmpeg` scaling each from the next larger one. The ratio of a round is the worker's
//! CPU to the better of both; the median of all rounds counts. What the rungs look like is compared
//! too, as a cheaper encoder is no faster one. JSON goes to standard output, a table to standard error.
#![allow(clippy::print_stdout)] // its result is what it prints

mod peer;
mod quality;
mod report;
mod worker;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use benches::machine::{self, Usage};
use benches::source::{self, Source};
use clap::Parser;
use packager::ladder::{self, Rendition};
use packager::timing::Timing;
use packager_transcode::wire::Plan;
use schema::MediaTime;
use schema::ladder::{FrameRate, Ladder, LatencyProfile};

use peer::Graph;
use report::{Report, Round};

/// CPU of the transcode worker against the `ffmpeg` command.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many rounds of three runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The source's size.
    #[arg(long, value_enum, default_value_t = source::Size::P720)]
    size: source::Size,
    /// The source's length in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=600))]
    seconds: u32,
    /// Adds an Opus track, which becomes AAC.
    #[arg(long)]
    audio: bool,
    /// The binary whose command `transcode` is the worker.
    #[arg(long, env = "HEADWATER_BIN", default_value = "target/release/headwater")]
    worker: PathBuf,
    /// Where sources and outputs go; sources are kept for the next time.
    #[arg(long, default_value = "target/bench-ladder")]
    folder: PathBuf,
}

/// Everything that all runs have in common.
struct Setup {
    source: Source,
    renditions: Vec<Rendition>,
    plan: Plan,
    worker: PathBuf,
    folder: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let setup = set_up(&arguments)?;
    let rounds = (0..arguments.runs).map(|number| round(number, &setup)).collect::<Result<Vec<_>>>()?;
    let rungs = quality::compare(&setup)?;
    let report = Report::new(&setup, rounds, rungs)?;
    report.print_table();
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn set_up(arguments: &Arguments) -> Result<Setup> {
    ensure!(arguments.worker.is_file(), "no worker at {}: build it, or set HEADWATER_BIN", arguments.worker.display());
    let folder = arguments.folder.clone();
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (bitrate, seconds, audio) = (arguments.size.bitrate(), arguments.seconds, arguments.audio);
    let wish = source::Wish { size: arguments.size, bitrate, profile: "high", seconds, audio };
    let source = Source::get(&folder, wish)?;
    let (size, profile) = (arguments.size.picture(), LatencyProfile::Low);
    let renditions = ladder::renditions(&Ladder::default(), Some(size), arguments.audio, profile);
    let timing = Timing::new(profile, FrameRate::THIRTY, ladder::tracks(&renditions));
    // Its peer makes no thumbnails.
    let plan = Plan { thumbnail: None, ..ladder::plan(&renditions, &timing, MediaTime::ZERO) };
    Ok(Setup { source, renditions, plan, worker: arguments.worker.clone(), folder })
}

fn round(number: u32, setup: &Setup) -> Result<Round> {
    let idle = machine::idle_share()?;
    let worker = Usage::of(|| worker::run(setup)).context("the worker")?;
    let split = Usage::of(|| peer::run(setup, Graph::Split)).context("ffmpeg, split")?;
    let cascade = Usage::of(|| peer::run(setup, Graph::Cascade)).context("ffmpeg, cascade")?;
    let round = Round::new(idle, worker, split, cascade);
    eprintln!("round {}: {:.3} × the better ffmpeg", number + 1, round.ratio);
    Ok(round)
}

impl Setup {
    /// Where the rung of that index goes, by who made it.
    fn rung(&self, maker: &str, index: usize) -> PathBuf {
        self.folder.join(format!("{maker}-{index}.h264"))
    }
}
