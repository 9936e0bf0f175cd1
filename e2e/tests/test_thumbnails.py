"""The small picture of what is live: as a file, in link previews and on channel cards."""

import io
import re

import av
import pytest

import publishers
from support import browser, web
from support.studio import look
from support.waiting import until

pytestmark = pytest.mark.light

SIZE = (1280, 720)
# One is made every 5 s; five times that on a busy machine.
NEXT_S = 25


@pytest.fixture(scope="module")
def chromium():
    with browser.session() as running:
        yield running


@pytest.fixture
def live(server, channel):
    """The channel, live with our own pattern, and with a picture."""
    with publishers.headwater(server.whip, channel.key, size="x".join(map(str, SIZE))):
        channel.wait_playable()
        until(lambda: web.get(thumbnail(channel)).status == 200, NEXT_S, "there is a picture")
        yield channel


def thumbnail(channel):
    return f"{channel.server.url}/live/{channel.name}/thumbnail.jpg"


def decoded(jpeg):
    """The picture as rows of red, green and blue, by FFmpeg."""
    with av.open(io.BytesIO(jpeg), format="mjpeg") as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24")


def tags(html):
    """{property or name: content} of the page's metadata."""
    return dict(re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)"/?>', html))


def test_a_live_channel_has_a_picture_of_now(server, live):
    url = thumbnail(live)
    first = web.get(url)
    assert first.headers["content-type"] == "image/jpeg"
    assert first.headers["cache-control"] == "public, max-age=5"
    assert int(first.headers["content-length"]) == len(first.body) < 512 * 1024
    picture = decoded(first.body)
    assert picture.shape == (360, 640, 3)
    # Bars, a clock, all colours; or white, once a second.
    assert picture.std() > 30 or picture.mean() > 240, (picture.mean(), picture.std())
    known = {"if-none-match": first.headers["etag"]}
    head = web.request("HEAD", url)
    assert head.status == 200 and head.headers["content-type"] == "image/jpeg" and not head.body
    newer = until(lambda: (answer := web.get(url, headers=known)).status == 200 and answer, NEXT_S, "a newer one")
    assert newer.headers["etag"] != first.headers["etag"] and newer.body != first.body
    again = web.get(url, headers={"if-none-match": newer.headers["etag"]})
    assert again.status in (200, 304) and (again.status == 200 or not again.body)
    assert server.metric("headwater_packager_thumbnails_total") >= 2
    assert server.metric("headwater_packager_discarded_total", reason="thumbnail") == 0


def test_a_link_to_a_live_channel_is_previewed_with_its_picture(server, live):
    found = tags(web.get(live.page).text())
    assert found["og:image"] == thumbnail(live) and web.get(found["og:image"]).status == 200
    assert (found["og:image:width"], found["og:image:height"]) == ("640", "360")
    assert found["twitter:card"] == "summary_large_image"
    assert found["og:url"] == live.page


def test_a_channel_that_is_not_live_has_none(server, channel):
    answer = web.get(thumbnail(channel))
    assert (answer.status, answer.problem()) == (404, "channel_offline")
    assert answer.headers["cache-control"] == "max-age=1"
    html = web.get(channel.page).text()
    assert "og:image" not in tags(html) and tags(html)["twitter:card"] == "summary" and "__HW_" not in html


def test_the_card_of_a_live_channel_shows_its_picture(server, chromium, live):
    offline = server.new_channel()
    page = chromium.browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(server.url)
    card = page.locator(f'a[href="/watch/{live.name}"]')
    frame = card.locator("img").locator("..")
    page.wait_for_function("name => document.querySelector(`a[href='/watch/${name}'] img`)?.naturalWidth === 640",
                           arg=live.name, timeout=NEXT_S * 1_000)
    assert live.name in card.locator("img").get_attribute("alt")
    assert card.locator("img").get_attribute("loading") == "lazy"
    shape, other = frame.bounding_box(), page.locator(f'a[href="/watch/{offline.name}"] > span').first.bounding_box()
    assert (shape["width"], shape["height"]) == (other["width"], other["height"])
    assert abs(shape["width"] / shape["height"] - 16 / 9) < 0.02, shape
    assert page.locator(f'a[href="/watch/{offline.name}"] img').count() == 0
    source = card.locator("img").get_attribute("src")
    page.wait_for_function("([name, old]) => document.querySelector(`a[href='/watch/${name}'] img`).getAttribute('src') !== old",
                           arg=[live.name, source], timeout=NEXT_S * 1_000)
    assert not errors, errors
    look(page, "channels")


def test_a_card_without_its_picture_keeps_its_shape(server, chromium, live):
    page = chromium.browser.new_page()
    page.route("**/thumbnail.jpg*", lambda route: route.fulfill(status=404))
    with page.expect_response(lambda answer: "thumbnail.jpg" in answer.url):
        page.goto(server.url)
    card = page.locator(f'a[href="/watch/{live.name}"]')
    card.locator("img").wait_for(state="detached", timeout=NEXT_S * 1_000)
    frame = card.locator("> span").first.bounding_box()
    assert abs(frame["width"] / frame["height"] - 16 / 9) < 0.02, frame
