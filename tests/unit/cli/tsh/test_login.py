"""tsh status, logout and login as far as they need no cluster: the exact block, keys, exit statuses."""

import datetime as dt
import getpass
import io
import json
import os
import re
import subprocess
import sys

import pytest
import yaml

from teleport.base.clock import ManualClock, SystemClock
from teleport.base.disk import SystemDisk
from teleport.cli.tsh import login
from teleport.client import way, web_api
from teleport.client.profile import Home
from tests.support import authorities
from tests.support.admin_host import run
from tests.support.signed_in import SETTINGS, Proxy, profile

HOUR = dt.timedelta(hours=1)
OTHER = {"web_proxy_addr": "other.example.com:3080", "user": "bob", "cluster": "other.example.com", "roles": ("dev",)}


@pytest.fixture
def home(tmp_path):
    return Home(str(tmp_path / "tsh"), SystemDisk())


def left(hours=1):
    return SystemClock().now() + dt.timedelta(hours=hours)


def block(capsys, made, *, now, active=True):
    login.print_profile(made, ManualClock(now), active=active)
    return capsys.readouterr().out


# status

BLOCK = """\
> Profile URL:        https://teleport.example.com:443
  Logged in as:       alice
  Cluster:            teleport.example.com
  Roles:              access, editor
  Logins:             alice, root
  Kubernetes:         disabled
  Valid until:        2024-08-01 10:00:00 +0000 UTC [valid for 11h59m0s]
  Extensions:         login-ip, permit-agent-forwarding, permit-port-forwarding, permit-pty, private-key-policy
"""
UNTIL = dt.datetime(2024, 8, 1, 10, tzinfo=dt.UTC)


def documented(**changes):
    shown = ("login-ip", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "private-key-policy")
    ours = ("teleport-roles", "teleport-traits", "x-teleport-authority")
    fields = {
        "web_proxy_addr": "teleport.example.com:443", "cluster": "teleport.example.com", "valid_until": UNTIL,
        "extensions": (*shown, *ours),
    }  # fmt: skip
    return profile(**{**fields, **changes})


def test_block_is_the_one_of_the_reference(capsys):
    assert block(capsys, documented(), now=UNTIL - dt.timedelta(hours=11, minutes=59, seconds=20)) == BLOCK


def test_other_profiles_have_two_blanks(capsys):
    assert block(capsys, documented(), now=UNTIL, active=False).startswith("  Profile URL:        https://")


def test_expired_profile_says_so(capsys):
    assert "[EXPIRED]" in block(capsys, documented(), now=UNTIL)
    assert "[valid for 1s]" in block(capsys, documented(), now=UNTIL - dt.timedelta(seconds=1))


def test_empty_rows_have_no_blanks_at_the_end(capsys):
    text = block(capsys, documented(roles=(), logins=(), extensions=()), now=UNTIL)
    assert "  Roles:\n" in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_what_a_terminal_would_obey_is_escaped(capsys):
    text = block(capsys, documented(roles=("\x1b[2J",)), now=UNTIL)
    assert "\x1b" not in text
    assert "\\x1b[2J" in text


def test_status_shows_all_profiles_the_current_one_first(home):
    home.save(profile(valid_until=left(), **OTHER))
    home.save(profile(valid_until=left()))
    done = run("tsh", "status")
    assert (done.status, done.err) == (0, "")
    urls = [line for line in done.out.splitlines() if "Profile URL" in line]
    assert urls == [
        "> Profile URL:        https://proxy.example.com:443", "  Profile URL:        https://other.example.com:3080",
    ]  # fmt: skip


