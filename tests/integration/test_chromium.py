"""People in front of a real Chromium: sign-up by a link with an authenticator app, sign-in and out, mistakes, and the
way from there to servers with `tsh` and stock `ssh`, all through the one port.

Every page that is opened here is checked for labels, contrast, narrow screens, complaints of the browser and
requests to anybody else (tests/support/chromium.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import segno

from teleport.auth import totp
from tests.support.authenticator import Authenticator
from tests.support.chromium import Chromium, Window
from tests.support.cluster import NAME, NODE, OWN, PASSWORD, Cluster, User, link_in
from tests.support.png import Picture
from tests.support.programs import need

WRONG = "not the right password"


class World:
    """A cluster, and the browser of this machine."""

    def __init__(self, cluster: Cluster, chromium: Chromium) -> None:
        self.cluster = cluster
        self.chromium = chromium

    def invite(self, name: str) -> str:
        """Make a user as an administrator does; return the link."""
        return link_in(self.cluster.tctl("users", "add", name, "--roles=developer", f"--logins={OWN}").out)

    def sign_up(self, window: Window, name: str) -> Authenticator:
        """Follow an invitation to its end; return the person's authenticator app."""
        assert window.open(self.invite(name)) == 200
        phone = Authenticator(window.page.locator("#secret").inner_text())
        window.fill(password=PASSWORD, again=PASSWORD, code=phone.code())
        assert window.press("Set password") == 200
        assert window.heading == "Your password is set"
        self.cluster.phones[name] = phone
        return phone

    def sign_in(self, window: Window, name: str, *, password: str = PASSWORD, code: str = "") -> int:
        """Fill in the sign-in form; return the status of the page that follows."""
        window.open("/web/login")
        window.fill(username=name, password=password, code=code or self.cluster.phones[name].code())
        return window.press("Sign in")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need("chromium")
    cluster = Cluster(tmp_path_factory.mktemp("chromium"))
    with cluster.running():
        cluster.role("developer", logins=["{{internal.logins}}"])
        home = tmp_path_factory.mktemp("home")
        with Chromium(home, cluster.data / "webproxy_cert.pem", f"https://{cluster.public}") as chromium:
            yield World(cluster, chromium)


def test_from_the_invitation_in_a_browser_to_servers_through_the_one_port(world: World) -> None:
    """Sign-up with password and app in Chromium; then `tsh login`, `tsh ls`, `tsh ssh`, and stock `ssh` by ProxyCommand
    and by -J. No file of the person names another port than the proxy's."""
    cluster = world.cluster
    with world.chromium.window() as window:
        world.sign_up(window, "alice")
        assert f"tsh login --proxy={cluster.public} --user=alice" in window.text
        assert world.sign_in(window, "alice") == 200
        assert (window.heading, NODE in window.text) == ("Servers", True)

    alice = User(cluster, "alice")
    shown = alice.sign_in().out
    assert f"Profile URL:        https://{cluster.public}" in shown
    assert NODE in alice.tsh("ls").out
    assert alice.tsh("ssh", f"{OWN}@{NODE}", "echo by tsh").out == "by tsh\n"
    alice._config.write_text(alice.tsh("config").out)
    assert alice.ssh("echo by a ProxyCommand").out == "by a ProxyCommand\n"
    jump = ("-J", f"alice@{cluster.public}")
    assert alice.ssh("echo $SSH_TELEPORT_USER by a jump", options=jump).out == "alice by a jump\n"
    home = cluster.folder / "home-alice"
    written = alice._config.read_text() + "".join(path.read_text() for path in home.rglob("*") if path.is_file())
    for other in ("auth", "ssh"):
        assert f":{cluster.settings[other]}" not in written
        assert f"Port {cluster.settings[other]}" not in written


