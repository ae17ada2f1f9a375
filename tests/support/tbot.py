"""tbot as a process of its own: a machine with a configuration, a storage and a destination, and a bot on it.

    machine = Machine(cluster, "example", token=make_bot(cluster, "example", "access"))
    machine.once()
    with machine.running() as bot:
        bot.await_line("Task succeeded")
        bot.signal(signal.SIGUSR1)

Everything is waited for by its condition; every process is ended by its pid.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from teleport.model.identity import Identity
from teleport.pki import codec, x509
from tests.support.cluster import Cluster, Done
from tests.support.processes import wait_for
from tests.support.server_process import BIN

TBOT = str(BIN / "tbot")


def make_bot(cluster: Cluster, name: str, *roles: str, ttl: str = "12h") -> str:
    """Make a bot that may have these roles; return the token with which it joins once. `ttl`: what its certificates
    last at most."""
    options = (f"--roles={','.join(roles)}", f"--max-session-ttl={ttl}", "--format=json")
    said = cluster.tctl("bots", "add", name, *options).out
    return str(json.loads(said)["token_id"])


def new_token(cluster: Cluster, name: str) -> str:
    """Return a token for a new instance of a bot."""
    return str(json.loads(cluster.tctl("bots", "instances", "add", name, "--format=json").out)["token_id"])


def ca_pin(cluster: Cluster) -> str:
    """Return the pin of the cluster's authority."""
    return next(word for word in cluster.tctl("status").out.split() if word.startswith("sha256:"))


def instances(cluster: Cluster, name: str) -> dict[str, int]:
    """Return the instances of a bot, with the generation of each."""
    listed = json.loads(cluster.tctl("bots", "instances", "ls", name, "--format=json").out)
    return {each["spec"]["instance_id"]: _latest(each)["generation"] for each in listed}


def _latest(instance: dict[str, Any]) -> dict[str, Any]:
    status = instance["status"]
    return dict((status.get("latest_authentications") or [status["initial_authentication"]])[-1])


def identity_in(folder: Path) -> Identity:
    """Return whom the certificate in a folder names."""
    return codec.from_x509(x509.parse((folder / "tlscert").read_bytes()))


class Machine:
    """A folder with everything that a bot on a machine of its own has."""

    def __init__(
        self, cluster: Cluster, name: str, token: str, *, direct: bool = False, method: str = "token",
        folder: Path | None = None,
    ) -> None:  # fmt: skip
        """`direct`: the Auth Service is dialled, not the proxy."""
        self.cluster = cluster
        self.folder = folder or cluster.folder / f"machine-{name}"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=folder is not None)
        self.storage, self.out = self.folder / "storage", self.folder / "out"
        self.file = self.folder / "tbot.yaml"
        self.environment: dict[str, str] = {}
        """More variables."""
        auth = f"127.0.0.1:{cluster.settings['auth']}"
        self.settings: dict[str, Any] = {
            "version": "v2",
            **({"auth_server": auth} if direct else {"proxy_server": cluster.public}),
            "onboarding": {"token": token, "join_method": method, **({"ca_pins": [ca_pin(cluster)]} if direct else {})},
            "storage": {"type": "directory", "path": str(self.storage)},
            "services": [self.output()],
        }

    def output(self, where: Path | None = None, **fields: Any) -> dict[str, Any]:
        """Return an output `identity`."""
        return {"type": "identity", "destination": {"type": "directory", "path": str(where or self.out)}, **fields}

    def write(self) -> None:
        """Write the configuration."""
        self.file.write_text(json.dumps(self.settings))  # JSON is YAML

    def env(self) -> dict[str, str]:
        """Return the variables of the process."""
        kept = {name: value for name, value in self.cluster.environment().items() if not name.startswith("TBOT")}
        return {**kept, **self.environment}

    def once(self, *options: str, status: int | None = 0) -> Done:
        """Run once, to the end."""
        self.write()
        return self.run("start", "-c", str(self.file), "--oneshot", *options, status=status)

    def start(self, *options: str, status: int | None = 1) -> Done:
        """Start what is expected to end by itself."""
        self.write()
        return self.run("start", "-c", str(self.file), *options, status=status)

    def run(self, *arguments: str, status: int | None = 0) -> Done:
        """Run `tbot` to its end."""
        return self.cluster.run(TBOT, *arguments, status=status, env=self.env())

    @contextlib.contextmanager
    def running(self, *options: str) -> Iterator[Running]:
        """Run for the time of a block."""
        self.write()
        path = self.folder / "log"
        with open(path, "ab") as log:
            argv = [TBOT, "start", "-c", str(self.file), *options]
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env(),
                                       cwd=self.folder)  # fmt: skip
        running = Running(process, path)
        try:
            yield running
        except BaseException:
            sys.stderr.write(running.log[-8000:])
            process.kill()
            process.wait()
            raise
        running.stop()


class Running:
    """A bot that runs."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path) -> None:
        self.process = process
        self._path = path
        self._from = path.stat().st_size

    @property
    def log(self) -> str:
        """What it has said."""
        return self._path.read_text(errors="replace")[self._from :]

    def await_line(self, text: str, count: int = 1) -> str:
        """Wait until that many lines of the log have the text; return the last of these."""

        def found() -> list[str]:
            lines = [line for line in self.log.splitlines() if text in line]
            assert len(lines) >= count or self.process.poll() is None, f"tbot has ended:\n{self.log}"
            return lines if len(lines) >= count else []

        return wait_for(f"{count} lines with {text!r} in:\n{self.log}", found)[count - 1]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)

    def ended(self) -> int:
        """Wait until it has ended by itself; return its status."""
        return self.process.wait(60)

    def stop(self) -> None:
        """End it as an init system would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(60) == 0, self.log
