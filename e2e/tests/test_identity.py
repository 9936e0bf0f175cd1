"""Who somebody is, judged by others: Clerk's own library and Svix's, a certified OpenID provider with a real browser, and
a real mail server."""

import json
import queue
import socket
from email import policy
from email.parser import BytesParser

import pytest
from aiosmtpd.controller import Controller
from support import browser, script, web
from support.server import Server, run
from support.waiting import until

pytestmark = pytest.mark.light

MAIL_S = 30
PAGE_MS = 30_000


def post(server, path, body, headers=None):
    data = body if isinstance(body, str) else json.dumps(body)
    return web.request("POST", f"{server.url}/api/v1/auth/{path}", data, {"Content-Type": "application/json"} | (headers or {}))


def whoami(server, headers):
    return web.get(f"{server.url}/api/v1/session", headers=headers)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_tokens_and_webhooks_are_accepted_and_refused_as_clerk_and_svix_do():
    with script.running("identity/clerk.mjs") as clerk:
        told = clerk.line()
        cases = clerk.line()
        env = {
            "HEADWATER_AUTH__MODE": "clerk",
            "HEADWATER_AUTH__CLERK__ISSUER": told["issuer"],
            "HEADWATER_AUTH__CLERK__AUTHORIZED_PARTIES": f"[{told['app']!r}]".replace("'", '"'),
            "HEADWATER_AUTH__CLERK__WEBHOOK_SECRET": told["secret"],
        }
        with Server(env=env) as server:
            accepted = {case["name"] for case in cases["tokens"] if case["accepted"]}
            assert accepted == {"version 1", "version 2", "not yet, by a little"}, accepted
            for case in cases["tokens"]:
                bearer = whoami(server, {"Authorization": f"Bearer {case['token']}"})
                cookie = whoami(server, {"Cookie": f"__session={case['token']}"})
                expected = 200 if case["accepted"] else 401
                assert (bearer.status, cookie.status) == (expected, expected), (case["name"], bearer.body, cookie.body)
            hooks = {case["name"]: case["accepted"] for case in cases["webhooks"]}
            assert sum(hooks.values()) == 3, hooks
            for case in cases["webhooks"]:
                answer = post(server, "clerk/webhook", case["body"], case["headers"])
                assert answer.status == (204 if case["accepted"] else 400), (case["name"], answer.body)


def test_a_person_signs_in_at_an_openid_provider_with_a_browser():
    url = f"http://127.0.0.1:{free_port()}"
    with script.running("identity/provider.mjs", f"{url}/api/v1/auth/oidc/callback") as provider:
        env = {
            "HEADWATER_AUTH__MODE": "oidc",
            "HEADWATER_AUTH__OIDC__ISSUER": provider.line()["issuer"],
            "HEADWATER_AUTH__OIDC__CLIENT_ID": "headwater",
            "HEADWATER_AUTH__OIDC__CLIENT_SECRET": "a secret of the client",
        }
        listen = ("--listen", url.removeprefix("http://"))
        with Server(env=env, arguments=listen) as server, browser.chromium() as chromium:
            page = chromium.new_context().new_page()
            page.goto(f"{server.url}/api/v1/auth/oidc/start?return_to=/studio")
            page.fill("input[name=login]", "ann")
            page.fill("input[name=password]", "any")
            page.click("button[type=submit]")
            page.wait_for_selector("text=/continue/i", timeout=PAGE_MS)
            page.click("button[type=submit]")
            page.wait_for_url(f"{server.url}/studio", timeout=PAGE_MS)
            session = page.evaluate("fetch('/api/v1/session').then((answer) => answer.json())")
            assert session == {"name": "ann", "role": "viewer"}
            assert page.evaluate("document.cookie") == ""
            cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
            assert cookies["headwater_session"]["sameSite"] == "Strict"
            assert "headwater_oidc" not in cookies


class Postbox:
    """An SMTP server that keeps what comes."""

    def __init__(self):
        self.mails = queue.Queue()

    async def handle_DATA(self, _server, _session, envelope):
        self.mails.put(BytesParser(policy=policy.default).parsebytes(envelope.content))
        return "250 OK"


@pytest.fixture
def postbox():
    box = Postbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    box.port = controller.port
    try:
        yield box
    finally:
        controller.stop()


def token_of(text):
    return text.split("#token=")[1].split()[0]


def test_an_account_is_made_by_mail_over_smtp_and_signs_in(postbox):
    env = {
        "HEADWATER_AUTH__SIGN_UP": "open",
        "HEADWATER_AUTH__PUBLIC_URL": "https://live.example",
        "HEADWATER_MAIL__BACKEND": "smtp",
        "HEADWATER_MAIL__HOST": "127.0.0.1",
        "HEADWATER_MAIL__PORT": str(postbox.port),
        "HEADWATER_MAIL__TLS": "none",
        "HEADWATER_MAIL__FROM": "Headwater <no-reply@live.example>",
    }
    with Server(env=env) as server:
        assert post(server, "sign-up", {"email": "ann@example.org"}).status == 202
        mail = postbox.mails.get(timeout=MAIL_S)
        assert (mail["to"], mail["from"]) == ("ann@example.org", "Headwater <no-reply@live.example>")
        text = mail.get_content()
        assert "https://live.example/verify#token=" in text
        password = "correct horse battery"
        made = post(server, "sign-up/confirm", {"token": token_of(text), "password": password})
        assert made.status == 201, made.body
        tokens = post(server, "tokens", {"email": "ann@example.org", "password": password}).json()
        assert whoami(server, {"Authorization": f"Bearer {tokens['access_token']}"}).status == 200
        assert token_of(text) not in server.log()
        assert server.metric("headwater_control_mails_total", result="sent") == 1


def test_without_a_mail_server_mails_are_files_and_the_log_has_no_link():
    with Server(env={"HEADWATER_AUTH__SIGN_UP": "open", "HEADWATER_LOG__FILTER": "debug"}) as server:
        assert post(server, "sign-up", {"email": "ann@example.org"}).status == 202
        mails = server.data / "mail"
        (mail,) = until(lambda: mails.is_dir() and list(mails.glob("*.eml")), MAIL_S, "the mail is a file")
        assert mail.stat().st_mode & 0o777 == 0o600
        text = mail.read_text()
        assert f"{server.url}/verify#token=" in text
        assert token_of(text) not in server.log()
        assert (server.data / "auth.key").stat().st_mode & 0o777 == 0o600
        keys = web.get(f"{server.url}/.well-known/jwks.json")
        assert keys.status == 200 and keys.json()["keys"][0]["alg"] == "ES256"


def test_settings_that_cannot_be_meant_are_one_line(tmp_path):
    for settings, line in (
        ({"HEADWATER_AUTH__MODE": "oidc"}, "config: auth.oidc.issuer: must be an https URL (http on this machine alone)"),
        ({"HEADWATER_MAIL__BACKEND": "smtp"}, "config: mail.host: is missing"),
    ):
        ended = run("serve", "--data", tmp_path / "data", env=settings)
        assert ended.returncode == 64 and line in ended.stderr, ended
