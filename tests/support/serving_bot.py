"""A real `tbot start` with services of its own, for the time of a block.

with Tbot(cluster, tmp_path / "bot", roles=["access"], services=[service("identity", folder)]).running() as bot:
    bot.renew()
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.support.cluster import Cluster, Done
from tests.support.tbot import Machine, Running, make_bot

RENEWED = "Successfully renewed"


def service(kind: str, path: Path, **more: Any) -> dict[str, Any]:
    """Return an entry of `services` that writes to a folder."""
    return {"type": kind, "destination": {"type": "directory", "path": str(path)}, **more}


class Tbot:
    """A bot of a cluster, and its process."""

    def __init__(
        self, cluster: Cluster, folder: Path, *, roles: Sequence[str], services: Sequence[dict[str, Any]],
        name: str = "example", environment: Mapping[str, str] | None = None, **config: Any,
    ) -> None:  # fmt: skip
        """Make the bot and a token for it; nothing runs yet. `environment` are more variables, `config` more keys of
        tbot.yaml."""
        self.cluster = cluster
        self.folder = folder
        self._services = len(services)
        self._machine = Machine(cluster, name, make_bot(cluster, name, *roles), folder=folder)
        self._machine.settings |= {"services": list(services), **config}
        self._machine.environment |= environment or {}
        self._running: Running | None = None
        self._renewed = 0
        """How often certificates of services were renewed, as far as somebody has waited for it."""

    def run_once(self) -> Done:
        """Run it to its end, which may be a failure."""
        return self._machine.once(status=None)

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        """Run it for the time of a block, from when every service has certificates."""
        with self._machine.running() as self._running:
            self._renewed = 0
            self._await()
            yield self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that runs."""
        assert self._running is not None
        return self._running.process

    @property
    def log(self) -> str:
        """What it has said."""
        assert self._running is not None
        return self._running.log

    def renew(self) -> None:
        """Let it renew everything now, and wait until it has."""
        self._renewed = self.log.count(RENEWED)
        self.process.send_signal(signal.SIGUSR1)
        self._await()

    def _await(self) -> None:
        assert self._running is not None
        self._running.await_line(RENEWED, self._renewed + self._services)
