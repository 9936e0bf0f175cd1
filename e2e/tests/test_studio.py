"""The browser studio, driven as a streamer would, with the watch page beside it."""

import json
import re
import signal

import pytest

import publishers
from support import browser
from support.studio import look, studio
from support.waiting import until

# A name that resolves to the server but is no secure origin.
LAN = "studio.test"
# Devices that were opened, so that a test can pull one out.
REMEMBER_TRACKS = """
  window.openedTracks = [];
  const open = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = async function (...wanted) {
    const stream = await open.apply(this, wanted);
    window.openedTracks.push(...stream.getTracks());
    return stream;
  };
"""
# What the browser does when a device is pulled out.
PULL_OUT = """(kind) => {
  for (const track of window.openedTracks.filter((track) => track.kind === kind)) {
    track.stop();
    track.dispatchEvent(new Event('ended'));
  }
}"""


def refuse(kind, name):
    """A browser that refuses every camera or microphone in one way."""
    return f"""
      const open = MediaDevices.prototype.getUserMedia;
      MediaDevices.prototype.getUserMedia = function (wanted) {{
        return wanted.{kind} ? Promise.reject(new DOMException('', '{name}')) : open.call(this, wanted);
      }};
    """


@pytest.fixture(scope="module")
def chromium():
    with browser.session([f"--host-resolver-rules=MAP {LAN} 127.0.0.1"]) as running:
        yield running


def ready(page, channel, source="Camera"):
    """Signed in, on the channel, with that source in the preview."""
    page.open().sign_in().choose_channel(channel)
    page.choose_source(source).wait_picture()
    return page


def check_plays_on(player, seconds):
    """The picture of the watch page moves for so long."""
    before = player.stats()
    player.wait_time(before["currentTime"] + seconds, milliseconds=10_000 * seconds)
    after = player.stats()
    assert after["totalFrames"] > before["totalFrames"], (before, after)
    assert after["fatalErrors"] == 0, after
    return after


def test_signing_in_tells_what_is_wrong_and_leaves_nothing_in_the_page(server, chromium):
    with studio(chromium, server) as page:
        page.open().says("Sign in to the studio")
        look(page.page, "sign-in")
        page.button("Sign in").click()
        page.says("Enter the token")
        page.sign_in("hw_at_wrong").says("This token is not known")
        look(page.page, "sign-in-refused")
        page.sign_in().says("What do you want to show?")
        look(page.page, "first-visit")
        token = server.first_run()["admin_token"]
        kept = page.page.evaluate("() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])")
        assert token not in kept and "headwater_session" not in kept
        page.page.reload()
        page.says("What do you want to show?")
        page.button("Sign out").click()
        page.says("Sign in to the studio")
        page.page.reload()
        page.says("Sign in to the studio")
        page.check_no_errors()


def test_a_broadcast_goes_on_over_other_devices_and_a_reload(server, chromium):
    channel = server.new_channel(grace_s=60)
    with studio(chromium, server, scripts=[REMEMBER_TRACKS]) as page:
        ready(page, channel)
        look(page.page, "ready")
        player = chromium.player(channel.page)
        player.wait_phase("offline")
        page.go_live()
        first = page.wait_on_air()
        player.wait_live()
        page.wait("(view) => view.health !== null && view.peakDb > -60", "health is measured and sound goes out")
        look(page.page, "live")

        switch_devices(page, player, first)
        reload(page, player, first)

        keys = {channel.key, server.first_run()["stream_key"], server.first_run()["admin_token"]}
        assert len(page.bearers) == len(set(page.bearers)) == 2, "each connection has a token of its own"
        assert not keys & set(page.bearers), "the page publishes by a token, never by a key"
        kept = page.page.evaluate("() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")
        assert not any(bearer in kept for bearer in page.bearers)

        page.button("End broadcast").click()
        look(page.page, "end-asked")
        page.button("Stay live").click()
        page.wait_phase("live")
        page.end()
        look(page.page, "ended")
        player.wait_phase("ended")
        page.check_no_errors()


