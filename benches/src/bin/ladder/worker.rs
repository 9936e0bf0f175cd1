//! One run of our worker process, fed over its pipes as fast as it takes.

use std::io::{BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use packager_transcode::wire::{self, Input, Output};

use crate::Setup;

/// The name under which its rungs are kept.
pub(crate) const MAKER: &str = "worker";

/// Runs it over the whole source, waits for its end, and keeps what it made.
pub(crate) fn run(setup: &Setup) -> Result<()> {
    let mut child = Command::new(&setup.worker)
        .arg("transcode")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", setup.worker.display()))?;
    let rungs = converse(&mut child, setup);
    if rungs.is_err() {
        // It may have ended by itself: then there is nothing to kill.
        let _ = child.kill();
    }
    let status = child.wait()?;
    let rungs = rungs?;
    ensure!(status.success(), "it ended with {status}");
    for (index, rung) in rungs.iter().enumerate() {
        std::fs::write(setup.rung(MAKER, index), rung)?;
    }
    Ok(())
}

/// Feeds on one thread and listens on another: a worker that is behind takes nothing until it is heard.
fn converse(child: &mut Child, setup: &Setup) -> Result<Vec<Vec<u8>>> {
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        bail!("it has no pipes");
    };
    std::thread::scope(|scope| {
        let feeding = scope.spawn(|| feed(input, setup));
        let heard = listen(output, setup);
        let fed = feeding.join().unwrap_or_else(|_| bail!("feeding panicked"));
        // What the worker said tells more than that it is gone.
        heard.and_then(|rungs| fed.map(|()| rungs))
    })
}

fn feed(mut to: ChildStdin, setup: &Setup) -> Result<()> {
    wire::write(&mut to, &Input::Start(setup.plan.clone()))?;
    for unit in &setup.source.units {
        wire::write(&mut to, &Input::Unit(unit.clone()))?;
    }
    Ok(wire::write(&mut to, &Input::Finish)?)
}

/// The coded pictures of each video rendition, one after the other.
fn listen(from: impl Read, setup: &Setup) -> Result<Vec<Vec<u8>>> {
    let mut from = BufReader::with_capacity(256 * 1024, from);
    let mut rungs = vec![Vec::new(); setup.plan.video.len()];
    loop {
        match wire::read(&mut from)?.context("it is gone without a word")? {
            Output::Encoded { rendition, unit } => {
                let index = setup.plan.video.iter().position(|video| video.rendition == rendition);
                if let Some(index) = index {
                    rungs[index].extend_from_slice(&unit.data);
                }
            }
            Output::Discarded { reason } => bail!("it dropped a unit of the source: {reason}"),
            Output::Failed(error) => bail!("it gave up: {error}"),
            Output::Finished => return Ok(rungs),
            Output::AudioConfig { .. }
            | Output::SourceSize { .. }
            | Output::Thumbnail { .. }
            | Output::Turn(_)
            | Output::Paced { .. }
            | Output::PresetKept { .. }
            | Output::KeyframeWanted
            | Output::Alive
            | Output::Statistics(_) => {}
        }
    }
}
