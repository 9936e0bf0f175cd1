"""Publishes three seconds through the FFmpeg inside PyAV, which does DTLS by GnuTLS.

FFmpeg 8.1 makes itself a certificate on the curve P-224 then.

    STREAM_KEY=... pyav_publisher.py URL [passive|active]
"""

import fractions
import os
import sys
import time

import av
import numpy

RATE, SECONDS = 30, 3


def main():
    url, role = sys.argv[1], (sys.argv[2:] or ["passive"])[0]
    options = {"authorization": os.environ["STREAM_KEY"]}
    if role == "active":
        options["whip_flags"] = "dtls_active"
    # WHIP wants both tracks described, though the sound stays silent.
    output = av.open(url, "w", format="whip", options=options)
    coding = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "bf": "0"}
    video = output.add_stream("libx264", rate=RATE, options=coding)
    video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
    audio = output.add_stream("libopus", rate=48_000)
    audio.layout = "stereo"
    for index in range(RATE * SECONDS):
        frame = av.VideoFrame.from_ndarray(numpy.full((180, 320, 3), index % 256, dtype=numpy.uint8), format="rgb24")
        frame.pts, frame.time_base = index, fractions.Fraction(1, RATE)
        for packet in video.encode(frame):
            output.mux(packet)
        time.sleep(1 / RATE)
    output.close()


if __name__ == "__main__":
    main()
