"""What `ssh` starts for every connection of a bot: it starts at once, and reads what the generated lines say."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from teleport.base.errors import BadParameter, NotAuthenticated, NotFound, Unavailable
from teleport.cli.tbot import quick, quick_multiplexer
from teleport.cli.tbot.quick import Call
from teleport.client import identity_file
from tests.support import authorities, identities

HEAVY = ("asyncio", "asyncssh", "aiohttp", "grpclib", "click", "cryptography", "yaml", "google.protobuf", "msgspec")
LINE = (
    "--destination-dir=/opt/machine-id --proxy-server=proxy.example.com:443 --cluster=example.com --tls-routing"
    " --resume --user=alice --host=node-1.example.com --port=3022"
)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from teleport.cli import entry; import teleport.cli.tbot.quick, teleport.client.output_folder, "
        "teleport.client.reach, teleport.client.stdio, teleport.client.resumption; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("more", "changes"),
    [
        ("", {}),
        (" --connection-upgrade", {"upgrade": True}),
        (" --no-resume", {"resume": False}),
        (" --no-tls-routing --port 22", {"port": "22"}),
    ],
)
def test_a_generated_line_is_read(more: str, changes: dict[str, Any]) -> None:
    whole = Call("/opt/machine-id", "proxy.example.com:443", "example.com", "node-1.example.com", "alice", resume=True)
    assert quick.read_call(shlex.split(LINE + more)) == whole._replace(**changes)


@pytest.mark.parametrize("words", [["--help"], [], ["--host=a"], ["--cluster"], [*shlex.split(LINE), "x"]])
def test_everything_else_is_left_to_the_full_command(words: list[str]) -> None:
    assert quick.ssh_proxy_command(words) is None


def test_renewals_of_a_bot_end_no_command_even_at_its_start(tmp_path: Path) -> None:
    program, python = shutil.copy(Path(__file__).parents[4] / "bin/tbot", tmp_path), tmp_path / "python3"
    python.write_text("#!/bin/sh\nkill -USR1 $$\necho lives\n")
    python.chmod(0o755)
    done = subprocess.run([program, "start"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("lives\n", 0)


def test_renewals_of_a_bot_do_not_end_those_who_wait_for_one() -> None:
    words = [str(Path(sys.executable).with_name("tbot")), "wait", "--diag-addr=127.0.0.1:1", "--timeout=3s"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as waiting:
        while waiting.poll() is None:
            if b"-IS" in Path(f"/proc/{waiting.pid}/cmdline").read_bytes():  # the shell that finds Python is done
                waiting.send_signal(signal.SIGUSR1)
            with contextlib.suppress(subprocess.TimeoutExpired):
                waiting.wait(0.1)
        said = waiting.stderr.read() if waiting.stderr else ""
    assert waiting.returncode == 1, said


def test_the_multiplexer_is_reached_with_next_to_nothing() -> None:
    code = (
        "import sys; from teleport.cli import entry; import teleport.cli.tbot.quick_multiplexer; "
        "print([name for name in ('typing', 're', 'socket', 'json', 'teleport.base.errors') if name in sys.modules])"
    )
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{code}"
    done = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_multiplexer_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        quick_multiplexer.ssh_multiplexer_proxy_command([str(tmp_path / "v1.sock"), "node-1:3022"])
    assert caught.value.code == "CLIENT-MULTIPLEXER"
    assert quick_multiplexer.ssh_multiplexer_proxy_command(["--help"]) is None


def call(folder: Path) -> Call:
    return Call(str(folder), "127.0.0.1:1", "example.com", "node-1.example.com", "root")


@pytest.mark.parametrize("content", [None, b""])
def test_a_folder_without_an_identity(tmp_path: Path, content: bytes | None) -> None:
    """`tbot init` leaves empty files."""
    if content is not None:
        (tmp_path / "identity").write_bytes(content)
    with pytest.raises(NotFound) as caught:
        quick.connect(call(tmp_path), {})
    assert caught.value.code == "CLIENT-DESTINATION"


def test_what_is_no_identity(tmp_path: Path) -> None:
    (tmp_path / "identity").write_bytes(b"something else")
    with pytest.raises(BadParameter) as caught:
        quick.connect(call(tmp_path), {})
    assert caught.value.code == "CLIENT-IDENTITY"


def test_a_failure_names_its_cause(tmp_path: Path) -> None:
    """Nobody listens there; and the identity has ended long ago, which comes first."""
    (tmp_path / "identity").write_bytes(identity_file.write(identities.parts(authorities.cluster()), "example.com"))
    with pytest.raises(NotAuthenticated) as caught:
        quick.connect(call(tmp_path), {})
    assert caught.value.code == "CLIENT-IDENTITY-EXPIRED"