def switch_devices(page, player, broadcast):
    """Another camera, another microphone, the test pattern and back: viewers see one broadcast."""
    cameras = [camera["id"] for camera in page.view()["sources"]["devices"]["cameras"]]
    # The second of Chromium's fake cameras measures depth, which WebRTC does not send.
    other = cameras[2]
    assert other != page.view()["sources"]["cameraInUse"]
    page.page.get_by_label("Camera", exact=True).and_(page.page.locator("select")).select_option(other)
    page.wait(f"(view) => view.sources.cameraInUse === '{other}'", "the other camera is used")
    microphone = page.view()["sources"]["devices"]["microphones"][-1]["id"]
    page.page.get_by_label("Microphone", exact=True).select_option(microphone)
    page.wait(f"(view) => view.sources.microphoneInUse === '{microphone}'", "the other microphone is used")
    page.choose_source("Pattern").wait_picture()
    page.page.get_by_label("Size").select_option("360")
    page.page.get_by_role("switch", name="Music").check()
    look(page.page, "live-pattern")
    after = check_plays_on(player, 3)
    assert after["attachments"] == 1, after
    assert page.view()["onAir"] == broadcast
    assert page.view()["publish"]["phase"] == "live"
    page.choose_source("Camera").wait_picture()
    page.wait(f"(view) => view.sources.cameraInUse === '{other}'", "the same camera as before is used")
    assert len(page.bearers) == 1, "nothing was negotiated anew"


def reload(page, player, broadcast):
    """The page comes back live by itself, with the same devices, and viewers see the same broadcast go on."""
    camera = page.view()["sources"]["cameraInUse"]
    page.page.reload()
    page.wait_phase("live")
    assert page.view()["sources"]["cameraInUse"] == camera
    assert page.wait_on_air() == broadcast
    after = check_plays_on(player, 3)
    assert (after["broadcast"], after["attachments"]) == (broadcast, 1), after


