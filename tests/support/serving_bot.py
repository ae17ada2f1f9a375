"""A real `tbot start`: a process with a configuration and a log, for the time of a block.

with Tbot(cluster, tmp_path / "bot", roles=["access"], services=[identity(folder)]).running() as bot:
    bot.renew()
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.support.cluster import Cluster
from tests.support.processes import wait_for
from tests.support.server_process import BIN

RENEWED = "Successfully renewed "


def directory(path: Path) -> dict[str, str]:
    """Return a destination."""
    return {"type": "directory", "path": str(path)}


def service(kind: str, path: Path, **more: Any) -> dict[str, Any]:
    """Return an entry of `services` that writes to a folder."""
    return {"type": kind, "destination": directory(path), **more}


class Tbot:
    """A bot of a cluster, and its process."""

    def __init__(
        self, cluster: Cluster, folder: Path, *, roles: Sequence[str], services: Sequence[dict[str, Any]],
        name: str = "example", environment: Mapping[str, str] | None = None, **config: Any,
    ) -> None:  # fmt: skip
        """Make the bot and a token for it; nothing runs yet. `config` are more keys of tbot.yaml, `environment`
        more variables."""
        self.cluster = cluster
        self.folder = folder
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {**cluster.environment("bot"), **(environment or {})}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        token = f"{name}-1234567890abcdef"
        spec = {"roles": list(roles)}
        cluster.create({"kind": "bot", "version": "v1", "metadata": {"name": name}, "spec": spec})
        invitation = {"roles": ["Bot"], "bot_name": name, "join_method": "token"}
        cluster.create({"kind": "token", "version": "v2", "metadata": {"name": token}, "spec": invitation})
        document = {
            "version": "v2", "proxy_server": cluster.public, "onboarding": {"join_method": "token", "token": token},
            "storage": directory(folder / "storage"), "services": list(services), **config,
        }  # fmt: skip
        self._services = len(services)
        self.config = folder / "tbot.yaml"
        self.config.write_text(json.dumps(document))

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        """Run it for the time of a block, from when every service has certificates."""
        argv = [str(BIN / "tbot"), "start", "-c", str(self.config)]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
                cwd=self.folder,
            )  # fmt: skip
        try:
            self._until_renewed(0)
            yield self
        except BaseException:
            sys.stderr.write(self.log[-8000:])
            raise
        finally:
            self.process.terminate()
            try:
                self.process.wait(30)
            finally:
                self.process.kill()

    def run_once(self) -> tuple[int, str]:
        """Let it run until it ends by itself; return its exit status, and what it has said."""
        with open(self.folder / "log", "ab") as log:
            done = subprocess.run(
                [str(BIN / "tbot"), "start", "-c", str(self.config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment, cwd=self.folder, timeout=90, check=False,
            )  # fmt: skip
        return done.returncode, self.log

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log").read_text(errors="replace")

    def renew(self) -> None:
        """Let it renew everything now, and wait until it has."""
        assert self.process is not None
        before = self.renewals
        self.process.send_signal(signal.SIGUSR1)
        self._until_renewed(before)

    @property
    def renewals(self) -> int:
        """How often certificates of services were renewed."""
        return self.log.count(RENEWED)

    def _until_renewed(self, before: int) -> None:
        def renewed() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"tbot ended with {self.process.returncode}"
            return self.renewals >= before + self._services

        wait_for("renewed certificates", renewed, seconds=90)
