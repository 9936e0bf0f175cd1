"""The studio in a browser: what a streamer does there, and what they see."""

import json
from contextlib import contextmanager

from playwright.sync_api import TimeoutError

from .browser import POLLING_MS, ROOT

# The two widths at which every state is looked at.
SIZES = ((1280, 900), (390, 844))
# Where pictures of every state go, for people to look at.
SCREENS = ROOT / ".local/screens"
# A machine may be busy: capture, negotiation and the first second of a ladder.
LIVE_MS = 40_000
CHANGE_MS = 15_000

AXE = ROOT / "e2e/node_modules/axe-core/axe.min.js"
# Rules of WCAG 2.2 A and AA, and good practice.
AXE_RUN = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ['violations'] });
  return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map((node) => node.target.join(' ') + ': ' + node.failureSummary) }));
}"""


def look(page, name):
    """Takes a picture of the page at every width, and has axe judge it: nothing serious, nothing wider than the screen."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    before = page.viewport_size
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        # Two pictures later the layout of the new width is on the screen.
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        page.screenshot(path=SCREENS / f"{name}-{width}.png", full_page=True, animations="disabled")
        wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name}: {wide} pixels wider than a screen of {width}"
        page.evaluate(AXE.read_text())
        found = page.evaluate(AXE_RUN)
        assert not found, f"{name} at {width}: {json.dumps(found, indent=1)}"
    page.set_viewport_size(before)


class Studio:
    """A studio page. Remembers what it asked the network for."""

    def __init__(self, page, server):
        self.page = page
        self.server = server
        self.errors = []
        self.bearers = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)
        page.on("request", self._request)
        # Leaving while live asks; the tests mean it.
        page.on("dialog", lambda dialog: dialog.accept())

    def _console(self, message):
        # What the policy of the page forbids must never be tried.
        if message.type == "error" and "Content Security Policy" in message.text:
            self.errors.append(message.text)

    def _request(self, request):
        if request.method == "POST" and request.url.endswith("/whip"):
            self.bearers.append(request.headers["authorization"].removeprefix("Bearer "))

    def open(self, base=None):
        self.page.goto(f"{base or self.server.url}/studio")
        return self

    def button(self, name):
        return self.page.get_by_role("button", name=name, exact=True)

    def sign_in(self, token=None):
        self.page.get_by_label("Token").fill(token or self.server.first_run()["admin_token"])
        self.button("Sign in").click()
        return self

    def choose_channel(self, channel):
        menu = self.page.get_by_label("Channel", exact=True)
        menu.select_option(channel.name)
        self.wait(f"(view) => view.channel === '{channel.name}'", "the channel is chosen")
        return self

    def choose_source(self, name):
        """`name` as on the panel: Camera, Screen or Pattern."""
        self.page.get_by_role("radio", name=name, exact=True).check(force=True)
        return self

    def wait_picture(self, standing="running"):
        self.wait(f"(view) => view.sources.picture.is === '{standing}'", f"the picture is {standing}")
        return self

    def go_live(self):
        self.button("Go live").click()
        return self.wait_phase("live")

    def end(self):
        self.button("End broadcast").click()
        self.button("End it").click()
        return self.wait_phase("ended")

    def view(self):
        return self.page.evaluate("() => window.headwater?.studio?.() ?? null")

    def wait(self, condition, what, milliseconds=CHANGE_MS):
        """Waits until `condition`, a function of the view in JavaScript, is true."""
        try:
            self.page.wait_for_function(f"() => {{ const view = window.headwater?.studio?.(); return view && ({condition})(view); }}",
                                        timeout=milliseconds, polling=POLLING_MS)
        except TimeoutError as error:
            raise AssertionError(f"not in the studio: {what}: {self.view()}, errors {self.errors}") from error

    def wait_phase(self, phase, milliseconds=LIVE_MS):
        self.wait(f"(view) => view.publish.phase === '{phase}'", f"it is {phase}", milliseconds)
        assert self.page.locator(f'[data-phase="{phase}"]').count() == 1
        return self

    def wait_on_air(self):
        """Until viewers can see it; the broadcast's id."""
        self.wait("(view) => view.onAir !== null", "it is on air", LIVE_MS)
        return self.view()["onAir"]

    def says(self, text):
        """Waits until the page shows these words."""
        self.page.get_by_text(text, exact=False).first.wait_for(timeout=CHANGE_MS)
        return self

    def check_no_errors(self):
        assert not self.errors, self.errors


@contextmanager
def studio(chromium, server, permissions=("camera", "microphone", "clipboard-read", "clipboard-write"), scripts=(), scheme="dark"):
    """A studio page with a memory of its own, signed out. `scripts` run before those of the page."""
    context = chromium.browser.new_context(permissions=list(permissions), color_scheme=scheme, viewport={"width": 1280, "height": 900})
    for script in scripts:
        context.add_init_script(script)
    try:
        yield Studio(context.new_page(), server)
    finally:
        context.close()
