//! One run of the `ffmpeg` command with the settings that the worker gives its encoders.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use benches::source::words;
use packager_transcode::wire::VideoPlan;

use crate::Setup;

/// The worker's settings special to x264 (`packager/transcode/src/encoder/libx264.rs`). That they
/// still are the same is checked in the streams: see [`crate::quality`].
const SPECIAL: &str = "-tune zerolatency -profile:v high -bf 0 -sc_threshold 0 -forced-idr 1 \
                       -x264-params keyint=infinite:open-gop=0";

/// From what each rung is scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Graph {
    /// From the source.
    Split,
    /// From the next larger rung.
    Cascade,
}

impl Graph {
    /// The name under which its rungs are kept.
    pub(crate) fn maker(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Cascade => "cascade",
        }
    }
}

/// Runs it over the whole source, waits for its end, and keeps what it made.
pub(crate) fn run(setup: &Setup, graph: Graph) -> Result<()> {
    let status = Command::new("ffmpeg").args(arguments(setup, graph)).status().context("no ffmpeg command")?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

/// The whole command line, the decoder with one thread as in the worker.
pub(crate) fn arguments(setup: &Setup, graph: Graph) -> Vec<String> {
    let mut arguments = words("-nostdin -v error -y -threads 1 -f h264 -framerate 30 -i");
    arguments.push(setup.source.video.display().to_string());
    if let Some(sound) = &setup.source.sound {
        arguments.extend(["-i".to_owned(), sound.display().to_string()]);
    }
    arguments.extend(["-filter_complex".to_owned(), filters(&setup.plan.video, graph)]);
    for (index, video) in setup.plan.video.iter().enumerate() {
        arguments.extend(encoder(setup, index, video));
        arguments.push(setup.rung(graph.maker(), index).display().to_string());
    }
    if let Some(audio) = setup.plan.audio.as_ref().filter(|_| setup.source.sound.is_some()) {
        let sound = setup.folder.join(format!("{}.adts", graph.maker()));
        arguments.extend(words(&format!("-map 1:a -c:a aac -b:a {} -ar 48000 -ac 2 -f adts", audio.bitrate)));
        arguments.push(sound.display().to_string());
    }
    arguments
}

/// Slices as threads: `ffmpeg` itself would make x264 work on frames at once, which delays them.
fn encoder(setup: &Setup, index: usize, video: &VideoPlan) -> Vec<String> {
    let (plan, peak) = (&setup.plan, video.bitrate_max);
    let buffer = u64::from(peak) * u64::from(video.buffer_ms) / 1000;
    let rate = format!("{}/{}", plan.frame_rate.numerator, plan.frame_rate.denominator);
    let mut arguments = words(&format!(
        "-map [v{index}] -r {rate} -c:v {} -preset {} {SPECIAL} -b:v {} -maxrate {peak} -bufsize {buffer}",
        plan.encoder, plan.preset, video.bitrate,
    ));
    let seconds = plan.keyframe_interval.as_seconds();
    let rest = format!(
        "-force_key_frames expr:gte(t,n_forced*{seconds}) -threads {} -thread_type slice -f h264",
        video.threads
    );
    arguments.extend(words(&rest));
    arguments
}

/// The graph in FFmpeg's words.
fn filters(rungs: &[VideoPlan], graph: Graph) -> String {
    // Square pixels, as the worker says: 854 columns for 853.3 would else say otherwise, in more bits.
    let scale = |video: &VideoPlan| format!("scale={}:{}:flags=bicubic,setsar=1", video.width, video.height);
    let mut text = String::new();
    if graph == Graph::Split {
        let copies: String = (0..rungs.len()).map(|index| format!("[s{index}]")).collect();
        // Writing to a string cannot fail.
        let _ = write!(text, "[0:v]split={}{copies}", rungs.len());
    }
    for (index, video) in rungs.iter().enumerate() {
        let last = index + 1 == rungs.len();
        let step = match graph {
            Graph::Split => format!(";[s{index}]{},format=yuv420p[v{index}]", scale(video)),
            Graph::Cascade if index == 0 && last => format!("[0:v]{},format=yuv420p[v0]", scale(video)),
            Graph::Cascade if index == 0 => format!("[0:v]{},format=yuv420p,split=2[v0][c1]", scale(video)),
            Graph::Cascade if last => format!(";[c{index}]{}[v{index}]", scale(video)),
            Graph::Cascade => format!(";[c{index}]{},split=2[v{index}][c{}]", scale(video), index + 1),
        };
        text.push_str(&step);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graphs_scale_from_the_source_or_from_the_next_larger() {
        let rung = |width, height| VideoPlan {
            rendition: 0,
            width,
            height,
            bitrate: 1,
            bitrate_max: 1,
            buffer_ms: 1,
            threads: 1,
            coding: packager_transcode::wire::Coding::default(),
        };
        let rungs = [rung(8, 4), rung(6, 3), rung(4, 2)];
        assert_eq!(
            filters(&rungs, Graph::Split),
            "[0:v]split=3[s0][s1][s2];[s0]scale=8:4:flags=bicubic,setsar=1,format=yuv420p[v0];\
             [s1]scale=6:3:flags=bicubic,setsar=1,format=yuv420p[v1];\
             [s2]scale=4:2:flags=bicubic,setsar=1,format=yuv420p[v2]"
        );
        assert_eq!(
            filters(&rungs, Graph::Cascade),
            "[0:v]scale=8:4:flags=bicubic,setsar=1,format=yuv420p,split=2[v0][c1];\
             [c1]scale=6:3:flags=bicubic,setsar=1,split=2[v1][c2];[c2]scale=4:2:flags=bicubic,setsar=1[v2]"
        );
    }
}
