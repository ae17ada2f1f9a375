"""An auth host for `tctl`: a real Auth Service in memory behind a real admin socket, in a thread, and the command
run in this process as `main` runs it.

    with AdminHost(tmp_path) as host:
        assert host.tctl("status").out.startswith("Cluster")
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from teleport.auth import admin_socket
from teleport.base import log
from teleport.base.clock import SystemClock
from teleport.cli import entry
from teleport.net.network import SystemNetwork
from tests.support import auth_cluster

T = TypeVar("T")

CONFIG = """\
version: v3
teleport:
  nodename: auth-host
  data_dir: {data}
auth_service:
  enabled: yes
  cluster_name: example.com
proxy_service:
  enabled: yes
  public_addr: proxy.example.com:443
ssh_service:
  enabled: no
"""


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class AdminHost:
    """The host."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.config = folder / "teleport.yaml"
        self.config.write_text(CONFIG.format(data=self.data))
        self.cluster: auth_cluster.Cluster
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._running = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> AdminHost:
        self._thread.start()
        self._running.wait()
        assert self._failure is None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert self._failure is None

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._running.set()

    async def _serve(self) -> None:
        clock = SystemClock()
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with auth_cluster.running(clock=clock) as cluster:
            self.cluster = cluster
            listener = await admin_socket.listen(
                SystemNetwork(), cluster.service, self.data, owner=os.geteuid(), host="auth-host", clock=clock
            )
            self._running.set()
            await self._stop.wait()
            await listener.close(0.0)

    def do(self, work: Callable[[auth_cluster.Cluster], Awaitable[T]]) -> T:
        """Do something with the cluster, in its own thread, and return what it gives."""

        async def story() -> T:
            return await work(self.cluster)

        return asyncio.run_coroutine_threadsafe(story(), self._loop).result(30)

    def tctl(self, *words: str, stdin: bytes | str = b"", status: int | None = 0) -> Done:
        """Run `tctl` and return how it ended; `status` is what is expected, None for anything."""
        done = run("tctl", *_with_config(words, self.config), stdin=stdin)
        assert status in (None, done.status), done
        return done


def _with_config(words: tuple[str, ...], config: Path) -> list[str]:
    return ["-c", str(config), *words]


def run(program: str, *words: str, stdin: bytes | str = b"") -> Done:
    """Run a command in this process."""
    out, err, former_in, level = io.StringIO(), io.StringIO(), sys.stdin, log.get_level()
    data: Any = io.BytesIO(stdin if isinstance(stdin, bytes) else stdin.encode())
    sys.stdin = io.TextIOWrapper(data)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = entry.main(program, words)
    finally:
        sys.stdin = former_in
        log.set_level(level)
    return Done(status, out.getvalue(), err.getvalue())
