"""Publishes a moving picture and a sound through aiortc, PLI honoured by its encoder; a flash and a beep each second.

Prints one JSON line for each event: `connected`, `refused`, `ended`. SIGINT and SIGTERM say goodbye.

    STREAM_KEY=... aiortc_publisher.py URL [--silent] [--size 640x360] [--fps 30] [--tracks audio,video]
        [--video H264] [--reports all|none|first-invalid] [--wrong-fingerprint]

--silent: connects and sends no media.
--reports: which RTCP sender reports go out; `first-invalid`: the first of each track says RTP time 0xFFFFFFFF.
--wrong-fingerprint: offers another certificate than the one it shows.
"""

import argparse
import asyncio
import fractions
import json
import os
import re
import signal
from urllib.parse import urljoin

import aiohttp
import av
import numpy
from aiortc import (MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription,
                    rtcrtpsender)
from aiortc.rtp import RtcpSrPacket

SAMPLE_RATE = 48_000
AUDIO_FRAME = SAMPLE_RATE // 50
TONE_HZ = 1_000
# Flash and beep last a tenth of each second.
MARK = 10
INVALID_RTP_TIME = 0xFFFFFFFF


class Silence(MediaStreamTrack):
    """A track on which nothing ever comes."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    async def recv(self):
        await asyncio.Event().wait()


class Start:
    """When the first track asked for its first frame; all tracks share it."""

    def __init__(self):
        self.at = None

    def now(self):
        time = asyncio.get_running_loop().time()
        self.at = time if self.at is None else self.at
        return time - self.at


class Paced(MediaStreamTrack):
    """Frames at their time."""

    def __init__(self, start, interval):
        super().__init__()
        self.start = start
        self.interval = interval
        self.count = 0

    async def pace(self):
        await asyncio.sleep(max(0.0, self.count * self.interval - self.start.now()))
        self.count += 1
        return self.count - 1


class Picture(Paced):
    kind = "video"

    def __init__(self, start, width, height, rate):
        super().__init__(start, 1 / rate)
        self.rate = rate
        columns = numpy.arange(width, dtype=numpy.int32)
        rows = numpy.arange(height, dtype=numpy.int32)[:, None]
        self.ramp = columns + rows
        self.chroma = numpy.full((height // 2, width), 128, dtype=numpy.uint8)

    async def recv(self):
        index = await self.pace()
        marked = index % self.rate * MARK < self.rate
        luma = (((self.ramp + 3 * index) & 0x7F) | (0x80 if marked else 0)).astype(numpy.uint8)
        planes = numpy.concatenate([luma, self.chroma])
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = index, fractions.Fraction(1, self.rate)
        return frame


class Tone(Paced):
    kind = "audio"

    def __init__(self, start):
        super().__init__(start, AUDIO_FRAME / SAMPLE_RATE)

    async def recv(self):
        index = await self.pace()
        times = (numpy.arange(AUDIO_FRAME) + index * AUDIO_FRAME) / SAMPLE_RATE
        marked = times % 1 * MARK < 1
        samples = (8_000 * numpy.sin(2 * numpy.pi * TONE_HZ * times) * marked).astype(numpy.int16)
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


def add_tracks(peer, arguments):
    width, height = map(int, arguments.size.split("x"))
    start = Start()
    for kind in arguments.tracks.split(","):
        if arguments.silent:
            track = Silence(kind)
        else:
            track = Tone(start) if kind == "audio" else Picture(start, width, height, arguments.fps)
        add(peer, track, "opus" if kind == "audio" else arguments.video)


def spoil_reports(which):
    """Sends no sender report, or a first one of each track that is nonsense (OBS once did)."""
    send = RTCRtpSender._send_rtcp
    spoilt = set()

    async def without(sender, packets):
        await send(sender, [packet for packet in packets if not isinstance(packet, RtcpSrPacket)])

    async def invalid_first(sender, packets):
        for packet in packets:
            if isinstance(packet, RtcpSrPacket) and packet.ssrc not in spoilt:
                spoilt.add(packet.ssrc)
                packet.sender_info.rtp_timestamp = INVALID_RTP_TIME
        await send(sender, packets)

    spoilers = {"none": without, "first-invalid": invalid_first}
    rtcrtpsender.RTCRtpSender._send_rtcp = spoilers.get(which, send)


def final_offer(sdp, arguments):
    if not arguments.wrong_fingerprint:
        return sdp
    return re.sub(r"(?m)^(a=fingerprint:sha-\d+ )(.*?)\r?$",
                  lambda line: line[1] + ":".join(reversed(line[2].split(":"))) + "\r", sdp)


async def publish(arguments, key):
    peer = new_peer()
    add_tracks(peer, arguments)
    spoil_reports(arguments.reports)
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
        offered = final_offer(peer.localDescription.sdp, arguments)
        async with http.post(arguments.url, data=offered, headers=headers) as answer:
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
    parser.add_argument("--tracks", default="audio,video")
    parser.add_argument("--video", default="H264")
    parser.add_argument("--reports", choices=("all", "none", "first-invalid"), default="all")
    parser.add_argument("--wrong-fingerprint", action="store_true")
    arguments = parser.parse_args()
    raise SystemExit(asyncio.run(publish(arguments, os.environ["STREAM_KEY"])))


if __name__ == "__main__":
    main()
