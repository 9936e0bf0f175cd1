"""One Chromium, driven by Playwright, and a loopback server for the pages of the tests."""

import functools
import http.server
import threading
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import TimeoutError, sync_playwright

from . import tools
from .server import ROOT

# Conditions in a page are looked at this often.
POLLING_MS = 200

ARGUMENTS = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream=device-count=3",
    "--use-fake-ui-for-media-stream",
    # Screens are picked by themselves, too.
    "--auto-select-desktop-capture-source=Entire screen",
    "--autoplay-policy=no-user-gesture-required",
    # A tab in the background is slowed down; ours are watched by tests.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-dev-shm-usage",
]


@contextmanager
def chromium(arguments=()):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=tools.chromium(), args=[*ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def pages(folder):
    """Serves a folder on a loopback port; yields its URL."""
    handler = functools.partial(_Quiet, directory=str(Path(folder)))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class Publisher:
    """A page that publishes the fake camera and microphone."""

    START_MS = 20_000

    def __init__(self, page, whip, key, options):
        self.page = page
        self.key = key
        page.evaluate("([url, key, options]) => publish(url, key, options)", [whip, key, options])
        page.wait_for_function("publisher.state === 'connected'", timeout=self.START_MS, polling=POLLING_MS)

    def sending(self):
        """What it sends now, by its own statistics: codec, width, height, frames, limit."""
        return self.page.evaluate("sending()")

    def check_running(self):
        state = self.page.evaluate("publisher.state")
        assert state == "connected", f"the publishing page is {state}"
        return True

    def stop(self):
        """DELETEs its session; returns the status."""
        return self.page.evaluate("key => stop(key)", self.key)


class Clock:
    """A page that publishes pictures with numbers, and a flash and a beep at each whole second (`clock.html`)."""

    def __init__(self, page, whip, key):
        self.page = page
        self.key = key
        page.evaluate("([url, key]) => publish(url, key)", [whip, key])
        page.wait_for_function("publisher.state === 'connected'", timeout=Publisher.START_MS, polling=POLLING_MS)

    def began_ms(self):
        return self.page.evaluate("publisher.began")

    def drawn_ms(self):
        """When each picture was drawn, by the time of day; its number is its index."""
        return self.page.evaluate("drawn")

    def sent(self):
        """What it sends now, by its own statistics, and what limits its encoder."""
        return self.page.evaluate("sent()")

    def check_running(self):
        state = self.page.evaluate("publisher.state")
        assert state == "connected", f"the publishing page is {state}"
        return True

    def stop(self):
        """DELETEs its session."""
        self.page.evaluate("key => stop(key)", self.key)

    def close(self):
        self.page.close()


class Player:
    """The watch page, and what it asks the network for."""

    # Ask to first picture, on a busy machine.
    LIVE_MS = 40_000
    # Glass to glass in `low` is 2.1 s at p95 by the bar; five times that.
    LATENCY_S = 10.5

    def __init__(self, page, url):
        self.page = page
        self.url = url
        self.requests = []
        self.errors = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(f"exception: {error}"))
        page.on("console", lambda message: self._console(message))
        page.goto(url)

    def _console(self, message):
        if message.type == "error":
            self.errors.append(message.text)

    def stats(self):
        return self.page.evaluate("window.headwater && window.headwater.stats()")

    def wait_phase(self, phase, milliseconds=LIVE_MS):
        """Waits until the page says so, in its markup and to scripts."""
        try:
            self.page.wait_for_selector(f'[data-state="{phase}"]', state="attached", timeout=milliseconds)
        except TimeoutError as error:
            raise AssertionError(f"the page is not {phase}: {self.stats()}, errors {self.errors}") from error
        assert self.stats()["state"] == phase

    def wait_live(self):
        self.wait_phase("live")

    def wait_time(self, seconds, milliseconds):
        """Waits until the picture stands at `seconds` of the media or later."""
        try:
            self.page.wait_for_function("wanted => window.headwater.stats().currentTime >= wanted", arg=seconds,
                                        timeout=milliseconds, polling=POLLING_MS)
        except TimeoutError as error:
            raise AssertionError(f"playback does not reach {seconds}: {self.stats()}, errors {self.errors}") from error

    def check_plays_on(self, seconds):
        """Plays for so long without a stall, in low latency, with nothing from elsewhere."""
        before = self.stats()
        self.wait_time(before["currentTime"] + seconds, milliseconds=5_000 * seconds)
        after = self.stats()
        assert after["fatalErrors"] == 0, after
        assert after["stalls"] == before["stalls"] == 0, (before, after)
        assert after["attachments"] == 1, after
        assert after["engine"] == "hls.js", after
        assert after["latency"] is not None and 0 < after["latency"] < self.LATENCY_S, after
        assert after["totalFrames"] - before["totalFrames"] > 0, after
        assert after["width"] > 0 and after["height"] > 0, after
        self.check_requests()
        assert not [error for error in self.errors if error.startswith("exception")], self.errors
        return after

    def check_requests(self):
        blocking = [url for url in self.requests if "_HLS_msn=" in url]
        with_part = [url for url in blocking if "_HLS_part=" in url]
        assert blocking and with_part, f"no blocking reload among {len(self.requests)} requests"
        origin = "/".join(self.url.split("/")[:3])
        elsewhere = [url for url in self.requests if not url.startswith((origin, "blob:", "data:"))]
        assert not elsewhere, f"the page asked elsewhere: {elsewhere[:5]}"


