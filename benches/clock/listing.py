"""Follows playlists by blocking reload, and notes when each part is listed. Decoding comes after the run."""

import asyncio
import io
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import av

from checker import media, presentation

REQUEST_TIMEOUT_S = 30
START_INTERVAL_S = 0.05


@dataclass
class Rendition:
    """A rendition as one viewer saw it."""

    url: str
    # Name of a part -> time of day in seconds at which a playlist with it had come.
    listed: dict = field(default_factory=dict)
    # Name of a part -> its bytes; empty where only the listing is watched.
    parts: dict = field(default_factory=dict)
    init: bytes = b""

    def packets(self):
        """(time of the media, time of listing) of each picture."""
        found = []
        for name, body in self.parts.items():
            with av.open(io.BytesIO(self.init + body)) as file:
                stream = file.streams[0]
                found += [(float(packet.pts * stream.time_base), self.listed[name])
                          for packet in file.demux(stream) if packet.pts is not None]
        return found

    def write(self, path):
        """All parts in their order as one file, from the first that can be decoded by itself."""
        bodies = list(self.parts.values())
        while bodies and not self._begins_with_keyframe(bodies[0]):
            del bodies[0]
        Path(path).write_bytes(self.init + b"".join(bodies))
        return path

    def _begins_with_keyframe(self, body):
        with av.open(io.BytesIO(self.init + body)) as file:
            return next(file.demux(file.streams[0])).is_keyframe


class Watcher:
    """One viewer on a thread of its own. `media_of` says of which renditions the parts are fetched as well."""

    def __init__(self, url, media_of=()):
        """`url` is the channel's multivariant playlist; its best video and its audio rendition are followed."""
        self.url = url
        self.media_of = media_of
        self.renditions = {}
        self.errors = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        self.thread.join(REQUEST_TIMEOUT_S + 5)
        assert not self.thread.is_alive(), "a watcher does not end"
        return self

    async def _run(self):
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as self.session:
            urls = await self._renditions()
            await asyncio.gather(*(self._follow(name, url) for name, url in urls.items()))

    async def _renditions(self):
        while not self.stopping.is_set():
            status, body = await self._get(self.url)
            if status == 200:
                playlist, _ = presentation.parse(body.decode())
                video, *others = playlist.playlists(self.url)
                return {"video": video} | ({"audio": others[-1]} if others else {})
            await asyncio.sleep(START_INTERVAL_S)
        return {}

    async def _follow(self, name, url):
        rendition = self.renditions[name] = Rendition(url)
        query, known, fetches = "", set(), set()
        while not self.stopping.is_set():
            try:
                status, body = await self._get(url + query)
            except (aiohttp.ClientError, asyncio.TimeoutError) as error:
                self.errors.append(f"{url}{query}: {error!r}")
                return
            at = time.time()
            if status != 200:
                self.errors.append(f"{url}{query}: {status}")
                return
            playlist, _ = media.parse(body)
            parts = [part.uri for segment in playlist.segments for part in segment.parts]
            # What the first answer lists was listed before.
            new = [uri for uri in parts if uri not in known] if query else []
            known |= set(parts)
            for uri in new:
                rendition.listed[uri] = at
                if name in self.media_of:
                    task = asyncio.create_task(self._fetch(rendition, uri))
                    fetches.add(task)
                    task.add_done_callback(fetches.discard)
            if name in self.media_of and not rendition.init:
                await self._fetch_init(rendition, playlist)
            if playlist.ended:
                break
            grown = playlist.open()
            query = f"?_HLS_msn={playlist.next_msn()}&_HLS_part={len(grown.parts) if grown else 0}"
        await asyncio.gather(*fetches)
        rendition.parts = {uri: rendition.parts[uri] for uri in rendition.listed if uri in rendition.parts}

    async def _fetch_init(self, rendition, playlist):
        uri = next(uri for kind, uri in playlist.uris() if kind == "map")
        _, rendition.init = await self._get(urljoin(rendition.url, uri))

    async def _fetch(self, rendition, uri):
        status, body = await self._get(urljoin(rendition.url, uri))
        if status == 200:
            rendition.parts[uri] = body
        else:
            self.errors.append(f"{uri}: {status}")

    async def _get(self, url):
        async with self.session.get(url) as answer:
            return answer.status, await answer.read()
