"""A `teleport start` as a process of its own: started, waited for, watched, ended by its pid."""

from __future__ import annotations

import abc
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from tests.support import bare_home
from tests.support.processes import Process, tree, wait_for

BIN = Path(sys.executable).parent
_STOP = 10.0
"""Seconds that the server may take to end."""


class ServerProcess(abc.ABC):
    """What a folder with a configuration and a data directory needs to run."""

    folder: Path
    data: Path
    config: Path
    wrapper: Sequence[str]

    def __init__(self) -> None:
        self.server: subprocess.Popen[bytes] | None = None
        self._family: list[Process] = []

    @abc.abstractmethod
    def environment(self) -> dict[str, str]:
        """Return the environment of the server."""

    @contextlib.contextmanager
    def running(self, *options: str) -> Iterator[Self]:
        """Run the server for the time of a block, and check that it ends well."""
        try:
            self.start(*options)
            yield self
        except BaseException:
            sys.stderr.write(self.log[-8000:])
            self.kill()
            raise
        if self.server is not None:  # the block may have ended it in its own way
            self.stop()

    @contextlib.contextmanager
    def launched(self, *options: str) -> Iterator[Self]:
        """As `running`, without waiting for readiness."""
        self.launch(*options)
        try:
            yield self
        except BaseException:
            sys.stderr.write(self.log[-8000:])
            self.kill()
            raise
        self.stop()

    def start(self, *options: str) -> None:
        """Start the server and wait until every service is ready."""
        self.launch(*options)
        wait_for("readiness", self._is_ready, seconds=90)
        self._family = tree(self.pid)

    def launch(self, *options: str) -> None:
        """Start the server, whatever becomes of it."""
        enter = self.wrapper or bare_home.wrapper()
        argv = [*enter, str(BIN / "teleport"), "start", "-c", str(self.config), *options]
        with open(self.folder / "stdout", "ab") as out, open(self.folder / "stderr", "ab") as log:
            self.server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                                           env=self.environment(), cwd=self.folder)  # fmt: skip

    def _is_ready(self) -> bool:
        assert self.server is not None
        assert self.server.poll() is None, f"the server ended with {self.server.returncode}:\n{self.log}"
        try:
            return self.debug("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def debug(self, method: str, path: str, body: str = "") -> tuple[int, str]:
        """Ask the debug service what `teleport debug` would ask."""
        connection = http.client.HTTPConnection("localhost", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.settimeout(10)
            connection.sock.connect(str(self.data / "debug.sock"))
            connection.request(method, path, body=body or None)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    @property
    def pid(self) -> int:
        """Process id of the server (a wrapper executes it, so it is also the id of what was started)."""
        assert self.server is not None
        return self.server.pid

    @property
    def log(self) -> str:
        """What the server has written to stderr, over all its runs."""
        path = self.folder / "stderr"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def output(self) -> str:
        """What the server has written to stdout."""
        return (self.folder / "stdout").read_text(errors="replace")

    def helper(self, name: str) -> Process:
        """Return the server's child of a name: `teleport-signer`, `teleport-spawner`."""
        (found,) = [process for process in tree(self.pid) if process.arguments.split()[:1] == [name]]
        return found

    def stop(self) -> float:
        """End the server as an init system would; return how many seconds it took.

        Fails unless it ends in time, with status 0, and leaves no process behind.
        """
        server, family = self.server, {*self._family, *tree(self.pid)}
        assert server is not None
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        try:
            status = server.wait(timeout=_STOP + 5)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        took = time.monotonic() - began
        self.server = None
        self._gone(family)
        assert status == 0, f"the server ended with {status}:\n{self.log[-4000:]}"
        assert took < _STOP, f"the server took {took:.1f} s to end"
        return took

    def kill(self) -> None:
        """End the server without warning. Its helpers must notice by themselves."""
        server = self.server
        if server is None:
            return
        family = {*self._family, *tree(server.pid)}
        server.kill()
        server.wait()
        self.server = None
        self._gone(family)

    def _gone(self, family: set[Process]) -> None:
        try:
            wait_for("the end of all processes of the server", lambda: not any(p.alive for p in family))
        finally:
            for process in [p for p in family if p.alive]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