def test_a_pulled_out_camera_and_microphone_do_not_end_the_broadcast(server, chromium, channel):
    with studio(chromium, server, scripts=[REMEMBER_TRACKS], scheme="light") as page:
        ready(page, channel).go_live()
        broadcast = page.wait_on_air()
        player = chromium.player(channel.page)
        player.wait_live()
        page.page.evaluate(PULL_OUT, "video")
        page.page.evaluate(PULL_OUT, "audio")
        page.wait_picture("lost").says("The camera is gone").says("The microphone is gone")
        look(page.page, "live-devices-gone")
        check_plays_on(player, 3)
        assert page.view()["onAir"] == broadcast
        page.page.evaluate("() => navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
        page.wait_picture()
        page.wait("(view) => view.sources.microphone.is === 'running'", "the microphone is back")
        assert page.view()["publish"]["phase"] == "live"
        page.end().check_no_errors()


def test_a_server_that_is_gone_for_a_while_is_waited_for(server, chromium, channel):
    with studio(chromium, server) as page:
        ready(page, channel, "Pattern").go_live()
        page.wait_on_air()
        player = chromium.player(channel.page)
        player.wait_live()
        server.process.send_signal(signal.SIGSTOP)
        try:
            page.wait_phase("reconnecting")
            look(page.page, "reconnecting")
            player.wait_phase("reconnecting")
            look(player.page, "watch-reconnecting")
        finally:
            server.process.send_signal(signal.SIGCONT)
        page.wait_phase("live", 60_000)
        page.wait_on_air()
        player.wait_live()
        check_plays_on(player, 3)
        page.end().check_no_errors()


def test_a_publisher_that_takes_over_is_not_fought(server, chromium, channel):
    with studio(chromium, server) as page:
        ready(page, channel, "Pattern").go_live()
        broadcast = page.wait_on_air()
        ours = server.api("GET", f"/channels/{channel.name}")["live"]["session"]
        with publishers.headwater(server.whip, channel.key) as other:
            page.wait_phase("failed").says("Another publisher took over")
            look(page.page, "failed")
            session = lambda: server.api("GET", f"/channels/{channel.name}")["live"]["session"]
            until(lambda: other.check_running() and session() != ours, 20, "the other is live")
            assert channel.state()["broadcast"] == broadcast
            page.button("Go live again").wait_for()
        page.check_no_errors()


def test_a_refused_publish_is_told_in_words(server, chromium, channel):
    with studio(chromium, server) as page:
        ready(page, channel, "Pattern")
        refusal = {"status": 503, "code": "sessions_too_many", "title": "no room"}
        page.page.route("**/whip", lambda route: route.fulfill(
            status=503, headers={"retry-after": "30"}, content_type="application/problem+json", body=json.dumps(refusal)))
        page.button("Go live").click()
        page.says("The server is busy").says("Next try in")
        look(page.page, "connecting-busy")
        page.button("Cancel").click()
        page.wait_phase("ready")
        page.page.unroute("**/whip")
        expired = {"status": 401, "code": "token_expired", "title": "the publish token has expired"}
        answers = [lambda route: route.fulfill(status=401, content_type="application/problem+json", body=json.dumps(expired)),
                   lambda route: route.continue_()]
        page.page.route("**/whip", lambda route: answers.pop(0)(route))
        page.go_live()
        assert len(set(page.bearers[-2:])) == 2, "an expired token is replaced by a fresh one"
        page.end().check_no_errors()


def test_a_shared_screen_is_asked_for_again_after_a_reload(server, chromium):
    channel = server.new_channel(grace_s=60)
    with studio(chromium, server) as page:
        ready(page, channel, "Screen").go_live()
        broadcast = page.wait_on_air()
        page.page.reload()
        page.says("Share the screen again to go on")
        look(page.page, "screen-again")
        assert page.view()["publish"]["phase"] == "ready"
        page.button("Share the screen again").click()
        page.wait_phase("live")
        assert page.wait_on_air() == broadcast
        page.end().check_no_errors()


@pytest.mark.parametrize(("name", "title"), [
    ("NotAllowedError", "The camera is blocked"),
    ("NotFoundError", "No camera found"),
    ("NotReadableError", "The camera is busy"),
    ("OverconstrainedError", "The camera cannot do that"),
])
def test_a_refused_camera_is_told_with_what_to_do(server, chromium, channel, name, title):
    with studio(chromium, server, scripts=[refuse("video", name)]) as page:
        page.open().sign_in().choose_channel(channel)
        page.choose_source("Camera").wait_picture("refused").says(title)
        if name == "NotAllowedError":
            look(page.page, "camera-blocked")
        assert page.button("Go live").is_disabled()
        page.choose_source("Pattern").wait_picture()
        assert page.button("Go live").is_enabled()
        page.check_no_errors()


def test_permissions_that_the_browser_denies_are_told(server, chromium, channel):
    with studio(chromium, server, scripts=[refuse("audio", "NotAllowedError")]) as page:
        ready(page, channel).says("The microphone is blocked")
        look(page.page, "microphone-blocked")
        page.go_live()
        page.wait_on_air()
        page.end().check_no_errors()


def test_a_page_without_https_says_so_and_still_serves_obs(server, chromium, channel):
    base = server.url.replace("127.0.0.1", LAN)
    with studio(chromium, server, permissions=()) as page:
        page.open(base).sign_in()
        page.says("The browser blocks camera, microphone and screen here").says("localhost").says("docs/tls.md")
        assert page.page.evaluate("() => window.isSecureContext") is False
        page.says("Go live from OBS").says(f"{base}/whip")
        look(page.page, "insecure")
        page.check_no_errors()


def test_the_obs_panel_hides_its_key_until_asked_and_the_key_works(server, chromium, channel):
    with studio(chromium, server) as page:
        page.open().sign_in().choose_channel(channel)
        clipboard = "() => navigator.clipboard.readText()"
        page.button("Copy server").click()
        page.says("Copied")
        assert page.page.evaluate(clipboard) == server.whip
        page.page.get_by_label("Label").fill("Desk")
        page.button("Make a key for OBS").click()
        shown = page.page.locator("[data-obs=key]")
        assert set(shown.text_content()) == {"•"}
        look(page.page, "obs-key-hidden")
        page.button("Copy key").click()
        until(lambda: page.page.evaluate(clipboard) != server.whip, 5, "the key is copied")
        key = page.page.evaluate(clipboard)
        assert key not in page.page.content()
        page.button("Show key").click()
        assert shown.text_content() == key
        look(page.page, "obs-key-shown")
        with publishers.headwater(server.whip, key) as publisher:
            channel.wait_playable()
            publisher.check_running()
            page.button("Revoke the key Desk").click()
            look(page.page, "revoke-asked")
            page.button("Revoke it").click()
            until(lambda: not publisher.running(), 20, "the publisher with the revoked key is cut off")
        page.button("Make a key for OBS").wait_for()
        page.check_no_errors()


def without_start(route):
    answer = route.fetch()
    whole = answer.text()
    bare = re.sub(r'<script type="application/json" id="start">.*?</script>', "", whole)
    assert bare != whole
    route.fulfill(response=answer, body=bare)


def test_the_watch_page_plays_without_what_the_server_put_into_it_and_without_its_first_script(server, chromium, channel):
    with publishers.headwater(server.whip, channel.key):
        channel.wait_playable()
        for hindered in ("nothing", "start", "script"):
            page = chromium.browser.new_page()
            if hindered == "start":
                page.route("**/watch/*", without_start)
            if hindered == "script":
                # The others load at once, and with them another engine of the same kind.
                page.route("**/early/*.js", lambda route: route.abort() if is_early(route) else route.continue_())
            page.goto(channel.page)
            page.wait_for_selector('[data-state="live"]', state="attached", timeout=40_000)
            # The controls are the page's own, whoever plays.
            page.get_by_role("button", name="Pause").wait_for(state="attached", timeout=40_000)
            stats = page.evaluate("window.headwater.stats()")
            assert (stats["state"], stats["attachments"], stats["engine"]) == ("live", 1, "hls.js"), (hindered, stats)
            page.close()


def is_early(route):
    """Whether it is the script that plays, not the one that loads the others."""
    return len(route.fetch().body()) > 10_000


def test_who_waits_is_told_at_once_and_asks_no_more_than_a_few_times(server, chromium, channel):
    player = chromium.player(channel.page)
    player.wait_phase("offline")
    with publishers.headwater(server.whip, channel.key):
        player.wait_live()
    asked = [url for url in player.requests if url.endswith("/awaited.json")]
    assert 1 <= len(asked) <= 3, asked


def test_the_watch_page_is_sound_in_every_state(server, chromium, channel):
    player = chromium.player(channel.page)
    player.wait_phase("offline")
    look(player.page, "watch-offline")
    with publishers.headwater(server.whip, channel.key) as publisher:
        player.wait_live()
        look(player.page, "watch-live")
        publisher.stop()
    player.wait_phase("ended")
    look(player.page, "watch-ended")
    # As from a server that neither fills the page in nor answers.
    player.page.route("**/*.json", lambda route: None)
    player.page.route("**/watch/*", without_start)
    player.page.reload()
    player.wait_phase("connecting")
    look(player.page, "watch-connecting")


def test_pages_say_that_the_streamer_lost_the_connection_and_play_on(server, chromium, channel):
    waits = {"reconnecting": True}

    def told(route):
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), **waits})

    with publishers.headwater(server.whip, channel.key):
        player = chromium.player(channel.page)
        player.wait_live()
        player.page.route("**/state.json", told)
        words = player.page.get_by_text("The streamer lost the connection; the broadcast goes on when they are back.")
        words.wait_for(timeout=10_000)
        look(player.page, "watch-streamer-gone")
        before = player.stats()
        until(lambda: player.stats()["currentTime"] > before["currentTime"] + 2, 10, "it plays on")
        assert (player.stats()["state"], player.stats()["attachments"]) == ("live", before["attachments"])
        landing = chromium.browser.new_page()
        landing.route("**/state.json", told)
        landing.goto(server.url)
        landing.locator('[data-state="reconnecting"]', has_text="Reconnecting").first.wait_for(timeout=10_000)
        look(landing, "channels-streamer-gone")
        landing.close()
        waits.clear()
        words.wait_for(state="detached", timeout=10_000)
        assert player.stats()["state"] == "live"


def test_the_watch_page_says_when_a_browser_cannot_play(server, chromium, channel):
    page = chromium.browser.new_page()
    page.add_init_script("delete window.MediaSource; delete window.ManagedMediaSource; HTMLMediaElement.prototype.canPlayType = () => '';")
    with publishers.headwater(server.whip, channel.key):
        channel.wait_playable()
        page.goto(channel.page)
        page.locator('[data-state="failed"]').wait_for(timeout=20_000)
        look(page, "watch-failed")
    page.close()
