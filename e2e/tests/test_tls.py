"""TLS as operators and browsers meet it: HTTP/2, a new certificate without a restart, and a broken one that changes nothing."""

import signal
from urllib.parse import urlsplit

import pytest
from support import browser, certificate, web
from support.server import Server, run
from support.waiting import until

pytestmark = pytest.mark.light

RELOAD_S = 20


@pytest.fixture
def secured(tmp_path):
    """(server, its certificate)."""
    files = certificate.in_folder(tmp_path)
    with Server(env=files.settings()) as running:
        yield running, files


def address(server):
    parts = urlsplit(server.url)
    assert parts.scheme == "https", server.url
    return parts.hostname, parts.port


def test_a_browser_gets_the_pages_over_http_2_and_may_use_devices(secured):
    server, _ = secured
    with browser.chromium() as chromium:
        page = chromium.new_context(ignore_https_errors=True).new_page()
        page.goto(server.url)
        protocol = page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")
        assert protocol == "h2"
        assert page.evaluate("window.isSecureContext")


def test_a_new_certificate_is_taken_and_a_broken_one_leaves_the_old_in_force(secured):
    server, files = secured
    first = certificate.served(*address(server))
    second = files.write()
    assert second != first
    server.process.send_signal(signal.SIGHUP)
    until(lambda: certificate.served(*address(server)) == second, RELOAD_S, "the new certificate is served")
    assert server.metric("headwater_tls_reload_failed") == 0

    files.certificate.write_text("-----BEGIN CERTIFICATE-----\nnot one\n-----END CERTIFICATE-----\n")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: server.metric("headwater_tls_reload_failed") == 1, RELOAD_S, "the failed reload shows")
    assert certificate.served(*address(server)) == second

    third = files.write()
    until(lambda: certificate.served(*address(server)) == third, RELOAD_S, "a mended one is found without a signal")
    until(lambda: server.metric("headwater_tls_reload_failed") == 0, RELOAD_S, "and the alert ends")


def test_the_plain_port_sends_everybody_to_https_and_does_nothing_else(tmp_path):
    settings = certificate.in_folder(tmp_path).settings() | {"HEADWATER_HTTP__REDIRECT_LISTEN": "127.0.0.1:0"}
    with Server(env=settings) as server:
        for method, path in (("GET", "/watch/a?b=c"), ("POST", "/whip"), ("GET", "/live/demo/index.m3u8")):
            answer = web.request(method, server.ready["redirect"] + path)
            assert (answer.status, answer.headers["location"]) == (308, server.url + path)


@pytest.mark.parametrize("command", ["serve", "doctor"])
@pytest.mark.parametrize(("break_it", "key", "reason"), [
    (lambda files: files.certificate.unlink(), "certificate", "No such file"),
    (lambda files: files.certificate.write_text("none"), "certificate", "holds no certificate"),
    (lambda files: files.key.write_bytes(files.certificate.read_bytes()), "key", "holds no private key"),
    (lambda files: certificate.Certificate(files.certificate.with_name("other"), files.key).write(), "key",
     "does not belong to the certificate"),
], ids=["missing", "empty", "swapped", "mismatch"])
def test_an_unusable_certificate_stops_the_start_with_one_line(tmp_path, command, break_it, key, reason):
    files = certificate.in_folder(tmp_path)
    break_it(files)
    result = run(command, "--data", tmp_path / "data", "--listen", "127.0.0.1:0",
                 env=files.settings() | {"HEADWATER_LOG__FILTER": "off"})
    assert result.returncode == 64, result.stderr
    line, = result.stderr.splitlines()
    assert f"http.tls.{key}: {getattr(files, key)}: " in line and reason in line, line
