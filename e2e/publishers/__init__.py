"""Real publishers: each a process of its own (or a page in a browser) that ends when told.

Pictures are small, so that two cores carry publisher, ladder and player.
"""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

from support import server, tools
from support.waiting import until

HERE = Path(__file__).resolve().parent
WIDTH, HEIGHT, RATE = 640, 360, 30
STOP_S = 15


class Publisher:
    """A publishing process. `stop` says goodbye, `kill` does not."""

    def __init__(self, name, command, env=None):
        self.name = name
        self.log_path = server.new_log(name)
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, env=server.environment(env))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def running(self):
        return self.process.poll() is None

    def check_running(self):
        assert self.running(), f"{self.name} ended with {self.process.returncode}:\n{self.log()}"
        return True

    def stop(self):
        """Asks it to end as a user would; returns the exit code."""
        if self.running():
            self.process.send_signal(signal.SIGINT)
        return self.wait(STOP_S)

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {seconds} s:\n{self.log()}") from None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.running():
            try:
                self.stop()
            except AssertionError as error:
                print(error)


def headwater(whip, key, duration=None, size=f"{WIDTH}x{HEIGHT}", fps=RATE, env=None):
    """Our own: `headwater publish`."""
    command = [server.binary(), "publish", "--whip", whip, "--size", size, "--fps", fps]
    if duration:
        command += ["--duration", duration]
    return Publisher("publish", command, {"HEADWATER_KEY": key} | (env or {}))


def ffmpeg(whip, key, dtls_role="passive"):
    """FFmpeg's WHIP muxer; its own default is to be the passive side of DTLS."""
    video = f"testsrc2=size={WIDTH}x{HEIGHT}:rate={RATE}"
    command = [
        tools.whip_ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "info",
        "-re", "-f", "lavfi", "-i", video,
        "-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
        "-map", "0:v", "-map", "1:a",
        "-c:v", "libx264", "-profile:v", "baseline", "-preset", "ultrafast", "-tune", "zerolatency",
        "-pix_fmt", "yuv420p", "-bf", "0", "-g", str(2 * RATE), "-b:v", "1000k", "-threads", "1",
        "-c:a", "libopus", "-ac", "2", "-ar", "48000", "-b:a", "96k",
        "-f", "whip", "-authorization", key,
    ]
    if dtls_role == "active":
        command += ["-whip_flags", "dtls_active"]
    return Publisher(f"ffmpeg-{dtls_role}", [*command, whip])


def aiortc(whip, key, *options):
    """A scripted peer; see `aiortc_publisher.py` for its options."""
    return Publisher("aiortc", [sys.executable, HERE / "aiortc_publisher.py", whip, *options], {"STREAM_KEY": key})


def obs_like(whip, key, clip, duration=None):
    """A client in the shape of OBS; sends a clip of `clip.py` and ignores PLI."""
    command = [tools.node(), HERE / "obs_like.mjs", whip, "--video", clip.video_frames, "--audio", clip.audio_frames]
    if duration:
        command += ["--duration", duration]
    return Publisher("obs-like", command, {"STREAM_KEY": key})


def firefox(whip, key, codec="VP8"):
    """Firefox with its fake camera; it has no H.264 of its own."""
    command = [tools.node(), HERE / "firefox.mjs", tools.firefox(), HERE / "browser.html", whip, codec]
    return Publisher("firefox", command, {"STREAM_KEY": key})


def pyav(whip, key, dtls_role="passive"):
    """The WHIP muxer of the FFmpeg 8.1 inside PyAV, whose DTLS is GnuTLS's."""
    options = ["--active"] if dtls_role == "active" else []
    return Publisher("pyav", [sys.executable, HERE.parent / "clients/pyav_publisher.py", whip, *options], {"STREAM_KEY": key})


def gstreamer(launch, plugins, whip, key):
    """GStreamer's whipclientsink, with its own choice of codecs."""
    pipeline = (f"whipclientsink name=out signaller::whip-endpoint={whip} signaller::auth-token={key} "
                f"videotestsrc is-live=true ! video/x-raw,width={WIDTH},height={HEIGHT},framerate={RATE}/1 ! out. "
                "audiotestsrc is-live=true ! out.")
    return Publisher("gstreamer", [launch, "-e", *pipeline.split()], {"GST_PLUGIN_PATH": plugins} if plugins else None)


def said(publisher, event):
    """The JSON line of that event that a scripted publisher printed last, if any."""
    lines = [json.loads(line) for line in publisher.log().splitlines() if line.startswith("{")]
    return next((line for line in reversed(lines) if line["event"] == event), None)


def wait_event(publisher, event, seconds=20):
    """Waits for that line; fails if the publisher ends before."""

    def look():
        # In this order: it may say so and end between the two.
        running = publisher.running()
        found = said(publisher, event)
        assert found or running, f"{publisher.name} ended without {event}:\n{publisher.log()}"
        return found

    return until(look, seconds, f"{publisher.name} says {event}")


def offer(video="H264", audio="opus"):
    """A complete offer of a peer that sends those codecs; None leaves a track out."""
    from publishers.aiortc_publisher import make_offer

    return asyncio.run(make_offer(video, audio))
