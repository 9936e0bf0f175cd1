//! The source: a moving, noisy picture made once by `ffmpeg`, and its access units.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use schema::ladder::{FrameRate, PictureSize};
use schema::{AccessUnit, Codec, MediaTime};

/// NAL unit types (ISO/IEC 14496-10 table 7-1).
const IDR: u8 = 5;
const DELIMITER: u8 = 9;
/// Samples in an Opus packet of 20 ms.
const OPUS_SAMPLES: i64 = 960;

/// The sizes that are measured.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Size {
    /// 720 lines.
    #[value(name = "1280x720")]
    P720,
    /// 1080 lines.
    #[value(name = "1920x1080")]
    P1080,
}

/// What a source is made with.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// The picture's size.
    pub size: Size,
    /// Bits per second of the video.
    pub bitrate: u32,
    /// The H.264 profile in FFmpeg's word.
    pub profile: &'static str,
    /// Its length.
    pub seconds: u32,
    /// With an Opus track.
    pub audio: bool,
}

impl Size {
    /// In pixels.
    #[must_use]
    pub fn picture(self) -> PictureSize {
        match self {
            Self::P720 => PictureSize { width: 1280, height: 720 },
            Self::P1080 => PictureSize { width: 1920, height: 1080 },
        }
    }

    /// What a publisher would send, in bits per second.
    #[must_use]
    pub fn bitrate(self) -> u32 {
        match self {
            Self::P720 => 4_000_000,
            Self::P1080 => 8_000_000,
        }
    }
}

/// A source as files, for `ffmpeg`, and as access units, for the worker.
#[derive(Debug)]
pub struct Source {
    /// H.264, Annex B, no B-frames, 30 pictures a second.
    pub video: PathBuf,
    /// Opus in Ogg.
    pub sound: Option<PathBuf>,
    /// All of it, by time.
    pub units: Vec<AccessUnit>,
    /// How many pictures it has.
    pub pictures: usize,
}

impl Source {
    /// The source of that kind: from `folder` if it was made before.
    ///
    /// # Errors
    /// There is no `ffmpeg`, or it cannot make it.
    pub fn get(folder: &Path, wish: Wish) -> Result<Self> {
        let Wish { seconds, audio, profile, .. } = wish;
        let PictureSize { width, height } = wish.size.picture();
        let name = format!("source-{width}x{height}-{profile}-{}k-{seconds}s-even.h264", wish.bitrate / 1000);
        let video = folder.join(name);
        if !video.exists() {
            make(&video, &video_arguments(wish))?;
        }
        let mut units = pictures(&std::fs::read(&video)?);
        let count = units.len();
        ensure!(count == usize::try_from(seconds)? * 30, "{} has {count} pictures", video.display());
        let sound = audio.then(|| folder.join(format!("source-{seconds}s.opus")));
        if let Some(sound) = &sound {
            if !sound.exists() {
                make(sound, &sound_arguments(seconds))?;
            }
            units.extend(sounds(&std::fs::read(sound)?));
            units.sort_by_key(|unit| unit.pts);
        }
        Ok(Self { video, sound, units, pictures: count })
    }
}

/// A test picture that is slowly zoomed into, with noise of a fixed seed.
fn video_arguments(wish: Wish) -> Vec<String> {
    let Wish { size, seconds, profile, .. } = wish;
    let PictureSize { width, height } = size.picture();
    let picture = format!(
        "testsrc2=size={width}x{height}:rate=30:duration={seconds},\
         zoompan=z='1+on/2000':x='(iw-iw/zoom)/2':y='(ih-ih/zoom)/3':d=1:s={width}x{height}:fps=30,\
         noise=alls=6:allf=t+u:all_seed=1,format=yuv420p"
    );
    let bitrate = wish.bitrate.to_string();
    let mut arguments = words("-f lavfi -i");
    arguments.push(picture);
    arguments.extend(words(&format!(
        "-c:v libx264 -preset veryfast -profile:v {profile} -bf 0 -g 60 -sc_threshold 0 -threads 2"
    )));
    arguments.extend(["-b:v", &bitrate, "-maxrate", &bitrate, "-bufsize", &bitrate].map(str::to_owned));
    arguments.extend(words("-x264-params aud=1 -color_range tv -colorspace bt709"));
    arguments.extend(words("-color_primaries bt709 -color_trc bt709 -f h264"));
    arguments
}

