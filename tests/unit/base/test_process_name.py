"""`pidof teleport` finds the server and not its helpers: asked for real."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
sys.argv = ["entry", "start", "-c", "file"]
from teleport.base.process_name import set_name
set_name({name!r}, {arguments!r})
print("named", flush=True)
sys.stdin.read()
"""


def start(name: str, arguments: list[str] | None) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE.format(name=name, arguments=arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "named\n"
    return process


def stop(process: subprocess.Popen[str]) -> None:
    process.communicate("")
    assert process.returncode == 0


@pytest.fixture
def family():
    processes = [start("teleport", None), start("teleport-signer", []), start("teleport-spawner", [])]
    yield processes
    for process in processes:
        stop(process)


def test_command_line_keeps_its_arguments(family):
    words = Path(f"/proc/{family[0].pid}/cmdline").read_bytes().replace(b"\0", b" ").split()
    assert words == [b"teleport", b"start", b"-c", b"file"]
    assert Path(f"/proc/{family[0].pid}/comm").read_text() == "teleport\n"


def test_pidof_finds_only_the_server(family):
    pidof = shutil.which("pidof", path=os.environ["PATH"] + ":/sbin:/bin:/usr/sbin:/usr/bin")
    if pidof is None:
        pytest.fail("pidof is not installed")
    server, *helpers = (process.pid for process in family)

    def found(name: str) -> set[int]:
        return {int(pid) for pid in subprocess.run([pidof, name], capture_output=True, check=False).stdout.split()}

    assert server in found("teleport")
    assert not found("teleport") & set(helpers)
    assert helpers[0] in found("teleport-signer")
    assert helpers[1] in found("teleport-spawner")
