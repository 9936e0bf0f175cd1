"""The browser's side: the page that publishes the clock, and pages that watch it."""

from contextlib import contextmanager
from pathlib import Path

from support.browser import POLLING_MS, chromium, pages

HERE = Path(__file__).resolve().parent
CONNECT_MS = 20_000
FIRST_FRAME_MS = 60_000


class Publisher:
    """A page that publishes the clock."""

    def __init__(self, page, whip, key):
        self.page = page
        self.key = key
        page.evaluate("([url, key]) => publish(url, key)", [whip, key])
        page.wait_for_function("publisher.state === 'connected'", timeout=CONNECT_MS, polling=POLLING_MS)

    def began_ms(self):
        return self.page.evaluate("publisher.began")

    def drawn_ms(self):
        """When each picture was drawn, by the time of day; its number is its index."""
        return self.page.evaluate("drawn")

    def sent(self):
        return self.page.evaluate("sent()")

    def stop(self):
        self.page.evaluate("key => stop(key)", self.key)
        self.page.close()


class Viewer:
    """The watch page, with a reader of its pictures."""

    def __init__(self, browser, url):
        self.page = browser.new_page()
        self.page.add_init_script(path=HERE / "reader.js")
        self.page.goto(url)

    def wait_state(self, state, milliseconds=FIRST_FRAME_MS):
        self.page.wait_for_selector(f'[data-state="{state}"]', state="attached", timeout=milliseconds)

    def first_ms(self):
        """When the first picture was shown, by the time of day; waits for it."""
        wanted = "window.clockReader.firstMs"
        self.page.wait_for_function(f"() => {wanted} !== null", timeout=FIRST_FRAME_MS, polling=POLLING_MS)
        return self.page.evaluate(wanted)

    def opened_ms(self):
        """When the navigation began, by the time of day."""
        return self.page.evaluate("performance.timeOrigin")

    def take(self):
        """[time of day in ms, number] of the pictures read since the last call."""
        return self.page.evaluate("window.clockReader.seen.splice(0)")

    def stats(self):
        return self.page.evaluate("window.headwater.stats()")

    def close(self):
        self.page.close()


class Browser:
    def __init__(self, browser, base):
        self.browser = browser
        self.base = base

    def publisher(self, whip, key):
        page = self.browser.new_page()
        page.goto(f"{self.base}/clock.html")
        return Publisher(page, whip, key)

    def viewer(self, url):
        return Viewer(self.browser, url)


@contextmanager
def browser():
    with pages(HERE) as base, chromium() as running:
        yield Browser(running, base)