fn sound_arguments(seconds: u32) -> Vec<String> {
    let sound = format!("anoisesrc=color=pink:seed=1:amplitude=0.3:duration={seconds}:sample_rate=48000");
    let mut arguments = words("-f lavfi -i");
    arguments.push(sound);
    arguments.extend(words("-ac 2 -c:a libopus -b:a 96k -frame_duration 20 -f ogg"));
    arguments
}

/// The words of a text, as arguments.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Makes a file under another name first, so that a broken one is never taken for whole.
fn make(path: &Path, arguments: &[String]) -> Result<()> {
    let partial = path.with_extension("partial");
    eprintln!("making {}", path.display());
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .arg(&partial)
        .status()
        .context("no ffmpeg command")?;
    ensure!(status.success(), "ffmpeg cannot make {}: {status}", path.display());
    Ok(std::fs::rename(&partial, path)?)
}

/// Cuts a byte stream before each access unit delimiter; pictures follow each other at 30 a second.
fn pictures(stream: &[u8]) -> Vec<AccessUnit> {
    let nals: Vec<usize> =
        stream.windows(3).enumerate().filter(|(_, code)| *code == [0, 0, 1]).map(|(at, _)| at).collect();
    let kind = |at: usize| stream.get(at + 3).map_or(0, |byte| byte & 0x1f);
    let mut begins: Vec<usize> = nals.iter().copied().filter(|&at| kind(at) == DELIMITER).collect();
    begins.push(stream.len() + 1);
    begins
        .windows(2)
        .zip(0..)
        .map(|(ends, index)| {
            // The zero before a start code belongs to it.
            let (from, to) = (ends[0].saturating_sub(1), ends[1] - 1);
            let idr = nals.iter().skip_while(|&&at| at < from).take_while(|&&at| at < to).any(|&at| kind(at) == IDR);
            unit(Codec::H264, FrameRate::THIRTY.time_of(index), idr, &stream[from..to])
        })
        .collect()
}

/// The packets of an Ogg stream (RFC 3533 6) but for the two headers of Opus (RFC 7845 3).
fn sounds(mut stream: &[u8]) -> Vec<AccessUnit> {
    let (mut packets, mut open) = (Vec::new(), Vec::new());
    while let Some((header, rest)) = stream.split_at_checked(27) {
        let Some((lengths, mut body)) = rest.split_at_checked(usize::from(header[26])) else { break };
        for &length in lengths {
            let Some((piece, after)) = body.split_at_checked(usize::from(length)) else { break };
            open.extend_from_slice(piece);
            body = after;
            if length < 255 {
                packets.push(std::mem::take(&mut open));
            }
        }
        stream = body;
    }
    let times = (0..).map(|index| MediaTime::from_ticks(index * OPUS_SAMPLES, 48_000));
    packets.iter().skip(2).zip(times).map(|(packet, pts)| unit(Codec::Opus, pts, true, packet)).collect()
}

fn unit(codec: Codec, pts: MediaTime, random_access: bool, data: &[u8]) -> AccessUnit {
    AccessUnit { codec, pts, dts: pts, duration: None, random_access, data: Bytes::copy_from_slice(data) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_before_each_delimiter_and_nothing_is_lost() {
        let idr =
            [&[0, 0, 0, 1, 9, 0x10][..], &[0, 0, 0, 1, 0x67, 1], &[0, 0, 0, 1, 0x68, 2], &[0, 0, 1, 0x65, 3]].concat();
        let other = [&[0, 0, 0, 1, 9, 0x30][..], &[0, 0, 1, 0x41, 4]].concat();
        let units = pictures(&[&idr[..], &other, &other].concat());
        let found: Vec<(&[u8], bool)> = units.iter().map(|unit| (&unit.data[..], unit.random_access)).collect();
        assert_eq!(found, [(&idr[..], true), (&other, false), (&other, false)]);
        assert_eq!(units[2].pts, FrameRate::THIRTY.time_of(2));
    }

    #[test]
    fn packets_over_and_within_ogg_pages_are_found() {
        let page = |lengths: &[u8], body: &[u8]| {
            let count = u8::try_from(lengths.len()).unwrap();
            [&b"OggS"[..], &[0; 22], &[count], lengths, body].concat()
        };
        let long = [7; 300];
        let first = page(&[2, 1, 255], &[&[1, 1, 2][..], &long[..255]].concat());
        let second = page(&[45, 3], &[&long[255..], &[8, 8, 8]].concat());
        let units = sounds(&[first, second].concat());
        let found: Vec<&[u8]> = units.iter().map(|unit| &unit.data[..]).collect();
        assert_eq!(found, [&long[..], &[8, 8, 8]]);
        assert_eq!(units[1].pts, MediaTime::from_millis(20));
    }
}