def test_sign_up_shows_a_code_that_a_camera_reads_and_says_what_is_wrong(world: World) -> None:
    link = world.invite("bob")
    with world.chromium.window() as window:
        assert window.open(link) == 200
        assert window.heading == "Welcome, bob"
        window.check("the sign-up page")
        phone = Authenticator(window.page.locator("#secret").inner_text())
        for scheme in ("light", "dark"):
            window.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of the words it takes
            assert seen_code(window) == drawn_code(totp.uri(phone.secret, issuer=NAME, account="bob"))

        window.fill(password=PASSWORD, again=PASSWORD + "!", code="000000")
        assert window.press("Set password") == 400
        assert "The two passwords are not the same." in window.problem
        assert "Type the same password in both fields." in window.problem
        window.check("a mistake in the sign-up")
        window.fill(password=PASSWORD, again=PASSWORD, code="000000")
        assert window.press("Set password") == 400
        assert "This code is not right." in window.problem
        assert "AUTH-CODE" in window.problem
        assert Authenticator(window.page.locator("#secret").inner_text()).secret == phone.secret

        window.fill(password=PASSWORD, again=PASSWORD, code=phone.code())
        assert window.press("Set password") == 200
        window.check("the end of the sign-up")
        assert window.open(link) == 404
        assert window.heading == "This link is not valid"
        assert "tctl users reset <name>" in window.text
        window.check("a link that is used up")


def seen_code(window: Window) -> list[list[bool]]:
    """Return the dark modules of the QR code as they are on the screen, with the quiet zone."""
    found = window.page.locator("svg.qr")
    box = window.page.locator("svg.qr").evaluate("node => node.viewBox.baseVal.width")
    picture = Picture(found.screenshot())
    middles = [int((module + 0.5) * picture.width / box) for module in range(int(box))]
    return [[picture.luminance(x, y) < 128 for x in middles] for y in middles]


def drawn_code(text: str) -> list[list[bool]]:
    """Return the modules that say `text` (ISO/IEC 18004), with the quiet zone."""
    return [[bool(module) for module in row] for row in segno.make_qr(text, error="m").matrix_iter(border=4)]


def test_sign_in_sign_out_and_the_way_back(world: World) -> None:
    """Cookies are of this host alone and out of reach of scripts; after the sign-out nothing of the pages is left."""
    with world.chromium.window() as window:
        window.open("/")
        window.check("the front page")
        world.sign_up(window, "carol")
        window.open("/web")
        assert window.page.url == f"{window.origin}/web/login", "without a session it leads to the sign-in"
        window.check("the sign-in page")
        assert world.sign_in(window, "carol") == 200
        assert window.page.url == f"{window.origin}/web"
        window.check("the servers")
        kept = window.cookies()
        assert {name: cookie["sameSite"] for name, cookie in kept.items()} == {
            "__Host-csrf": "Strict", "__Host-session": "Lax",
        }  # fmt: skip
        for cookie in kept.values():
            assert (cookie["httpOnly"], cookie["secure"], cookie["path"], cookie["domain"]) == (
                True, True, "/", "localhost",
            )  # fmt: skip
            assert cookie["expires"] == -1, "kept until the browser is closed"

        window.press("Sign out")
        assert window.page.url == f"{window.origin}/web/login"
        assert "__Host-session" not in window.cookies()
        window.page.go_back()
        assert NODE not in window.text
        assert window.page.url == f"{window.origin}/web/login"
        window.context.add_cookies([{**kept["__Host-session"]}])  # type: ignore[typeddict-item] # as it was given
        window.open("/web")
        assert window.page.url == f"{window.origin}/web/login", "the session itself is over, not just forgotten"


