"""The browser's side: the page that publishes the clock is of the end-to-end tests; the pages that watch it are here."""

from contextlib import contextmanager
from pathlib import Path

from support.browser import POLLING_MS, session

HERE = Path(__file__).resolve().parent
FIRST_FRAME_MS = 60_000


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
    def __init__(self, session):
        self.session = session

    def publisher(self, whip, key):
        return self.session.clock(whip, key)

    def viewer(self, url):
        return Viewer(self.session.browser, url)


@contextmanager
def browser():
    with session() as running:
        yield Browser(running)
