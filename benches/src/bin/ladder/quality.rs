//! What the rungs look like: SSIM against a bicubic scale of the decoded source, by FFmpeg's filter.
//!
//! Also compares the settings that x264 writes into its streams, as a ratio between different
//! settings would mean nothing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use packager_transcode::wire::VideoPlan;
use serde::Serialize;

use crate::peer::Graph;
use crate::{Setup, worker};

/// How the rungs of one size look.
#[derive(Debug, Serialize)]
pub(crate) struct Rung {
    pub(crate) name: String,
    /// SSIM over all planes, 0 to 1.
    pub(crate) worker: f64,
    pub(crate) split: f64,
    pub(crate) cascade: f64,
    /// The worker's above the better of both.
    pub(crate) difference: f64,
    /// Bits per second that really came out, as a sharper picture may just be a larger one.
    pub(crate) worker_bitrate: u64,
    pub(crate) split_bitrate: u64,
    pub(crate) cascade_bitrate: u64,
    /// What x264 says its settings were, if all three say the same.
    pub(crate) encoder_settings: Option<String>,
}

/// Compares what the last round left behind.
pub(crate) fn compare(setup: &Setup) -> Result<Vec<Rung>> {
    (0..setup.plan.video.len()).map(|index| rung(setup, index)).collect()
}

fn rung(setup: &Setup, index: usize) -> Result<Rung> {
    let paths = [worker::MAKER, Graph::Split.maker(), Graph::Cascade.maker()].map(|maker| setup.rung(maker, index));
    let streams = [read(&paths[0])?, read(&paths[1])?, read(&paths[2])?];
    let mut ssim = [0.0; 3];
    for (path, ssim) in paths.iter().zip(&mut ssim) {
        *ssim = judge(setup, &setup.plan.video[index], path).with_context(|| path.display().to_string())?;
    }
    let seconds = setup.source.pictures as u64 / 30;
    let bitrates = streams.each_ref().map(|stream| stream.len() as u64 * 8 / seconds.max(1));
    let settings = streams.each_ref().map(|stream| encoder_settings(stream));
    let same = settings[0].is_some() && settings.iter().all(|other| *other == settings[0]);
    Ok(Rung {
        name: setup.renditions[index].name.to_string(),
        worker: ssim[0],
        split: ssim[1],
        cascade: ssim[2],
        difference: ssim[0] - ssim[1].max(ssim[2]),
        worker_bitrate: bitrates[0],
        split_bitrate: bitrates[1],
        cascade_bitrate: bitrates[2],
        encoder_settings: settings.into_iter().next().flatten().filter(|_| same),
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

/// SSIM of the rung at `path`, picture by picture.
fn judge(setup: &Setup, video: &VideoPlan, path: &Path) -> Result<f64> {
    let filters = format!(
        "[0:v]settb=1/30,setpts=N[rung];\
         [1:v]scale={}:{}:flags=bicubic,format=yuv420p,settb=1/30,setpts=N[reference];[rung][reference]ssim",
        video.width, video.height,
    );
    let input = ["-f", "h264", "-framerate", "30", "-i"];
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-nostats", "-progress", "pipe:1"])
        .args(input)
        .arg(path)
        .args(input)
        .arg(&setup.source.video)
        .args(["-lavfi", &filters, "-f", "null", "-"])
        .output()
        .context("no ffmpeg command")?;
    let (progress, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "ffmpeg cannot compare it:\n{log}");
    let pictures = progress.lines().rev().find_map(|line| line.strip_prefix("frame=")?.trim().parse::<usize>().ok());
    ensure!(pictures == Some(setup.source.pictures), "it has {pictures:?} pictures of {}", setup.source.pictures);
    all_planes(&log).context("ffmpeg says no SSIM")
}

/// The figure in `SSIM Y:… U:… V:… All:0.987654 (18.9)`.
fn all_planes(log: &str) -> Option<f64> {
    let line = log.lines().rev().find(|line| line.contains("SSIM "))?;
    line.split_whitespace().find_map(|word| word.strip_prefix("All:"))?.parse().ok()
}

/// The text after `options: ` in the user data that x264 puts before the first picture.
fn encoder_settings(stream: &[u8]) -> Option<String> {
    let mark = b"options: ";
    let at = stream.windows(mark.len()).take(4096).position(|bytes| bytes == mark)? + mark.len();
    let text: Vec<u8> = stream[at..].iter().copied().take_while(|byte| (b' '..0x7f).contains(byte)).collect();
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_of_all_planes_is_read_from_the_last_line() {
        let log = "x\n[Parsed_ssim_5 @ 0x1] SSIM Y:0.970000 (15.2) U:0.99 (20) V:0.99 (20) All:0.981234 (17.3)\n";
        assert_eq!(all_planes(log), Some(0.981_234));
        assert_eq!(all_planes("nothing"), None);
    }

    #[test]
    fn the_settings_of_x264_end_where_the_text_does() {
        let stream =
            [&[0, 0, 1, 6, 5][..], b"x264 - core 164 - options: cabac=1 ref=1", &[0x80, 0, 0, 1, 0x65]].concat();
        assert_eq!(encoder_settings(&stream).as_deref(), Some("cabac=1 ref=1"));
    }
}
