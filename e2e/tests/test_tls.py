"""TLS as operators and browsers meet it: HTTP/2, a new certificate without a restart, and a broken one that changes nothing."""

import signal
from urllib.parse import urlsplit

import pytest
from support import browser, certificate
from support.server import Server
from support.waiting import until

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
