"""Publishes by the WHIP muxer of the FFmpeg 8.1 that PyAV brings: GnuTLS, which makes its DTLS unlike others'.

    STREAM_KEY=... pyav_publisher.py URL [--active]

--active: this side starts DTLS. Prints a JSON line for `connected` and `ended`. SIGINT and SIGTERM say goodbye.
"""

import argparse
import fractions
import json
import os
import signal
import threading
import time

import av
import numpy

WIDTH, HEIGHT, RATE = 640, 360, 30
SAMPLE_RATE = 48_000
AUDIO_FRAME = SAMPLE_RATE // 50


def picture(index):
    ramp = numpy.arange(WIDTH, dtype=numpy.int32) + numpy.arange(HEIGHT, dtype=numpy.int32)[:, None]
    luma = ((ramp + 3 * index) & 0xFF).astype(numpy.uint8)
    frame = av.VideoFrame.from_ndarray(numpy.concatenate([luma, numpy.full((HEIGHT // 2, WIDTH), 128, numpy.uint8)]),
                                       format="yuv420p")
    frame.pts, frame.time_base = index, fractions.Fraction(1, RATE)
    return frame


def sound(index):
    times = (numpy.arange(AUDIO_FRAME) + index * AUDIO_FRAME) / SAMPLE_RATE
    samples = (8_000 * numpy.sin(2 * numpy.pi * 440 * times)).astype(numpy.int16)
    frame = av.AudioFrame.from_ndarray(numpy.repeat(samples, 2)[None, :], format="s16", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, index * AUDIO_FRAME, fractions.Fraction(1, SAMPLE_RATE)
    return frame


def streams(container):
    video = container.add_stream("libx264", rate=RATE, options={
        "preset": "ultrafast", "tune": "zerolatency", "bf": "0", "g": str(2 * RATE), "profile": "baseline"})
    video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", 1_000_000
    audio = container.add_stream("libopus", rate=SAMPLE_RATE, layout="stereo")
    return video, audio


def run(container, over):
    video, audio = streams(container)
    began, pictures, sounds = None, 0, 0
    while not over.is_set():
        due = min(pictures / RATE, sounds * AUDIO_FRAME / SAMPLE_RATE)
        if began is not None:
            over.wait(max(0.0, began + due - time.monotonic()))
        if pictures / RATE <= due:
            packets, pictures = video.encode(picture(pictures)), pictures + 1
        else:
            packets, sounds = audio.encode(sound(sounds)), sounds + 1
        for packet in packets:
            container.mux(packet)
            if began is None:
                # The first packet writes the header: offer, answer, ICE and DTLS.
                began = time.monotonic()
                print(json.dumps({"event": "connected"}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--active", action="store_true")
    arguments = parser.parse_args()
    av.logging.set_level(av.logging.INFO)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    options = {"authorization": os.environ["STREAM_KEY"]} | ({"whip_flags": "dtls_active"} if arguments.active else {})
    with av.open(arguments.url, "w", format="whip", options=options) as container:
        run(container, over)
    print(json.dumps({"event": "ended"}), flush=True)


if __name__ == "__main__":
    main()
