"""An LL-HLS client that follows every rendition by blocking reload and keeps all that it gets.

It fetches everything that a playlist advertises, at once, again when it is taken off the list, and
again at the end (*advertised == servable*), and waits on every hint. It plays nothing and never
tolerates: whatever differs from the protocol is kept in `Recording.errors`.
"""

import asyncio
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urljoin

import aiohttp

from checker import media, presentation
from support.waiting import until

# A blocking reload is answered within three target durations (rfc8216bis 6.2.5.2), and some network.
REQUEST_TIMEOUT_S = 30
# Publishing, encoding and listing a few segments, on a busy machine.
PROGRESS_S = 60
# A goodbye reaches the playlists at once; the machine may be busy.
END_S = 15
# How often the multivariant playlist is asked for before it is there.
START_INTERVAL_S = 0.1
PLAYLIST_TYPE = "application/vnd.apple.mpegurl"


@dataclass
class Fetch:
    """One GET. Times are monotonic, in seconds."""

    url: str
    why: str
    began: float
    ended: float
    status: int
    headers: dict
    body: bytes


@dataclass
class Seen:
    """One revision of a playlist as it came. `wall` is the time of day in seconds."""

    at: float
    wall: float
    query: str
    headers: dict
    playlist: media.MediaPlaylist


@dataclass
class Rendition:
    url: str
    seen: list = field(default_factory=list)

    @property
    def name(self):
        return self.url.rsplit("/", 2)[-2]

    def last(self):
        return self.seen[-1].playlist

    def owed(self):
        """All URLs that were listed within the length of the playlist, as it is now (rfc8216bis 6.2.2)."""
        if not self.seen:
            return set()
        length = sum(float(segment.duration) for segment in self.last().complete())
        recent = [seen for seen in self.seen if seen.at >= self.seen[-1].at - length]
        return {urljoin(self.url, uri) for seen in recent for _, uri in seen.playlist.uris()}

    def complete(self):
        """How many segments were complete at some time, those that left the playlist too."""
        return self.last().next_msn() - self.seen[0].playlist.media_sequence


@dataclass
class Recording:
    url: str
    multivariant: str = ""
    multivariant_headers: dict = field(default_factory=dict)
    multivariant_at: float = 0.0
    renditions: list = field(default_factory=list)
    fetches: dict = field(default_factory=dict)
    errors: list = field(default_factory=list)
    stalls: int = 0

    def body(self, url):
        """The bytes of a URL, None if it never came."""
        return next((fetch.body for fetch in self.fetches.get(url, []) if fetch.status == 200), None)

    def part_latencies(self):
        """Seconds from the capture of a part's end to its listing, by EXT-X-PROGRAM-DATE-TIME."""
        found = []
        for rendition in self.renditions:
            for old, new in zip(rendition.seen, rendition.seen[1:]):
                found += _new_part_ages(old.playlist, new)
        return sorted(found)


def _new_part_ages(old, new):
    ages, known = [], old.last_position()
    for segment in new.playlist.segments:
        if segment.date is None:
            continue
        end = segment.date.timestamp()
        for index, part in enumerate(segment.parts):
            end += float(part.duration)
            if (segment.msn, index) > known:
                ages.append(new.wall - end)
    return ages


