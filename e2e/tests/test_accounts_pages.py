"""The pages of accounts, channels and administration, as people use them: from the mail with the link to the end of a
broadcast, and out again."""

import base64
import hashlib
import hmac
import struct
import time
from contextlib import contextmanager

import pytest

import publishers
from support import browser
from support.server import Server
from support.studio import look
from support.waiting import until

pytestmark = pytest.mark.light

PAGE_MS = 20_000
LIVE_MS = 40_000
MAIL_S = 30
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def server():
    """One where everybody may make an account, and a channel with it."""
    env = {"HEADWATER_AUTH__SIGN_UP": "open", "HEADWATER_AUTH__NEW_ROLE": "creator"}
    with Server(env=env) as running:
        yield running


@pytest.fixture(scope="module")
def chromium():
    with browser.session() as running:
        yield running


class Person:
    """Somebody at a browser of their own."""

    def __init__(self, page, server):
        self.page = page
        self.server = server
        self.errors = []
        page.set_default_timeout(PAGE_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)

    def _console(self, message):
        if message.type == "error" and "Content Security Policy" in message.text:
            self.errors.append(message.text)

    def open(self, path):
        self.page.goto(f"{self.server.url}{path}")
        return self

    def fill(self, **fields):
        for label, text in fields.items():
            self.page.get_by_label(label.replace("_", " "), exact=True).fill(text)
        return self

    def label(self, name, text):
        self.page.get_by_label(name, exact=True).first.fill(text)
        return self

    def click(self, name):
        self.page.get_by_role("button", name=name, exact=True).first.click()
        return self

    def part(self, name):
        self.page.get_by_role("link", name=name, exact=True).last.click()
        return self

    def says(self, text):
        self.page.get_by_text(text, exact=False).first.wait_for()
        return self

    def at(self, path):
        self.page.wait_for_url(f"{self.server.url}{path}")
        return self

    def heading(self, text):
        self.page.get_by_role("heading", name=text, exact=True).first.wait_for()
        return self

    def look(self, name):
        look(self.page, name)
        return self

    def sign_in(self, email, password=PASSWORD):
        return self.label("E-mail address", email).label("Password", password).click("Sign in")

    def sign_in_by_token(self):
        self.page.get_by_text("Sign in with a token").click()
        return self.label("Token", self.server.first_run()["admin_token"]).click("Sign in with the token")

    def confirm(self, name):
        """The button of the question that is asked."""
        self.page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()
        return self

    def secret(self):
        """The secret that is told once, after it was asked for."""
        shown = self.page.locator("[data-secret]")
        assert set(shown.text_content()) == {"•"}
        self.click("Show key")
        return shown.text_content()

    def check_no_errors(self):
        assert not self.errors, self.errors


@contextmanager
def person(chromium, server, scheme="light"):
    context = chromium.browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    try:
        someone = Person(context.new_page(), server)
        yield someone
        someone.check_no_errors()
    finally:
        context.close()


def mails(server):
    folder = server.data / "mail"
    return sorted(folder.glob("*.eml")) if folder.is_dir() else []


def link_of_new_mail(server, before):
    """The path of the link in the mail that comes after those."""
    new = until(lambda: [mail for mail in mails(server) if mail not in before], MAIL_S, "a mail is there")
    text = new[0].read_text()
    line = next(line for line in text.splitlines() if line.startswith(f"{server.url}/"))
    return line.removeprefix(server.url)


def sign_up(someone, email, name):
    """From the form to the mail to the account."""
    before = mails(someone.server)
    someone.open("/sign-up").heading("Make an account").label("E-mail address", email).click("Send the link")
    someone.says("Look into your mailbox")
    path = link_of_new_mail(someone.server, before)
    someone.open(path).heading("Finish your account")
    someone.label("Your name, as others see it", name).label("Password", PASSWORD).click("Make the account")
    return someone.at("/sign-in?why=made").says("Your account is made")


