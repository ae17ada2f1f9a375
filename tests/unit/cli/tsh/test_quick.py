"""Quick commands: they start at once, and read what they can."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import pytest

from teleport.base.disk import SystemDisk
from teleport.base.errors import BadParameter, NotAuthenticated, NotFound, Unavailable
from teleport.cli.tsh import quick
from teleport.client.profile import Home, Profile
from tests.support import proxy_world

HEAVY = ("asyncio", "asyncssh", "aiohttp", "grpclib", "click", "cryptography", "jinja2", "yaml", "google.protobuf")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TELEPORT_HOME", str(tmp_path))
    for name in ("TELEPORT_PROXY", "TELEPORT_CLUSTER", "TELEPORT_SITE"):
        monkeypatch.delenv(name, raising=False)
    return Home(str(tmp_path), SystemDisk())


def sign_in(home, until=dt.datetime(2100, 1, 1, tzinfo=dt.UTC)):
    profile = Profile(
        web_proxy_addr="localhost:1", user="alice", cluster="example.com", valid_until=until, proxy_version="1.2.3"
    )
    home.save(profile)
    return profile


def test_nothing_heavy_is_imported():
    code = (
        "import sys; from teleport.cli import entry; import teleport.cli.tsh.quick, teleport.client.reach, "
        "teleport.client.stdio, teleport.wire.reach; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("node-1", ("", "node-1")),
        ("root@node-1:3022", ("root", "node-1:3022")),
        ("a@b@node-1", ("a@b", "node-1")),
        ("root@[::1]:22", ("root", "[::1]:22")),
    ],
)
def test_target(text, found):
    assert quick.parse_target(text) == found


@pytest.mark.parametrize("text", ["", "@", "root@", "@node-1", "a b", "a\n"])
def test_what_is_no_target(text):
    with pytest.raises(BadParameter) as caught:
        quick.parse_target(text)
    assert caught.value.code == "CLIENT-TARGET"


@pytest.mark.parametrize(
    ("arguments", "options", "target"),
    [
        (["node-1"], {}, "node-1"),
        (["--cluster=c", "--proxy", "p:1", "root@node-1"], {"--cluster": "c", "--proxy": "p:1"}, "root@node-1"),
    ],
)
def test_plain_calls_are_read(arguments, options, target):
    assert quick._read(arguments) == (options, target)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["a", "b"], ["--cluster"], ["-x", "a"], ["--what=1", "a"]])
def test_other_calls_are_left_to_the_full_command(arguments):
    assert quick.proxy_ssh(arguments) is None


def test_without_a_sign_in(home):
    with pytest.raises(NotFound) as caught:
        quick.proxy_ssh(["node-1"])
    assert caught.value.code == "CLIENT-NOT-LOGGED-IN"
    assert quick.signed_in_proxy() == {}


def test_an_expired_sign_in(home):
    sign_in(home, dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    with pytest.raises(NotAuthenticated) as caught:
        quick.proxy_ssh(["node-1"])
    assert caught.value.code == "CLIENT-EXPIRED"


def test_the_profile_of_the_named_proxy_is_used(home, monkeypatch):
    sign_in(home)
    for name in ("elsewhere", "elsewhere:3080"):
        with pytest.raises(NotFound):
            quick.proxy_ssh([f"--proxy={name}", "node-1"])
    monkeypatch.setenv("TELEPORT_PROXY", "elsewhere:443")
    with pytest.raises(NotFound):
        quick.proxy_ssh(["node-1"])


def test_cluster_of_the_environment():
    assert quick.chosen_cluster({}) == ""
    assert quick.chosen_cluster({"TELEPORT_SITE": "old", "TELEPORT_CLUSTER": ""}) == "old"
    assert quick.chosen_cluster({"TELEPORT_SITE": "old", "TELEPORT_CLUSTER": "new"}) == "new"


def test_what_version_says_of_the_proxy(home):
    sign_in(home)
    assert quick.signed_in_proxy() == {"proxy_version": "1.2.3", "proxy": "localhost:1"}


def test_no_proxy_is_said(home, tmp_path, monkeypatch):
    person = proxy_world.person(proxy_world.world(), tmp_path / "alice").at("localhost:1")
    monkeypatch.setenv("TELEPORT_HOME", person.home.root)
    with pytest.raises(Unavailable) as caught:
        quick.proxy_ssh(["node-1"])
    assert caught.value.code == "CLIENT-UNREACHABLE"
