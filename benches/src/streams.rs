//! So many publishers at once, each of which sends the same clip to a channel of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use schema::MediaTime;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::node::{Channel, Node};
use crate::publisher::{self, Clip};
use crate::source::{Size, Source, Wish};

/// What each sends, in bits per second of its pictures.
pub const VIDEO_BITRATE: u32 = 2_500_000;
/// The clip's length in seconds.
pub const CLIP_S: u32 = 20;
/// So that not all pictures come at one moment.
const STAGGER: Duration = Duration::from_micros(3_700);
/// From the word to the first packet.
const LEAD: Duration = Duration::from_millis(500);

/// How streams are measured.
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// How many stretches are measured of each number of streams.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// The length of a stretch in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// How long streams run before they are measured, in seconds: until their windows no longer grow.
    #[arg(long, default_value_t = 75)]
    pub settle: u32,
    /// Where clips are kept for the next time.
    #[arg(long, default_value = "target/bench-ingest")]
    pub folder: PathBuf,
}

/// 720 lines, 30 pictures a second, H.264 Baseline with a keyframe every two seconds, and Opus: made once, kept in `folder`.
///
/// # Errors
/// There is no `ffmpeg`, or it cannot make it.
pub fn source(folder: &Path) -> Result<Source> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (size, bitrate, seconds) = (Size::P720, VIDEO_BITRATE, CLIP_S);
    Source::get(folder, Wish { size, bitrate, profile: "baseline", seconds, audio: true })
}

/// What publishers send of it, over and over.
#[must_use]
pub fn clip(source: Source) -> Clip {
    let length = MediaTime::from_millis(i64::from(CLIP_S) * 1000);
    let units = source.units.into_iter().filter(|unit| unit.pts < length);
    Clip { units: units.collect(), length }
}

/// Publishers of one clip to one node. Who publishes does so until all are told to stop.
#[derive(Debug)]
pub struct Publishers {
    node: SocketAddr,
    clip: Clip,
    stop: CancellationToken,
    tasks: JoinSet<Result<()>>,
}

impl Publishers {
    /// Nobody yet.
    #[must_use]
    pub fn new(node: &Node, clip: Clip) -> Self {
        Self { node: node.http, clip, stop: CancellationToken::new(), tasks: JoinSet::new() }
    }

    /// One more begins.
    pub fn add(&mut self, channel: Channel) {
        let stagger = STAGGER * u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        let start = Instant::now() + LEAD + stagger;
        self.tasks.spawn(publisher::publish(self.node, channel, self.clip.clone(), start, self.stop.clone()));
    }

    /// Does `work` while all of them publish.
    ///
    /// # Errors
    /// Those of `work`, or one of them ended by itself.
    pub async fn during<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            Some(ended) = self.tasks.join_next() => {
                ended??;
                bail!("a publisher ended by itself")
            }
            done = work => done,
        }
    }

    /// All of them end.
    ///
    /// # Errors
    /// One had ended by itself.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }
}
