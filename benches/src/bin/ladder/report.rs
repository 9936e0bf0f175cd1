//! What came out, for machines and for people.

use anyhow::Result;
use benches::machine::{IDLE_MIN, Machine, OTHERS_MAX, Usage};
use benches::summary::median;
use schema::MediaTime;
use serde::Serialize;

use crate::Setup;
use crate::peer::{self, Graph};
use crate::quality::Rung;

/// The worker may take as much CPU as the better `ffmpeg`.
const RATIO_MAX: f64 = 1.0;
/// A rung may look this much worse: nobody sees it.
const SSIM_LOSS_MAX: f64 = 0.002;

/// One run of each.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    /// How idle the machine was just before, 0 to 1.
    idle: f64,
    worker: Usage,
    split: Usage,
    cascade: Usage,
    /// The worker's CPU to that of the better `ffmpeg`.
    pub(crate) ratio: f64,
}

impl Round {
    pub(crate) fn new(idle: f64, worker: Usage, split: Usage, cascade: Usage) -> Self {
        let ratio = worker.cpu_s() / split.cpu_s().min(cascade.cpu_s());
        Self { idle, worker, split, cascade, ratio }
    }

    /// The largest share of the machine that went to others during a run.
    fn others(&self) -> f64 {
        self.worker.others().max(self.split.others()).max(self.cascade.others())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// The figures mean nothing.
    Void,
    Met,
    Missed,
}

#[derive(Debug, Serialize)]
struct Settings {
    worker: String,
    source: String,
    pictures: usize,
    encoder: String,
    preset: String,
    keyframe_interval_ms: i64,
    rungs: Vec<String>,
    audio_bitrate: Option<u32>,
    split: String,
    cascade: String,
}

/// Everything that is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    bench: &'static str,
    verdict: Verdict,
    /// Why the figures are void.
    void: Vec<String>,
    machine: Machine,
    settings: Settings,
    rounds: Vec<Round>,
    /// The median of the rounds.
    ratio: f64,
    ratio_max: f64,
    ssim: Vec<Rung>,
    ssim_loss_max: f64,
}

impl Report {
    pub(crate) fn new(setup: &Setup, rounds: Vec<Round>, ssim: Vec<Rung>) -> Result<Self> {
        let ratio = median(rounds.iter().map(|round| round.ratio));
        let void = void(&rounds, &ssim);
        let met = ratio <= RATIO_MAX && ssim.iter().all(|rung| rung.difference >= -SSIM_LOSS_MAX);
        let verdict = match (void.is_empty(), met) {
            (false, _) => Verdict::Void,
            (true, true) => Verdict::Met,
            (true, false) => Verdict::Missed,
        };
        Ok(Self {
            bench: "ladder",
            verdict,
            void,
            machine: Machine::get()?,
            settings: settings(setup),
            rounds,
            ratio,
            ratio_max: RATIO_MAX,
            ssim,
            ssim_loss_max: SSIM_LOSS_MAX,
        })
    }

    /// The same for people, on standard error.
    pub(crate) fn print_table(&self) {
        let runs = |pick: fn(&Round) -> Usage| {
            let cpu = median(self.rounds.iter().map(|round| pick(round).cpu_s()));
            let wall = median(self.rounds.iter().map(|round| pick(round).wall_s()));
            format!("{cpu:8.2} s CPU {wall:8.2} s wall")
        };
        eprintln!("\n{} rounds of {}", self.rounds.len(), self.settings.source);
        eprintln!("  worker          {}", runs(|round| round.worker));
        eprintln!("  ffmpeg split    {}", runs(|round| round.split));
        eprintln!("  ffmpeg cascade  {}", runs(|round| round.cascade));
        eprintln!("  ratio           {:8.3} (bar {RATIO_MAX})\n", self.ratio);
        eprintln!("  SSIM      worker    split  cascade  difference   kbit/s each");
        for rung in &self.ssim {
            let Rung { name, worker, split, cascade, difference, .. } = rung;
            let rates = [rung.worker_bitrate, rung.split_bitrate, rung.cascade_bitrate].map(|rate| rate / 1000);
            eprintln!("  {name:<6} {worker:9.5}{split:9.5}{cascade:9.5}  {difference:+10.5}   {rates:?}");
        }
        eprintln!("\n{:?}", self.verdict);
        for reason in &self.void {
            eprintln!("  {reason}");
        }
    }
}

fn settings(setup: &Setup) -> Settings {
    let plan = &setup.plan;
    let rung = |video: &packager_transcode::wire::VideoPlan| {
        let packager_transcode::wire::VideoPlan { width, height, bitrate, bitrate_max, buffer_ms, threads, .. } = video;
        format!("{width}x{height} {bitrate} bit/s, at most {bitrate_max} over {buffer_ms} ms, {threads} threads")
    };
    Settings {
        worker: setup.worker.display().to_string(),
        source: setup.source.video.display().to_string(),
        pictures: setup.source.pictures,
        encoder: plan.encoder.clone(),
        preset: plan.preset.clone(),
        keyframe_interval_ms: MediaTime::to_millis(plan.keyframe_interval),
        rungs: plan.video.iter().map(rung).collect(),
        audio_bitrate: plan.audio.as_ref().map(|audio| audio.bitrate),
        split: peer::arguments(setup, Graph::Split).join(" "),
        cascade: peer::arguments(setup, Graph::Cascade).join(" "),
    }
}

/// Why the figures mean nothing, if so.
fn void(rounds: &[Round], ssim: &[Rung]) -> Vec<String> {
    let busy = rounds.iter().zip(1..).filter(|(round, _)| round.idle < IDLE_MIN || round.others() > OTHERS_MAX);
    let busy = busy.map(|(round, number): (_, u32)| {
        let (idle, others) = (round.idle * 100.0, round.others() * 100.0);
        format!("round {number}: the machine was {idle:.0} % idle before, and others took up to {others:.0} % of it")
    });
    let unequal = ssim.iter().filter(|rung| rung.encoder_settings.is_none());
    let unequal = unequal.map(|rung| format!("the encoders of {} had different settings", rung.name));
    busy.chain(unequal).collect()
}
