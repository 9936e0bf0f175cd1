"""Players of others on the plain URL, while a broadcast runs: low latency where they know it, classic HLS else."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import judges
import publishers
from support import browser, tools, web
from support.waiting import until

# A classic player starts three target durations behind the end, so it needs that much.
SEGMENTS = 4
PLAY_S = 4
# VLC counts from its own start, and on a busy machine takes seconds to open a stream.
VLC_RUN_S = 10


@pytest.fixture(scope="module")
def live(server):
    """A channel on which our own publisher runs, with enough behind it for classic players."""
    channel = server.new_channel()
    with publishers.headwater(server.whip, channel.key) as publisher:
        channel.wait_playable()
        name = next(line for line in channel.wait_playable().splitlines() if line and not line.startswith("#"))
        playlist = channel.playlist.rsplit("/", 1)[0] + "/" + name
        until(lambda: publisher.check_running() and web.get(playlist).text().count("#EXTINF") >= SEGMENTS, 40,
              f"{SEGMENTS} segments")
        yield channel


def test_the_watch_page_plays_in_low_latency(live):
    with browser.session() as chromium:
        player = chromium.player(live.page)
        player.wait_live()
        stats = player.check_plays_on(8)
        assert len(stats["levels"]) == 2, stats
        print(f"latency {stats['latency']:.2f} s, {stats['droppedFrames']} frames dropped of {stats['totalFrames']}")


def test_shaka_plays_in_low_latency(live):
    with browser.session() as chromium:
        state = chromium.shaka(live.playlist).check_plays_on(6)
    assert state["tracks"] == 2, state
    print(f"latency {state['latency']:.2f} s")


def test_a_viewer_who_waits_sees_the_broadcast_start_without_a_reload(server, channel):
    with browser.session() as chromium:
        player = chromium.player(channel.page)
        player.wait_phase("offline")
        with publishers.headwater(server.whip, channel.key):
            player.wait_live()
            player.check_plays_on(2)


def run(command, seconds, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=seconds,
                          check=False, **options)


@pytest.mark.parametrize("generation", ["oldest", "newest"])
def test_ffmpeg_decodes_every_rendition_without_an_error(live, generation):
    # All streams: FFmpeg 9 closes a variant that is not wanted in the middle of a packet, and complains of itself.
    ffmpeg = tools.need("ffmpeg") if generation == "oldest" else tools.whip_ffmpeg()
    result = run([ffmpeg, "-nostdin", "-v", "error", "-i", live.playlist, "-map", "0", "-t", PLAY_S, "-f", "null", "-"],
                 60)
    assert (result.returncode, result.stderr) == (0, "")


def test_ffprobe_sees_the_ladder_and_the_sound(live):
    streams = judges.streams(live.playlist)
    videos = {(s["codec_name"], s["width"], s["height"]) for s in streams if s["codec_type"] == "video"}
    audios = {(s["codec_name"], s["sample_rate"], s["channels"]) for s in streams if s["codec_type"] == "audio"}
    assert videos == {("h264", 640, 360), ("h264", 320, 180)}
    assert audios == {("aac", "48000", 2)}


def test_streamlink_records_the_live_stream(live, tmp_path):
    target = tmp_path / "streamlink.mp4"
    result = run([tools.streamlink(), "--no-config", "--hls-duration", PLAY_S, "--ffmpeg-ffmpeg",
                  shutil.which("ffmpeg"), "-o", target, f"hls://{live.playlist}", "best"], 90)
    assert result.returncode == 0, result.stdout + result.stderr
    kinds = {stream["codec_type"] for stream in judges.streams(target)}
    assert kinds == {"video", "audio"}
    assert judges.decode(target) == []


def record_with_vlc(live):
    # VLC runs as nobody if we are root, and wants a folder of its own.
    home = Path(tempfile.mkdtemp(prefix="headwater-e2e-vlc-"))
    home.chmod(0o777)
    target = home / "vlc.ts"
    try:
        command = tools.vlc_command(home)
        result = run([*command, "-I", "dummy", "--no-media-library", "--run-time", VLC_RUN_S, "--play-and-exit",
                      "--sout", f"#std{{access=file,mux=ts,dst={target}}}", "--sout-all", live.playlist, "vlc://quit"],
                     90, env=os.environ | {"HOME": str(home)})
        recorded = target.exists() and target.stat().st_size > 0
        kinds = {stream["codec_name"] for stream in judges.streams(target)} if recorded else set()
        return kinds, result.stderr
    finally:
        shutil.rmtree(home, ignore_errors=True)


def test_vlc_plays_the_live_stream(live):
    kinds, log = record_with_vlc(live)
    assert {"h264", "aac"} <= kinds, log[-3000:]