@pytest.mark.parametrize(("output_format", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_status_for_programs(home, output_format, read):
    home.save(profile(valid_until=left(), **OTHER))
    home.save(profile(valid_until=left(), traits={"logins": ("alice",)}, extensions=("permit-pty", "teleport-roles")))
    found = read(run("tsh", "status", "--format", output_format).out)
    assert set(found) == {"active", "profiles", "environment"}
    active = found["active"]
    assert set(active) == {
        "profile_url", "username", "active_requests", "cluster", "roles", "traits", "logins", "kubernetes_enabled",
        "kubernetes_cluster", "kubernetes_users", "kubernetes_groups", "databases", "valid_until", "extensions",
        "critical_options", "allowed_resources",
    }  # fmt: skip
    assert (active["username"], active["roles"]) == ("alice", ["access", "editor"])
    assert (active["traits"], active["extensions"]) == ({"logins": ["alice"]}, ["permit-pty"])
    assert [p["username"] for p in found["profiles"]] == ["bob"]


def test_json_is_indented_and_times_have_a_zone(home):
    home.save(profile(valid_until=dt.datetime(2999, 1, 1, tzinfo=dt.UTC)))
    text = run("tsh", "status", "-f", "json").out
    assert text.startswith('{\n    "active": {\n        "profile_url": "https://proxy.example.com:443",\n')
    assert '"valid_until": "2999-01-01T00:00:00Z"' in text


def test_expired_status_is_shown_and_fails(home):
    home.save(profile(valid_until=left(-1)))
    done = run("tsh", "status")
    assert done.status == 1
    assert "[EXPIRED]" in done.out
    assert done.err.startswith("ERROR: Active profile expired.\n")
    assert "tsh login --proxy=proxy.example.com --user=alice" in done.err
    assert json.loads(run("tsh", "status", "--format=json").out)["active"]["username"] == "alice"


def test_nobody_is_signed_in():
    for command in ("status", "logout", "ls", "config"):
        done = run("tsh", command)
        assert (done.status, done.out) == (1, ""), command
        assert done.err.startswith("ERROR: Not logged in.\n"), command


def test_damaged_profile_is_named(home):
    home.save(profile(valid_until=left()))
    home.disk.write(f"{home.root}/proxy.example.com.yaml", b"{")
    assert "code: CLIENT-PROFILE" in run("tsh", "status").err


# logout


def test_logout_of_everybody(home):
    home.save(profile(valid_until=left(), **OTHER))
    home.save(profile(valid_until=left()))
    assert run("tsh", "logout").out == "Logged out all users from all proxies.\n"
    assert home.profiles() == []
    assert run("tsh", "logout").status == 1


@pytest.mark.parametrize(
    "words", [("--proxy=other.example.com",), ("--proxy=https://other.example.com:3080",), ("--user=bob",)]
)
def test_logout_of_one(home, words):
    home.save(profile(valid_until=left(), **OTHER))
    home.save(profile(valid_until=left()))
    assert run("tsh", "logout", *words).out == "Logged out bob from other.example.com.\n"
    assert home.current().user == "alice"
    assert run("tsh", "logout", *words).status == 1


def test_logout_tells_of_a_profile_whose_keys_stay(home):
    home.save(profile(valid_until=left(), **OTHER))
    home.save(profile(valid_until=left()))
    home.disk.write(f"{home.root}/other.example.com.yaml", b"{")
    done = run("tsh", "logout")
    assert (done.status, done.out) == (1, "Logged out alice from proxy.example.com.\n")
    assert "other.example.com.yaml" in done.err
    assert "all users" not in done.out


# login


@pytest.fixture
def proxy(monkeypatch):
    """A proxy that stands in for the network alone: it signs with authorities of its own."""
    now = SystemClock().now().replace(microsecond=0)
    made = Proxy(authorities.cluster(now=now - HOUR), now=now)
    made.identity = {"expires": now + HOUR}
    made.found, made.balanced = [], False

    def find(name, *, insecure=False, between=None):
        made.found.append((name, insecure))
        return made, SETTINGS

    monkeypatch.setattr(web_api, "find_proxy", find)
    monkeypatch.setattr(way, "must_upgrade", lambda address, between: made.balanced)
    return made


def lasting(shown):
    """Return a status without the seconds that are left."""
    return re.sub(r"valid for [0-9hms]+", "valid", shown)


def test_sign_in_prints_the_block_and_is_not_repeated(home, proxy):
    first = run("tsh", "login", "--proxy=proxy.example.com", "--user=alice", stdin="a password\n")
    assert (first.status, first.err) == (0, "")
    assert first.out.startswith("> Profile URL:        https://proxy.example.com:443\n  Logged in as:       alice\n")
    assert proxy.asked["password"] == "a password"
    for words in ((), ("--proxy=proxy.example.com",), ("--proxy=proxy.example.com:443", "--user=alice")):
        assert lasting(run("tsh", "login", *words).out) == lasting(first.out)
    assert proxy.found == [("proxy.example.com", False)]


@pytest.mark.parametrize(
    "words", [("--user=carol",), ("--ttl=5",), ("--proxy=proxy.example.com:3080",), ("--proxy=new.example.com",)]
)
def test_other_wishes_are_a_new_sign_in(home, proxy, words):
    home.save(profile(valid_until=left()))
    run("tsh", "login", *words, stdin="pw\n")
    assert len(proxy.found) == 1


def test_expired_sign_in_is_repeated_at_the_same_proxy(home, proxy):
    home.save(profile(valid_until=left(-1)))
    assert run("tsh", "login", stdin="pw\n").status == 0
    assert proxy.found == [("proxy.example.com:443", False)]
    assert proxy.asked["user"] == "alice"


def test_damaged_profile_is_written_anew(home, proxy):
    home.save(profile(valid_until=left()))
    home.disk.write(f"{home.root}/proxy.example.com.yaml", b"{")
    assert "CLIENT-PROFILE" in run("tsh", "login").err
    assert run("tsh", "login", "--proxy=proxy.example.com", stdin="pw\n").status == 0


def test_insecure_is_said(proxy):
    done = run("tsh", "login", "--proxy=p", "--user=alice", "--insecure", stdin="pw\n")
    assert done.err.startswith("WARNING: the proxy's web certificate is not checked")
    assert proxy.found == [("p", True)]


def test_login_without_a_proxy():
    assert "code: CLIENT-NO-PROXY" in run("tsh", "login").err


def test_address_that_is_none():
    assert "code: KIND-ADDRESS" in run("tsh", "login", "--proxy=http://p").err


@pytest.mark.parametrize("stdin", ["", "\n"])
def test_login_without_a_password(proxy, stdin):
    assert "code: CLIENT-NO-PASSWORD" in run("tsh", "login", "--proxy=p", stdin=stdin).err
    assert proxy.asked == {}


def test_password_is_asked_for_without_showing_it(proxy, monkeypatch):
    asked = []

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def read(prompt):
        asked.append(prompt)
        return "typed"

    monkeypatch.setattr(getpass, "getpass", read)
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert login._password("alice") == "typed"
    assert asked == ["Enter password for Teleport user alice: "]


def test_user_is_the_one_of_the_machine_unless_named(proxy, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "local")
    run("tsh", "login", "--proxy=p", stdin="pw\n")
    assert proxy.asked["user"] == "local"
    monkeypatch.setenv("TELEPORT_USER", "named")
    run("tsh", "login", "--proxy=q", stdin="pw\n")
    assert proxy.asked["user"] == "named"


# cost


def imported(home, *words):
    """Return the top-level modules that a command has imported at its end."""
    code = (
        "import sys\nfrom teleport.cli import entry\nentry.main('tsh', sys.argv[1:])\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    environment = {**os.environ, "TELEPORT_HOME": home.root}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, env=environment
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("words", "without"),
    [
        (("status",), {"asyncssh", "aiohttp", "grpclib", "cryptography", "google", "yaml", "jinja2", "ssl"}),
        (("version",), {"asyncssh", "aiohttp", "grpclib", "cryptography", "yaml", "ssl"}),
        (("login",), {"asyncssh", "aiohttp", "grpclib", "cryptography"}),
        (("ls",), {"asyncssh", "aiohttp", "jinja2", "yaml"}),
    ],
)
def test_commands_import_no_more_than_they_need(home, words, without):
    known = profile(web_proxy_addr="127.0.0.1:1", valid_until=left())
    home.save(known)
    home.disk.make_dir(home.files(known).folder)
    home.disk.write(home.files(known).ssh_key, b"a key")
    found = imported(home, *words)
    assert "teleport" in found
    assert found & without == set()
