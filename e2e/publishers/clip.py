"""A clip that tells of itself: each second a white flash and a beep, and in each picture its number.

The lowest ninth of the picture is a row of blocks, black or white, the number's bits from the lowest on.
`judges.flashes` reads all three back from what the server made of it. The clip is encoded ahead, so that
a publisher only sends, and is made to be sent again from its start: a whole number of seconds, no B-frames.
"""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av

from support import tools

SECONDS = 10
RATE = 30
FRAMES = SECONDS * RATE
# 2 ** BITS pictures have numbers of their own.
BITS = 12
STRIP = 9
MARK_S = 0.1
BEEP_HZ = 1_000
SAMPLE_RATE = 48_000
OPUS_FRAME = SAMPLE_RATE // 50


@dataclass(frozen=True)
class Clip:
    """Files of a clip: an elementary stream each, and the same cut into frames for `obs_like.mjs`."""

    h264: Path
    ogg: Path
    video_frames: Path
    audio_frames: Path


def since_mark(number):
    """The seconds since its flash began of the picture of that number, None for one without flash."""
    seconds = number % RATE / RATE
    return seconds if seconds < MARK_S + 1 / RATE else None


def picture(width, height):
    """The lavfi source of the video."""
    strip = height // STRIP
    marked = f"lt(mod(t,1),{MARK_S})"
    return (f"testsrc2=size={width}x{height - strip}:rate={RATE},lutyuv=y=val/2,"
            f"drawbox=color=white:t=fill:enable='{marked}',format=yuv420p[top];"
            f"nullsrc=size={BITS}x1:rate={RATE},format=gray,geq=lum='16+219*mod(floor(N/pow(2,X)),2)',"
            f"scale={width}:{strip}:flags=neighbor,format=yuv420p[strip];[top][strip]vstack")


def sound():
    """The lavfi source of the audio, stereo."""
    beep = f"0.5*sin(2*PI*{BEEP_HZ}*t)*lt(mod(t,1),{MARK_S})"
    return f"aevalsrc='{beep}|{beep}':sample_rate={SAMPLE_RATE}"


def make(folder, width=1280, height=720, keyframe_interval=2 * RATE, bitrate="2500k"):
    """Encodes a clip as OBS would: parameter sets before each keyframe, no B-frames, constant rate."""
    h264, ogg = Path(folder) / "clip.h264", Path(folder) / "clip.ogg"
    subprocess.run([
        tools.need("ffmpeg"), "-nostdin", "-v", "error", "-y",
        "-f", "lavfi", "-i", picture(width, height), "-f", "lavfi", "-i", sound(), "-t", str(SECONDS),
        "-map", "0:v", "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "baseline", "-pix_fmt", "yuv420p",
        "-b:v", bitrate, "-maxrate", bitrate, "-bufsize", bitrate, "-bf", "0",
        "-x264-params", f"repeat-headers=1:scenecut=0:keyint={keyframe_interval}:min-keyint={keyframe_interval}",
        "-t", str(SECONDS), h264,
        "-map", "1:a", "-c:a", "libopus", "-b:a", "128k", "-frame_duration", "20", "-t", str(SECONDS), ogg,
    ], check=True, timeout=300)
    video, audio = Path(folder) / "video.frames", Path(folder) / "audio.frames"
    split(h264, video, FRAMES)
    split(ogg, audio, SECONDS * SAMPLE_RATE // OPUS_FRAME)
    return Clip(h264, ogg, video, audio)


def split(source, target, count):
    """Writes the first `count` frames of an elementary stream, each behind its length in 4 bytes."""
    with av.open(str(source)) as stream, target.open("wb") as out:
        frames = [bytes(packet) for packet in stream.demux() if packet.size][:count]
        assert len(frames) == count, f"{source} has {len(frames)} frames"
        for frame in frames:
            out.write(len(frame).to_bytes(4, "big") + frame)


@cache
def shared(folder, **options):
    """The clip of a test session that has these options, made when first asked for."""
    place = Path(folder) / "-".join(map(str, ("clip", *options.values())))
    place.mkdir()
    return make(place, **options)
