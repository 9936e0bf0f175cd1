"""Many viewers in one process: each follows its playlists by blocking reload and fetches every part. Pure but for `run`."""

import asyncio
import re
import sys
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urljoin

import aiohttp

TIMEOUT_S = 30
PART = re.compile(r'^#EXT-X-PART:(?:.*,)?DURATION=([\d.]+),.*?URI="([^"]+)"', re.MULTILINE)
MEDIA_SEQUENCE = re.compile(r"^#EXT-X-MEDIA-SEQUENCE:(\d+)", re.MULTILINE)
HOLD_BACK = re.compile(r"PART-HOLD-BACK=([\d.]+)")
VARIANT = re.compile(r"^#EXT-X-STREAM-INF:.*\n(.+)$", re.MULTILINE)
AUDIO = re.compile(r'^#EXT-X-MEDIA:.*URI="([^"]+)"', re.MULTILINE)


def next_query(text):
    """What a player asks for after this revision (rfc8216bis 6.2.5.2)."""
    whole = text.count("\n#EXTINF:")
    skipped = re.search(r"SKIPPED-SEGMENTS=(\d+)", text)
    msn = int(MEDIA_SEQUENCE.search(text)[1]) + whole + (int(skipped[1]) if skipped else 0)
    open_parts = len(PART.findall(text[text.rfind("\n#EXTINF:") + 1:]))
    return f"?_HLS_msn={msn}&_HLS_part={open_parts}"


@dataclass
class Playback:
    """A player's buffer by the book: it starts one hold-back after its first part came, and each later one must be there
    when it is due."""

    hold_back: float
    began: float = 0.0
    media: float = 0.0
    stalls: int = 0
    slack: list = field(default_factory=list)

    def came(self, at, duration):
        if self.began == 0.0:
            self.began = at + self.hold_back
        slack = self.began + self.media - at
        self.slack.append(slack)
        if slack < 0:
            # It waits until now, and goes on from here.
            self.stalls += 1
            self.began -= slack
        self.media += duration


@dataclass
class Rendition:
    url: str
    playback: Playback | None = None
    listed: dict = field(default_factory=dict)
    errors: list = field(default_factory=list)


async def follow(session, rendition, until):
    query, known = "", None
    while time.time() < until:
        text, at = await get(session, rendition, rendition.url + query), time.time()
        if text is None:
            return
        text = text.decode()
        parts = PART.findall(text)
        if known is None:
            # What is there already was another's news.
            known = {uri for _, uri in parts}
            rendition.playback = Playback(float(HOLD_BACK.search(text)[1]))
        for duration, uri in parts:
            if uri not in known:
                known.add(uri)
                rendition.listed[uri] = at
                if await get(session, rendition, urljoin(rendition.url, uri)) is None:
                    return
                rendition.playback.came(time.time(), float(duration))
        query = next_query(text)


async def get(session, rendition, url):
    try:
        async with session.get(url) as answer:
            body = await answer.read()
            if answer.status == 200:
                return body
            rendition.errors.append(f"{url}: {answer.status}")
    except (aiohttp.ClientError, asyncio.TimeoutError) as error:
        rendition.errors.append(f"{url}: {error!r}")
    return None


async def viewer(url, until, wait_s):
    await asyncio.sleep(wait_s)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        async with session.get(url) as answer:
            text = await answer.text()
        urls = [VARIANT.search(text)[1], *AUDIO.findall(text)[:1]]
        renditions = [Rendition(urljoin(url, found)) for found in urls]
        await asyncio.gather(*(follow(session, rendition, until) for rendition in renditions))
        return renditions


async def crowd(url, viewers, seconds):
    """All viewers, who come within two seconds."""
    until = time.time() + seconds
    return await asyncio.gather(*(viewer(url, until, 2 * number / viewers) for number in range(viewers)))


def summary(crowd_seen):
    renditions = [rendition for seen in crowd_seen for rendition in seen]
    first = {}
    for rendition in renditions:
        for uri, at in rendition.listed.items():
            key = urljoin(rendition.url, uri)
            first[key] = min(at, first.get(key, at))
    return {
        "stalls": sum(rendition.playback.stalls for rendition in renditions if rendition.playback),
        "parts": sum(len(rendition.listed) for rendition in renditions),
        "objects": len(first),
        "behind_first_s": [round(at - first[urljoin(rendition.url, uri)], 4)
                           for rendition in renditions for uri, at in rendition.listed.items()],
        "slack_least_s": min((min(rendition.playback.slack) for rendition in renditions
                              if rendition.playback and rendition.playback.slack), default=None),
        "errors": [error for rendition in renditions for error in rendition.errors],
    }


if __name__ == "__main__":
    print(json.dumps(summary(asyncio.run(crowd(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))))
