"""The pages as files: forms, tags and caching."""

import gzip
import re

import pytest

from support import web

pytestmark = pytest.mark.light


def script_of(server):
    page = web.get(f"{server.url}/studio").text()
    sizes = {name: len(web.get(server.url + name).body) for name in re.findall(r'src="(/_next/[^"]+\.js)"', page)}
    return max(sizes, key=sizes.get)


def test_a_script_comes_in_gzip_to_who_takes_it(server):
    url = server.url + script_of(server)
    plain = web.get(url)
    packed = web.get(url, headers={"accept-encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers and packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 2
    for answer in (plain, packed):
        assert answer.headers["vary"] == "accept-encoding"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_each_form_has_a_tag_of_its_own(server):
    url = server.url + script_of(server)
    tags = {form: web.get(url, headers={"accept-encoding": form}).headers["etag"] for form in ("identity", "gzip")}
    assert tags["identity"] != tags["gzip"]
    for form, tag in tags.items():
        known = {"accept-encoding": form, "if-none-match": tag}
        answer = web.get(url, headers=known)
        assert (answer.status, answer.body) == (304, b"") and "content-encoding" not in answer.headers
    crossed = {"accept-encoding": "gzip", "if-none-match": tags["identity"]}
    assert web.get(url, headers=crossed).status == 200


def test_what_does_not_exist_is_a_page_too(server):
    answer = web.get(f"{server.url}/nowhere", headers={"accept-encoding": "gzip"})
    assert answer.status == 404 and answer.headers["content-type"].startswith("text/html")
    body = gzip.decompress(answer.body) if answer.headers.get("content-encoding") == "gzip" else answer.body
    assert b"<html" in body
