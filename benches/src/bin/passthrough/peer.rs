//! The peer: as many `ffmpeg`, each of which reads the same stream by RTP and writes HLS of it without encoding pictures.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::node::Running;
use benches::process::Process;
use benches::source::Source;

/// RTP and RTCP of pictures and of sound.
const PORTS: u16 = 4;
/// Where ports are looked for: below those that systems give to clients.
const PORTS_FROM: u16 = 20_000;
const PORTS_TO: u16 = 30_000;
/// What a receiver writes.
const PLAYLIST: &str = "index.m3u8";
/// A sender has described its stream within this, and a receiver has written its playlist.
const START_LIMIT: Duration = Duration::from_secs(20);

/// One stream: who receives it, and who sends it. In this order they end: an `ffmpeg` to which nothing comes any more does
/// not hear that it shall end.
#[derive(Debug)]
pub(crate) struct Peer {
    receiver: Running,
    _sender: Running,
}

/// One file of pictures and sound, to be sent without encoding; made once.
///
/// # Errors
/// `ffmpeg` cannot make it.
pub(crate) fn clip(folder: &Path, source: &Source) -> Result<PathBuf> {
    let clip = folder.join("passthrough.mkv");
    let sound = source.sound.as_ref().context("the source has no sound")?;
    let mut command = ffmpeg();
    command.args(["-y", "-fflags", "+genpts", "-r", "30", "-i"]).arg(&source.video).arg("-i").arg(sound);
    command.args(["-map", "0:v", "-map", "1:a", "-c", "copy"]).arg(&clip);
    ensure!(command.status().context("cannot run ffmpeg")?.success(), "ffmpeg cannot make {}", clip.display());
    Ok(clip)
}

/// Starts so many, each with files of its own in `folder`, and returns when all have written a first segment.
///
/// # Errors
/// `ffmpeg` cannot be run, or writes nothing.
pub(crate) fn start(folder: &Path, clip: &Path, streams: u16) -> Result<Vec<Peer>> {
    let folders = (0..streams).map(|number| folder.join(number.to_string()));
    let started = (0..).zip(folders.clone()).map(|(number, folder)| Peer::start(&folder, clip, number));
    let mut peers = started.collect::<Result<Vec<_>>>()?;
    for (peer, folder) in peers.iter_mut().zip(folders) {
        until(&folder.join(PLAYLIST), &mut peer.receiver)?;
    }
    Ok(peers)
}

impl Peer {
    /// Starts stream `number` in `folder`, without waiting for what it writes.
    fn start(folder: &Path, clip: &Path, number: u16) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (video, sdp) = (free_ports(number)?, folder.join("stream.sdp"));
        let address = |port: u16| format!("rtp://127.0.0.1:{port}?pkt_size=1200");
        let mut sender = ffmpeg();
        sender.args(["-re", "-stream_loop", "-1", "-i"]).arg(clip).arg("-sdp_file").arg(&sdp);
        sender.args(["-map", "0:v", "-c", "copy", "-f", "rtp", &address(video)]);
        sender.args(["-map", "0:a", "-c", "copy", "-f", "rtp", &address(video + 2)]);
        let mut sender = Running::start(sender.stdout(Stdio::null()))?;
        until(&sdp, &mut sender)?;
        let mut receiver = ffmpeg();
        receiver.args(["-protocol_whitelist", "file,udp,rtp", "-i"]).arg(&sdp);
        receiver.args(["-c:v", "copy", "-c:a", "aac", "-b:a", "96k", "-f", "hls", "-hls_segment_type", "fmp4"]);
        receiver.args(["-hls_time", "2", "-hls_list_size", "6", "-hls_flags", "delete_segments"]);
        let receiver = Running::start(receiver.arg(folder.join(PLAYLIST)).stdout(Stdio::null()))?;
        Ok(Self { receiver, _sender: sender })
    }

    /// Who does the work that is compared.
    pub(crate) fn receiver(&self) -> Process {
        self.receiver.process()
    }

    /// Fails if it ended by itself.
    ///
    /// # Errors
    /// It did.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.receiver.check()
    }
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "fatal", "-nostdin"]).stdin(Stdio::null());
    command
}

/// The first of some ports in a row that nobody has, of those for stream `number`.
fn free_ports(number: u16) -> Result<u16> {
    let is_free = |first: &u16| (0..PORTS).all(|more| UdpSocket::bind(("127.0.0.1", first + more)).is_ok());
    let from = PORTS_FROM + number * 2 * PORTS;
    let found = (from..PORTS_TO).step_by(PORTS.into()).find(is_free);
    found.context("there are no free UDP ports")
}

#[allow(clippy::disallowed_methods)] // nothing tells when it is there
fn until(file: &Path, by: &mut Running) -> Result<()> {
    let began = Instant::now();
    while !file.exists() {
        by.check()?;
        ensure!(began.elapsed() < START_LIMIT, "ffmpeg does not write {}", file.display());
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
