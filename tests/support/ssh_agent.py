"""A real `ssh-agent` for the time of a block, with a socket in a folder of the test."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import wait_for


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Run an agent and yield the path of its socket, which must be short."""
    folder = Path(tempfile.mkdtemp(prefix="agent-"))
    path = folder / "s"
    try:
        with subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL) as agent:
            try:
                wait_for("the agent's socket", path.is_socket)
                yield str(path)
            finally:
                agent.terminate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def listed(path: str) -> list[str]:
    """Return the lines of `ssh-add -L`: type, key, comment."""
    done = subprocess.run(
        ["ssh-add", "-L"], env={"SSH_AUTH_SOCK": path, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 or "no identities" in done.stdout + done.stderr, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith(("ssh-", "ecdsa-"))]
