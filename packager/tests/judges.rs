//! Other people's programs judge the media: FFmpeg encodes, we package, FFmpeg plays it back.

#![allow(clippy::unwrap_used)] // a test fails by panicking, helpers included

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use packager::annexb;
use packager::broadcast::{BroadcastMetrics, Cause, Outlets, Publisher, Status, Subject};
use packager::ladder;
use packager::live::LiveBroadcast;
use packager::sps::Sps;
use packager::timing::{Timing, Tracks};
use packager_transcode::wire::Output;
use prometheus::Registry;
use schema::ladder::{FrameRate, Ladder, LatencyProfile, PictureSize, Rung};
use schema::{AccessUnit, Codec, Incarnation, MediaTime, SessionEnd, UnixMicros};
use tokio::sync::{Notify, watch};

/// Runs a program and gives its standard output back; anything on standard error is a failure.
fn judged(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{program} {arguments:?}: {complaint}");
    output.stdout
}

/// Pictures of a test pattern with IDRs every `gop`, as access units of Annex B.
fn encoded_video(rate: &str, gop: i64, seconds: i64, profile: &str) -> Vec<Bytes> {
    let source = format!("testsrc2=size=320x180:rate={rate}:duration={seconds}");
    let options = format!("keyint={gop}:min-keyint={gop}:scenecut=0:aud=1:repeat-headers=1:threads=1");
    let stream = judged(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            &source,
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-tune",
            "zerolatency",
            "-profile:v",
            profile,
            "-pix_fmt",
            "yuv420p",
            "-x264-params",
            &options,
            "-f",
            "h264",
            "-",
        ],
    );
    let mut units: Vec<Vec<u8>> = Vec::new();
    for nal in annexb::units(&stream) {
        if nal[0] & 0x1f == 9 {
            units.push(Vec::new());
        }
        let unit = units.last_mut().expect("begins with a delimiter");
        unit.extend([0, 0, 0, 1]);
        unit.extend(nal);
    }
    units.into_iter().map(Bytes::from).collect()
}

/// Raw AAC frames and their AudioSpecificConfig.
fn encoded_audio(seconds: i64) -> (Vec<Bytes>, Vec<u8>) {
    let source = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    let adts = judged(
        "ffmpeg",
        &["-v", "error", "-f", "lavfi", "-i", &source, "-ac", "2", "-c:a", "aac", "-b:a", "128k", "-f", "adts", "-"],
    );
    let mut frames = Vec::new();
    let mut rest = &adts[..];
    while rest.len() > 7 {
        let length = usize::from(rest[3] & 3) << 11 | usize::from(rest[4]) << 3 | usize::from(rest[5]) >> 5;
        frames.push(Bytes::copy_from_slice(&rest[7..length]));
        rest = &rest[length..];
    }
    (frames, vec![0x11, 0x90])
}

/// Packages both and gives the broadcast back.
fn packaged(rate: FrameRate, video: &[Bytes], audio: &[Bytes], specific: Vec<u8>) -> Arc<LiveBroadcast> {
    let both = Tracks { video: true, audio: true };
    let profile = LatencyProfile::Low;
    let timing = Arc::new(Timing::new(profile, rate, both));
    let ladder = Ladder { rungs: vec![Rung { height: 180, bitrate: 500_000 }], audio_bitrate: 128_000 };
    let size = PictureSize { width: 320, height: 180 };
    let renditions = ladder::renditions(&ladder, Some(size), true, profile);
    let subject = Subject {
        broadcast: "b1".parse().unwrap(),
        channel: "demo".parse().unwrap(),
        title: "Demo".into(),
        profile,
        incarnation: Incarnation(1),
        zero: UnixMicros(1_800_000_000_000_000),
        begins: MediaTime::ZERO,
        msn_start: 0,
        epoch: 0,
        dvr_s: 0,
    };
    let outlets = Outlets {
        listing: Box::new(|_| {}),
        status: watch::channel(Status::default()).0,
        metrics: BroadcastMetrics::register(&Registry::new()).unwrap(),
        keyframe: Arc::new(Notify::new()),
        archive: Vec::new(),
        top_codecs: Arc::default(),
    };
    let mut publisher = Publisher::new(subject, renditions, timing, outlets);
    let live = Arc::clone(publisher.live());
    let mut outputs = vec![(MediaTime::ZERO, Output::AudioConfig { rendition: 1, config: specific })];
    for (data, index) in video.iter().zip(0..) {
        let (at, end) = (rate.time_of(index), rate.time_of(index + 1));
        let idr = annexb::parameter_sets(data).is_some();
        let unit = support::picture(at, Some(end - at), idr);
        outputs.push((end, Output::Encoded { rendition: 0, unit: AccessUnit { data: data.clone(), ..unit } }));
    }
    // The first frame is the encoder's priming, and lies before zero.
    for (data, index) in audio.iter().zip(-1..) {
        let unit = support::aac(index);
        let end = unit.pts + unit.duration.unwrap();
        assert_eq!(unit.codec, Codec::Aac);
        outputs.push((end, Output::Encoded { rendition: 1, unit: AccessUnit { data: data.clone(), ..unit } }));
    }
    outputs.sort_by_key(|(at, _)| *at);
    for (_, output) in outputs {
        publisher.handle(output, MediaTime::ZERO, Instant::now());
    }
    let _ = publisher.end(Cause::Session(SessionEnd::Closed));
    live
}