def code_of(secret, steps=0):
    """A code of the second factor (RFC 6238)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30 + steps), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def test_somebody_signs_up_goes_live_and_is_suspended(server, chromium):
    with person(chromium, server) as ann:
        ann.open("/sign-up").heading("Make an account").look("sign-up")
        sign_up(ann, "ann@example.org", "Ann").look("sign-in-made")
        ann.sign_in("ann@example.org", "wrong password").says("The e-mail address or the password is wrong.").look("account-refused")
        ann.sign_in("ann@example.org").at("/dashboard").says("You have no channel yet").look("dashboard-empty")

        ann.label("Address", "No Good").click("Make the channel").says("The address needs lower-case letters")
        ann.label("Address", "ann-live").label("Title", "Ann live").click("Make the channel")
        ann.at("/dashboard/ann-live#keys").heading("Stream keys").says("There are no keys yet.").look("channel-keys-none")
        ann.click("Make a key").says("Copy this key now")
        first = ann.secret()
        ann.look("channel-keys").click("Done")
        ann.click("Rotate the key OBS").look("channel-keys-rotate").click("Make the new key").says("Copy this key now")
        key = ann.secret()
        assert key != first
        ann.click("Done").says("good until")

        change_settings(ann)
        go_live_and_end(ann, key)

        ann.open("/dashboard").says("ann-live").look("dashboard")
        with person(chromium, server, "dark") as admin:
            suspend(admin, ann)
            see_administration(admin)


def change_settings(ann):
    ann.part("Settings").heading("Slate").look("channel-settings")
    ann.label("Waits for a lost publisher, in seconds", "3000").click("Save").says("The wait must be a whole number from 0 to 600.")
    ann.label("Waits for a lost publisher, in seconds", "5")
    ann.page.get_by_label("Qualities").first.select_option("own")
    ann.label("Height of rung 1, in lines", "180").label("Bitrate of rung 1, in kbit/s", "250")
    ann.click("Remove rung 2").look("channel-settings-own").click("Save").says("Saved.")
    said = ann.server.api("GET", "/channels/ann-live/settings")
    assert (said["grace_s"], said["ladder"]["rungs"]) == (5, [{"height": 180, "bitrate": 250_000}]), said
    ann.page.locator("input[type=file]").set_input_files({"name": "slate.png", "mimeType": "image/png", "buffer": b"none"})
    ann.click("Use this picture").says("This is no PNG or JPEG picture")


def go_live_and_end(ann, key):
    ann.part("Stream keys").click("Revoke the key OBS").confirm("Keep it")
    ann.part("Control room").page.locator('[data-control="offline"]').wait_for()
    ann.look("control-offline")
    with publishers.headwater(ann.server.whip, key):
        ann.page.locator('[data-control="live"]').wait_for(timeout=LIVE_MS)
        ann.says("stream key (primary)").says("WHIP").look("control-live")
        broadcast = ann.server.api("GET", "/channels/ann-live")["live"]["broadcast"]
        ann.click("End the broadcast").look("control-end-asked").confirm("Stay live")
        assert ann.server.api("GET", "/channels/ann-live")["live"]["broadcast"] == broadcast
        ann.click("End the broadcast").confirm("End it")
        ann.page.locator('[data-control="offline"]').wait_for(timeout=LIVE_MS)
        ann.says("ended by somebody in charge").look("control-ended")


def suspend(admin, ann):
    """The administrator, who has a token, shuts Ann out; she is told, and out."""
    admin.open("/admin").at("/sign-in?to=%2Fadmin").look("sign-in-page")
    admin.sign_in_by_token().at("/admin").says("ann@example.org").look("admin-users")
    user = next(user for user in admin.server.api("GET", "/users")["users"] if user["email"] == "ann@example.org")
    handle = user["name"]
    ann.open("/dashboard/ann-live").heading("ann-live")
    admin.click(f"Suspend {handle}").look("admin-suspend-asked").confirm("Suspend")
    # Her pages ask now and then who she is.
    ann.at("/sign-in?why=suspended").says("This account is suspended").look("sign-in-suspended")
    assert not [cookie for cookie in ann.page.context.cookies() if cookie["name"] == "headwater_session"]
    ann.sign_in("ann@example.org").says("This account is suspended. Ask the operator")
    admin.page.get_by_label("Handle begins with").fill("zz")
    admin.says("Nothing fits.").label("Handle begins with", "A b").says("A handle has lower-case letters").label("Handle begins with", "")
    admin.click(f"Restore {handle}")


def see_administration(admin):
    admin.label("Handle", "bob").label("E-mail address", "bob@example.org").click("Make the user").says("bob@example.org")
    admin.part("Channels").says("ann-live").look("admin-channels")
    admin.part("Broadcasts").says("ended by somebody in charge").look("admin-broadcasts")
    admin.part("API tokens").says("first run").look("admin-tokens")
    admin.part("Audit").says("broadcast.end").look("admin-audit")
    admin.label("What", "channel.create").click("Filter")
    admin.page.get_by_text("broadcast.end").first.wait_for(state="detached")
    admin.says("channel.create")
    admin.open("/dashboard").says("A token owns no channels")
    admin.open("/account").says("You signed in with a token").look("account-by-token")
    admin.open("/dashboard/ann-live#members").says("Ann").look("channel-members")
    admin.label("Handle of the user", "nobody").click("Add").says("There is no user of this name.")
    admin.label("Handle of the user", "bob").click("Add").says("Saved.").click("Remove bob").confirm("Remove them")
    admin.page.get_by_role("button", name="Remove bob", exact=True).wait_for(state="detached")
    admin.click("Sign out").at("/sign-in")


def test_an_account_is_kept_by_its_owner(server, chromium):
    with person(chromium, server, "dark") as eve:
        sign_up(eve, "eve@example.org", "Eve").sign_in("eve@example.org").at("/dashboard")
        eve.open("/account").heading("Second factor").look("account")
        eve.label("Name, as others see it", "Eve Adams").click("Save").says("Signed in as Eve Adams")

        eve.label("Name", "ci").click("Make a token").says("Copy this token now")
        token = eve.secret()
        assert token.startswith("hw_at_")
        eve.look("account-token").click("Done").click("Revoke the token ci").confirm("Revoke").says("There are no tokens.")

        secret, codes = set_up_second_factor(eve)
        eve.click("Sign out").at("/sign-in")
        eve.sign_in("eve@example.org").says("Enter the six digits").look("sign-in-code")
        eve.label("Code", "000000").click("Sign in").says("This code is wrong")
        # The code that set it up was used; the next one is taken already, as clocks differ.
        eve.label("Code", code_of(secret, 1)).click("Sign in").at("/dashboard")
        eve.click("Sign out").at("/sign-in")
        eve.sign_in("eve@example.org").says("Enter the six digits").click("Use a recovery code")
        eve.label("Recovery code", codes[0]).click("Sign in").at("/dashboard")

        eve.open("/admin").says("This page is not for you").look("admin-not-for-you")
        new_password(eve, codes[1])


def set_up_second_factor(eve):
    eve.label("Your password", PASSWORD).click("Set up").says("Scan this with an authenticator app").look("account-second-factor")
    secret = eve.page.locator("[data-factor=secret]").text_content()
    assert eve.page.get_by_role("img", name="QR code for an authenticator app").count() == 1
    eve.label("Code of the app", code_of(secret)).click("Turn it on").says("Keep these recovery codes").look("account-recovery-codes")
    codes = eve.page.locator("[data-recovery=codes] li").all_text_contents()
    assert len(codes) == 10, codes
    eve.click("I have kept them").heading("Second factor")
    return secret, codes


def new_password(eve, recovery_code):
    """By a mail; the link works once, and every sign-in ends."""
    before = mails(eve.server)
    eve.open("/reset").heading("Set a new password").look("reset").label("E-mail address", "eve@example.org").click("Send the link")
    eve.says("If there is an account for eve@example.org")
    path = link_of_new_mail(eve.server, before)
    eve.open("/sign-in").at("/dashboard")
    eve.open(path).label("New password", "short").click("Set the password").says("at least 10 characters").look("reset-set")
    other = "another horse battery"
    eve.label("New password", other).click("Set the password").at("/sign-in?why=set").says("The new password is set")
    eve.sign_in("eve@example.org", other).says("Enter the six digits").click("Use a recovery code")
    eve.label("Recovery code", recovery_code).click("Sign in").at("/dashboard")
    # A page of its own: the same address with another hash is no new page.
    eve.open("/").open(path).label("New password", other).click("Set the password").says("This link was used, or is too old").look("reset-over")
    eve.open("/verify").says("This link is not complete").look("verify-no-link")


def test_who_is_sent_to_sign_in_comes_back_and_never_goes_elsewhere(server, chromium):
    with person(chromium, server) as admin:
        admin.open("/dashboard/demo#settings").at("/sign-in?to=%2Fdashboard%2Fdemo%23settings")
        admin.sign_in_by_token().at("/dashboard/demo#settings")
        admin.open("/sign-in?to=//evil.example/").at("/admin")
        admin.open("/sign-in?to=https://evil.example/").at("/admin")
        admin.click("Sign out").at("/sign-in")
        admin.open("/dashboard/Not%20a%20channel")
        admin.says("Page not found")


@pytest.mark.parametrize(("ways", "words"), [
    ({"mode": "local", "sign_up": "closed"}, "Forgot the password?"),
    ({"mode": "oidc", "sign_up": "closed"}, "Sign in with your provider"),
    ({"mode": "clerk", "sign_up": "closed"}, "Accounts of this server are kept by Clerk"),
])
def test_the_pages_follow_the_ways_to_sign_in(server, chromium, ways, words):
    with person(chromium, server) as someone:
        someone.page.route("**/api/v1/auth", lambda route: route.fulfill(json=ways))
        someone.open("/sign-up").says("Accounts are made by an administrator").look(f"sign-up-closed-{ways['mode']}")
        someone.open("/sign-in").says(words).look(f"sign-in-{ways['mode']}")
        assert someone.page.get_by_role("link", name="Make an account").count() == 0
        assert someone.page.get_by_label("Password").count() == (ways["mode"] == "local")


def test_too_many_tries_are_told_with_the_time_to_wait(server, chromium):
    # The last one: it closes the door to this address for a minute.
    with person(chromium, server) as someone:
        someone.open("/sign-in").label("E-mail address", "nobody@example.org").label("Password", "wrong password")
        too_many = someone.page.get_by_text("Too many tries. Wait")
        for _ in range(11):
            with someone.page.expect_response("**/api/v1/auth/session") as answer:
                someone.click("Sign in")
            if answer.value.status == 429:
                break
        too_many.wait_for()
        someone.look("sign-in-too-many")