class Watcher:
    """Runs on a thread of its own from `start` to `stop`."""

    def __init__(self, url):
        self.recording = Recording(url)
        self.thread = threading.Thread(target=self._thread, name="watcher", daemon=True)
        self.stopping = threading.Event()
        self.tasks = set()
        self.failure = None

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        """Ends the following, fetches everything once more, and returns the recording."""
        self.stopping.set()
        return self.join(60)

    def join(self, seconds):
        """Waits until all playlists ended by themselves."""
        self.thread.join(seconds)
        assert not self.thread.is_alive(), f"the watcher still runs after {seconds} s"
        if self.failure:
            raise self.failure
        return self.recording

    def progress(self):
        """The least number of complete segments that any rendition has or had, 0 before the first."""
        renditions = self.recording.renditions
        if not renditions or not all(rendition.seen for rendition in renditions):
            return 0
        return min(rendition.complete() for rendition in renditions)

    def _thread(self):
        try:
            asyncio.run(self._run())
        except Exception as error:  # handed to whoever joins
            self.failure = error

    async def _run(self):
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as self.session:
            if not await self._start():
                return
            self.removed = {}
            await asyncio.gather(*(self._follow(rendition) for rendition in self.recording.renditions))
            await self._drain()
            await self._again()

    async def _start(self):
        recording = self.recording
        while not self.stopping.is_set():
            fetch = await self._get(recording.url, "multivariant")
            if fetch and fetch.status == 200:
                recording.multivariant = fetch.body.decode()
                recording.multivariant_headers = fetch.headers
                recording.multivariant_at = time.time()
                playlist, _ = presentation.parse(recording.multivariant)
                recording.renditions = [Rendition(url) for url in playlist.playlists(recording.url)]
                return True
            await asyncio.sleep(START_INTERVAL_S)
        return False

    # Playlists

    async def _follow(self, rendition):
        query = ""
        while not self.stopping.is_set():
            fetch = await self._reload(rendition, query)
            if fetch is None:
                return
            if fetch.status == 503:
                self.recording.stalls += 1
                continue
            if fetch.status != 200:
                self._error(f"{rendition.url}{query}: {fetch.status}")
                return
            playlist, _ = media.parse(fetch.body)
            self._take(rendition, query, fetch, playlist)
            if playlist.ended:
                return
            query = self._next_query(playlist)

    async def _reload(self, rendition, query):
        """A reload that gives way when the watcher is told to stop."""
        task = asyncio.create_task(self._get(rendition.url + query, "playlist"))
        while not task.done():
            await asyncio.wait({task}, timeout=0.1)
            if self.stopping.is_set() and not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                return None
        return task.result()

    @staticmethod
    def _next_query(playlist):
        if playlist.part_target is None:
            return f"?_HLS_msn={playlist.next_msn()}"
        grown = playlist.open()
        return f"?_HLS_msn={playlist.next_msn()}&_HLS_part={len(grown.parts) if grown else 0}"

    def _take(self, rendition, query, fetch, playlist):
        self._check_headers(rendition, fetch)
        before = rendition.seen[-1].playlist if rendition.seen else None
        if before is not None and playlist.raw == before.raw:
            self._error(f"{rendition.url}{query}: answered without what was asked for")
            return
        if query and not self._answers(query, playlist):
            self._error(f"{rendition.url}{query}: answered at {playlist.last_position()}")
        rendition.seen.append(Seen(fetch.ended, time.time(), query, fetch.headers, playlist))
        listed = {uri: kind for kind, uri in playlist.uris()}
        for uri, kind in listed.items():
            self._once(urljoin(rendition.url, uri), kind)
        for hint in playlist.hints:
            self._once(urljoin(rendition.url, hint["URI"]), "hint")
        if before is not None:
            for _, uri in before.uris():
                if uri not in listed:
                    self._spawn(self._fetch(urljoin(rendition.url, uri), "removed"))

    @staticmethod
    def _answers(query, playlist):
        wished = dict(pair.split("=") for pair in query[1:].split("&"))
        msn, part = int(wished["_HLS_msn"]), int(wished.get("_HLS_part", -1))
        if playlist.ended or playlist.next_msn() > msn:
            return True
        return part >= 0 and playlist.last_position() >= (msn, part)

    def _check_headers(self, rendition, fetch):
        kind = fetch.headers.get("Content-Type", "")
        if kind.split(";")[0].strip() != PLAYLIST_TYPE:
            self._error(f"H-002 {rendition.url}: Content-Type {kind!r}")
        if fetch.headers.get("Content-Encoding") != "gzip":
            self._error(f"H-110 {rendition.url}: not gzip-encoded")
        if "Cache-Control" not in fetch.headers:
            self._error(f"H-112 {rendition.url}: no Cache-Control")

    # Media

    def _once(self, url, kind):
        """Fetches a URL the first time that it is listed, and the first time that it is hinted."""
        key = (url, "hint" if kind == "hint" else "listed")
        if key not in self.removed:
            self.removed[key] = True
            self._spawn(self._fetch(url, kind))

    def _spawn(self, job):
        task = asyncio.create_task(job)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _drain(self):
        while self.tasks:
            await asyncio.gather(*list(self.tasks), return_exceptions=False)

    async def _fetch(self, url, why):
        fetch = await self._get(url, why)
        if fetch is None:
            if why != "hint" or not self._over():
                self._error(f"{why} {url}: no answer")
            return
        known = self.recording.body(url)
        self.recording.fetches.setdefault(url, []).append(fetch)
        if fetch.status != 200:
            # A hinted part that is never made is answered 404 (6.2.6); whether it was made is known at the end.
            if why != "hint":
                self._error(f"{why} {url}: {fetch.status}")
        elif known is not None and known != fetch.body:
            self._error(f"{why} {url}: other bytes than before")
        elif not fetch.body:
            self._error(f"{why} {url}: empty")
        elif int(fetch.headers.get("Content-Length", -1)) != len(fetch.body):
            self._error(f"{why} {url}: Content-Length {fetch.headers.get('Content-Length')}, {len(fetch.body)} bytes")

    async def _again(self):
        """Everything that is owed is still there; every hint that came true was answered."""
        owed = {url for rendition in self.recording.renditions for url in rendition.owed()}
        await asyncio.gather(*(self._fetch(url, "again") for url in owed))
        for url, fetches in self.recording.fetches.items():
            hints = [fetch for fetch in fetches if fetch.why == "hint"]
            listed = (url, "listed") in self.removed
            if hints and listed and hints[0].status != 200:
                self._error(f"hint {url}: {hints[0].status}, and then listed")

    def _over(self):
        return self.stopping.is_set() or any(r.seen and r.last().ended for r in self.recording.renditions)

    async def _get(self, url, why):
        began = time.monotonic()
        try:
            async with self.session.get(url) as answer:
                body = await answer.read()
                return Fetch(url, why, began, time.monotonic(), answer.status, dict(answer.headers), body)
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            if why == "playlist":
                self._error(f"{why} {url}: {error!r}")
            return None

    def _error(self, text):
        self.recording.errors.append(text)


def follow(channel, publisher, segments, watcher=None):
    """Watches a channel until so many more segments of each rendition are there."""
    watcher = watcher or Watcher(channel.playlist).start()
    wanted = watcher.progress() + segments
    until(lambda: publisher.check_running() and watcher.progress() >= wanted, PROGRESS_S, f"{wanted} segments")
    return watcher


def finish(watcher, publisher):
    """Lets the publisher say goodbye; returns the recording, all of its playlists ended."""
    publisher.stop()
    recording = watcher.join(END_S)
    assert all(rendition.last().ended for rendition in recording.renditions), "EXT-X-ENDLIST is missing"
    return recording