def test_what_was_wrong_is_told_alike_and_five_failures_lock_out(world: World) -> None:
    with world.chromium.window() as window:
        phone = world.sign_up(window, "dave")
        told = []
        for name, password, code in (
            ("dave", WRONG, phone.code()), ("dave", PASSWORD, "000000"), ("nobody-of-that-name", PASSWORD, "000000"),
        ):  # fmt: skip
            assert world.sign_in(window, name, password=password, code=code) == 401
            assert window.page.locator("#username").input_value() == name
            assert window.page.locator("#password").input_value() == ""
            told.append(window.problem)
        assert "Invalid username, password or second factor." in told[0]
        assert set(told) == {told[0]}
        window.check("a sign-in that failed")
        for _ in range(3):
            assert world.sign_in(window, "dave", password=WRONG, code="000000") == 401
        assert world.sign_in(window, "dave") == 429, "the right ones are refused as well now"
        assert "Five attempts failed within 30 minutes" in window.problem
        assert "Wait half an hour" in window.problem
        window.check("the lock-out")

        reset = link_in(world.cluster.tctl("users", "reset", "dave").out)
        assert window.open(reset) == 200
        assert window.heading == "Choose a new password"
        window.check("the reset page")
        fresh = Authenticator(window.page.locator("#secret").inner_text())
        assert fresh.secret != phone.secret
        window.fill(password=PASSWORD + " 2", again=PASSWORD + " 2", code=fresh.code())
        assert window.press("Set password") == 200
        world.cluster.phones["dave"] = fresh
        assert world.sign_in(window, "dave", password=PASSWORD + " 2") == 200
        assert window.heading == "Servers"


def test_everything_works_without_javascript_and_with_the_keyboard_alone(world: World) -> None:
    with world.chromium.window(script=False) as window:
        window.open(world.invite("erin"))
        phone = Authenticator(window.page.locator("#secret").inner_text())
        type_ahead(window, PASSWORD, "Tab", PASSWORD, "Tab", phone.code(), "Tab", "Enter")
        window.page.get_by_role("heading", name="Your password is set").wait_for()
        window.open("/web/login")
        type_ahead(window, "erin", "Tab", PASSWORD, "Tab", phone.code(), "Enter")
        window.page.get_by_role("heading", name="Servers").wait_for()
        type_ahead(window, "Tab", "Tab", "Enter")  # past the link to the front page
        window.page.get_by_role("heading", name="Sign in to").wait_for()
        assert "__Host-session" not in window.cookies()


def type_ahead(window: Window, *keys: str) -> None:
    """Press keys, and type what is no key, from where the page has put the focus; the focus must be seen."""
    for key in keys:
        if key in ("Tab", "Enter"):
            window.page.keyboard.press(key)
        else:
            window.page.keyboard.type(key)
        if key == "Tab":
            outline = window.page.locator(":focus-visible").evaluate("node => getComputedStyle(node).outlineWidth")
            assert outline == "3px"


def test_pages_that_are_not_there_say_what_to_do(world: World) -> None:
    with world.chromium.window() as window:
        assert window.open("/nowhere") == 404
        assert window.heading == "There is no such page"
        assert "What to do: Copy the whole link again" in window.text
        window.check("a page that is not there")
        window.page.get_by_role("link", name="To the front page").click()
        window.page.get_by_role("heading", name=NAME).wait_for()


_INJECT = """() => {
  const refused = new Set(), three = new Promise(done => document.addEventListener('securitypolicyviolation', event => {
    refused.add(event.effectiveDirective);
    if (refused.size === 3) done([...refused].sort());
    setTimeout(() => done([...refused].sort()), 20000);
  }));
  for (const [kind, key, value] of [['script', 'textContent', 'window.ran = 1'], ['img', 'src', 'https://127.0.0.2:9/x.png'],
                                    ['style', 'textContent', 'body { display: none }']]) {
    const node = document.createElement(kind);
    node[key] = value;
    document.body.append(node);
  }
  return three;
}"""


def test_what_somebody_managed_to_inject_would_not_run(world: World) -> None:
    """The browser itself refuses what the policy does not allow: a script, a style, a picture from elsewhere."""
    with world.chromium.window() as window:
        window.open("/web/login")
        refused = window.page.evaluate(_INJECT)
        assert refused == ["img-src", "script-src-elem", "style-src-elem"]
        assert window.page.evaluate("window.ran") is None
        assert window.page.locator("h1").is_visible()
        window.complaints.clear()
        window.elsewhere.clear()  # told of before it is refused