/// Writes every object that the last revisions advertise, and the playlists, as a folder to play.
fn written(live: &LiveBroadcast, folder: &Path) {
    for rendition in &live.renditions {
        let snapshot = Arc::clone(&rendition.snapshot.borrow());
        let here = folder.join("b1").join(rendition.name.as_str());
        std::fs::create_dir_all(&here).unwrap();
        std::fs::write(here.join("index.m3u8"), &snapshot.playlist.plain).unwrap();
        let text = String::from_utf8(snapshot.playlist.plain.to_vec()).unwrap();
        for name in text.split(['"', '\n']).filter(|word| word.ends_with(".m4s") || word.ends_with(".mp4")) {
            let object = snapshot.objects.get(name).unwrap();
            std::fs::write(here.join(name), object.chunks.concat()).unwrap();
        }
    }
    std::fs::write(folder.join("index.m3u8"), live.multivariant.get().unwrap()).unwrap();
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// `framemd5` of what a program decodes: one line per picture, the last field its hash.
fn hashes(input: &str, format: &str) -> Vec<String> {
    let arguments =
        ["-v", "error", "-f", format, "-i", input, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-"];
    let lines = text(judged("ffmpeg", &arguments));
    let of = |line: &str| line.rsplit(' ').next().unwrap().to_owned();
    lines.lines().filter(|line| !line.starts_with('#')).map(of).collect()
}

#[test]
fn ffmpeg_plays_every_picture_back_bit_by_bit_and_finds_no_gap() {
    for (rate, text_rate, gop, profile) in
        [(FrameRate::THIRTY, "30", 60, "high"), (FrameRate::new(24_000, 1_001), "24000/1001", 48, "baseline")]
    {
        // Six seconds: over them, 48 pictures of 23.976 stay on the two-second grid.
        let folder = tempfile::tempdir().unwrap();
        let video = encoded_video(text_rate, gop, 6, profile);
        let (audio, specific) = encoded_audio(6);
        let live = packaged(rate, &video, &audio, specific);
        written(&live, folder.path());
        let original = folder.path().join("original.h264");
        std::fs::write(&original, video.concat()).unwrap();
        let list = folder.path().join("index.m3u8");
        assert_eq!(hashes(list.to_str().unwrap(), "hls"), hashes(original.to_str().unwrap(), "h264"));
        timestamps_run_on(&folder.path().join("b1/180p/index.m3u8"), "v", rate.frame(), video.len());
        let frame = MediaTime::from_ticks(1024, 48_000);
        timestamps_run_on(&folder.path().join("b1/audio/index.m3u8"), "a", frame, audio.len() - 1);
    }
}

/// Each packet begins one `frame` after the last, and none is missing.
fn timestamps_run_on(list: &Path, kind: &str, frame: MediaTime, count: usize) {
    let arguments = [
        "-v",
        "error",
        "-f",
        "hls",
        "-select_streams",
        kind,
        "-show_entries",
        "packet=pts_time",
        "-of",
        "csv=p=0",
        list.to_str().unwrap(),
    ];
    let times: Vec<f64> =
        text(judged("ffprobe", &arguments)).lines().filter_map(|line| line.trim_matches(',').parse().ok()).collect();
    assert_eq!(times.len(), count);
    for pair in times.windows(2) {
        assert!((pair[1] - pair[0] - frame.as_seconds()).abs() < 0.000_05, "{pair:?}");
    }
}

#[test]
fn parts_one_after_the_other_are_the_segment_and_the_file_says_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (audio, specific) = encoded_audio(4);
    let live = packaged(FrameRate::THIRTY, &encoded_video("30", 60, 4, "main"), &audio, specific);
    written(&live, folder.path());
    for (name, expected) in [("180p", "h264,320,180"), ("audio", "aac,48000,2")] {
        let here = folder.path().join("b1").join(name);
        let mut parts = std::fs::read(here.join("init-1-0.mp4")).unwrap();
        let mut segment = parts.clone();
        for part in 0..6 {
            parts.extend(std::fs::read(here.join(format!("part-1-0-{part}.m4s"))).unwrap());
        }
        segment.extend(std::fs::read(here.join("seg-1-0.m4s")).unwrap());
        assert_eq!(parts, segment);
        let file = here.join("whole.mp4");
        std::fs::write(&file, &parts).unwrap();
        let entries = "stream=codec_name,width,height,sample_rate,channels";
        let arguments = ["-v", "error", "-show_entries", entries, "-of", "csv=p=0", file.to_str().unwrap()];
        assert_eq!(text(judged("ffprobe", &arguments)).trim(), expected);
    }
}

#[test]
fn the_parameter_sets_of_a_real_encoder_are_read() {
    for (profile, number) in [("baseline", 66), ("main", 77), ("high", 100)] {
        let units = encoded_video("30", 30, 1, profile);
        let sets = annexb::parameter_sets(&units[0]).unwrap();
        let sps = Sps::parse(&sets.sps[0]).unwrap();
        assert_eq!((sps.profile, sps.size), (number, PictureSize { width: 320, height: 180 }));
    }
}
