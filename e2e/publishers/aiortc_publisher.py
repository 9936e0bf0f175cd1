"""Publishes a moving picture and a tone through aiortc: H.264 and Opus, PLI honoured by its encoder.

Prints one JSON line for each event: `connected`, `ended`. SIGINT and SIGTERM say goodbye.

    STREAM_KEY=... aiortc_publisher.py URL [--silent] [--size 640x360] [--fps 30]

--silent: connects and sends no media.
"""

import argparse
import asyncio
import fractions
import json
import os
import signal
from urllib.parse import urljoin

import aiohttp
import av
import numpy
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

SAMPLE_RATE = 48_000
AUDIO_FRAME = SAMPLE_RATE // 50
TONE_HZ = 440


class Silence(MediaStreamTrack):
    """A track on which nothing ever comes."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    async def recv(self):
        await asyncio.Event().wait()


class Paced(MediaStreamTrack):
    """Frames at their time."""

    def __init__(self, interval):
        super().__init__()
        self.interval = interval
        self.count = 0
        self.began = None

    async def pace(self):
        loop = asyncio.get_running_loop()
        self.began = self.began if self.began is not None else loop.time()
        await asyncio.sleep(max(0.0, self.began + self.count * self.interval - loop.time()))
        self.count += 1
        return self.count - 1


class Picture(Paced):
    kind = "video"

    def __init__(self, width, height, rate):
        super().__init__(1 / rate)
        self.rate = rate
        columns = numpy.arange(width, dtype=numpy.int32)
        rows = numpy.arange(height, dtype=numpy.int32)[:, None]
        self.ramp = columns + rows
        self.chroma = numpy.full((height // 2, width), 128, dtype=numpy.uint8)

    async def recv(self):
        index = await self.pace()
        luma = ((self.ramp + 3 * index) & 0xFF).astype(numpy.uint8)
        planes = numpy.concatenate([luma, self.chroma])
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = index, fractions.Fraction(1, self.rate)
        return frame


class Tone(Paced):
    kind = "audio"

    def __init__(self):
        super().__init__(AUDIO_FRAME / SAMPLE_RATE)

    async def recv(self):
        index = await self.pace()
        times = (numpy.arange(AUDIO_FRAME) + index * AUDIO_FRAME) / SAMPLE_RATE
        samples = (8_000 * numpy.sin(2 * numpy.pi * TONE_HZ * times)).astype(numpy.int16)
        frame = av.AudioFrame.from_ndarray(numpy.repeat(samples, 2)[None, :], format="s16", layout="stereo")
        frame.sample_rate, frame.pts = SAMPLE_RATE, index * AUDIO_FRAME
        frame.time_base = fractions.Fraction(1, SAMPLE_RATE)
        return frame


def add(peer, track, codec):
    """Adds a track to send, with that codec alone."""
    transceiver = peer.addTransceiver(track, direction="sendonly")
    known = RTCRtpSender.getCapabilities(track.kind).codecs
    transceiver.setCodecPreferences([c for c in known if c.mimeType.lower().endswith(f"/{codec.lower()}")])


def new_peer():
    """A peer that asks no STUN server: the default one is on the internet."""
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def make_offer(video, audio):
    """The SDP of a peer that is never connected."""
    peer = new_peer()
    if audio:
        add(peer, Silence("audio"), audio)
    if video:
        add(peer, Silence("video"), video)
    await peer.setLocalDescription(await peer.createOffer())
    sdp = peer.localDescription.sdp
    await peer.close()
    return sdp


def say(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


async def publish(arguments, key):
    peer = new_peer()
    width, height = map(int, arguments.size.split("x"))
    tracks = (Silence("audio"), Silence("video")) if arguments.silent else (
        Tone(), Picture(width, height, arguments.fps))
    for track, codec in zip(tracks, ("opus", "H264")):
        add(peer, track, codec)
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)

    @peer.on("connectionstatechange")
    def changed():
        if peer.connectionState == "connected":
            say("connected")
        elif peer.connectionState in ("failed", "closed"):
            over.set()

    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/sdp"}
    async with aiohttp.ClientSession() as http:
        async with http.post(arguments.url, data=peer.localDescription.sdp, headers=headers) as answer:
            text = await answer.text()
            if answer.status != 201:
                say("refused", status=answer.status, body=text)
                return 1
            session = urljoin(arguments.url, answer.headers["Location"])
        await peer.setRemoteDescription(RTCSessionDescription(text, "answer"))
        await over.wait()
        state = peer.connectionState
        async with http.delete(session, headers={"Authorization": headers["Authorization"]}) as answer:
            say("ended", state=state, status=answer.status)
    await peer.close()
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--silent", action="store_true")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--fps", type=int, default=30)
    arguments = parser.parse_args()
    raise SystemExit(asyncio.run(publish(arguments, os.environ["STREAM_KEY"])))


if __name__ == "__main__":
    main()