class Shaka:
    """A page in which Shaka Player plays a playlist in low latency, and what it asks the network for."""

    START_MS = 40_000

    def __init__(self, page, base, url):
        self.page = page
        self.requests = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(f"{base}/players/shaka.html")
        page.evaluate("url => { play(url) }", url)

    def state(self):
        return self.page.evaluate("state()")

    def wait_time(self, seconds, milliseconds=START_MS):
        """Waits until it has shown that moment of the media; fails at its first error."""
        try:
            self.page.wait_for_function("wanted => errors.length || video.currentTime >= wanted", arg=seconds,
                                        timeout=milliseconds, polling=POLLING_MS)
        except TimeoutError as error:
            raise AssertionError(f"Shaka does not reach {seconds}: {self.state()}") from error
        state = self.state()
        assert not state["errors"], state
        return state

    def check_plays_on(self, seconds):
        """Plays so much more from where it is, by blocking reloads and parts."""
        self.page.wait_for_function("errors.length || video.currentTime > 0", timeout=self.START_MS,
                                    polling=POLLING_MS)
        before = self.state()
        first = len(self.requests)
        after = self.wait_time(before["currentTime"] + seconds, self.START_MS + 5_000 * seconds)
        assert after["frames"] > before["frames"] and after["width"] > 0, (before, after)
        assert 0 < after["latency"] < Player.LATENCY_S, after
        asked = self.requests[first:]
        blocking = [url for url in asked if "_HLS_msn=" in url and "_HLS_part=" in url]
        parts = [url for url in asked if "/part-" in url]
        # A reload for each part of each of its two playlists would be six a second.
        assert len(blocking) >= seconds and len(parts) >= seconds, (len(blocking), len(parts), len(asked))
        return after


class Session:
    """Pages of one browser."""

    def __init__(self, browser, base):
        self.browser = browser
        self.base = base

    @contextmanager
    def publisher(self, whip, key, **options):
        """`codec` (H264, VP8, VP9, AV1), `width` and `height` are options."""
        context = self.browser.new_context(permissions=["camera", "microphone"])
        page = context.new_page()
        page.goto(f"{self.base}/publishers/browser.html")
        try:
            yield Publisher(page, whip, key, options)
        finally:
            context.close()

    def clock(self, whip, key):
        page = self.browser.new_page()
        page.goto(f"{self.base}/publishers/clock.html")
        return Clock(page, whip, key)

    def player(self, url):
        # Certificates of tests are their own authority.
        return Player(self.browser.new_page(ignore_https_errors=True), url)

    def shaka(self, playlist):
        tools.node_package("shaka-player")
        return Shaka(self.browser.new_page(), self.base, playlist)


@contextmanager
def session(arguments=()):
    """A browser with these arguments besides, and the server of the tests' own pages."""
    with pages(ROOT / "e2e") as base, chromium(arguments) as browser:
        yield Session(browser, base)
