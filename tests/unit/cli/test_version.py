"""`version` of every program. Rows S0-27, S0-29, S0-30, S0-44."""

import datetime as dt
import json
import platform
import re
import subprocess
import sys

import pytest
import yaml

from teleport.base.disk import SystemDisk
from teleport.cli import version
from teleport.client.profile import Home
from teleport.version import GIT_REF, VERSION
from tests.support.admin_host import run
from tests.support.signed_in import profile

PYTHON = f"python{platform.python_version()}"
LINE = f"Teleport v{VERSION} git:{GIT_REF} {PYTHON}\n"


@pytest.fixture
def signed_in(tmp_path):
    """A profile of a proxy of another version."""
    home = Home(str(tmp_path / "tsh"), SystemDisk())
    home.save(profile(proxy_version="16.2.0", valid_until=dt.datetime(2999, 1, 1, tzinfo=dt.UTC)))
    return home


@pytest.mark.parametrize("program", ["teleport", "tctl", "tsh"])
def test_the_line_of_server_administrator_and_client(program):
    """S0-27, S0-29, S0-30, S0-44: `<Name> v<semver> git:<ref> <runtime>` from all three, without any cluster."""
    done = run(program, "version")
    assert (done.status, done.out, done.err) == (0, LINE, "")
    assert re.fullmatch(r"Teleport v\d+\.\d+\.\d+\S* git:\S* python3\.\d+\.\d+\n", done.out)


def test_tsh_adds_the_proxy_of_the_sign_in(signed_in):
    """S0-30: the same line, and the proxy's version and address when signed in."""
    assert run("tsh", "version").out == f"{LINE}Proxy version: 16.2.0\nProxy: proxy.example.com:443\n"
    assert run("tsh", "version", "--client").out == LINE
    assert run("tctl", "version").out == LINE


def test_a_proxy_that_told_no_version(signed_in):
    signed_in.save(profile(valid_until=dt.datetime(2999, 1, 1, tzinfo=dt.UTC)))
    assert run("tsh", "version").out == f"{LINE}Proxy: proxy.example.com:443\n"


def test_a_damaged_profile_does_not_hide_the_version(signed_in):
    SystemDisk().write(f"{signed_in.root}/proxy.example.com.yaml", b"{")
    assert run("tsh", "version").out == LINE


@pytest.mark.parametrize(("word", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_for_programs(signed_in, word, read):
    own = {"version": VERSION, "gitref": GIT_REF, "runtime": PYTHON}
    both = {**own, "proxy_version": "16.2.0", "proxy": "proxy.example.com:443"}
    assert read(run("tsh", "version", "--format", word).out) == both
    assert read(run("tsh", "version", f"--format={word}", "--client").out) == own
    assert read(run("teleport", "version", "-f", word).out) == own


@pytest.mark.parametrize("words", [("--format=xml",), ("-f",), ("now",), ("--raw", "--client")])
def test_misuse(words):
    done = run("tsh", "version", *words)
    assert (done.status, done.out) == (2, "")
    assert "CLI-USAGE" in done.err


def test_it_starts_at_once_when_signed_in(signed_in, monkeypatch):
    monkeypatch.setenv("TELEPORT_HOME", signed_in.root)
    heavy = ("asyncssh", "grpclib", "cryptography", "click", "yaml")
    code = "import sys; from teleport.cli import entry; assert entry.main('tsh', ['version']) == 0; "
    code += f"print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["Proxy: proxy.example.com:443", "[]"]


def test_words_are_read_in_any_order():
    assert version._read(["-d", "--format", "json", "--client"]) == ("json", ["-d", "--client"])
