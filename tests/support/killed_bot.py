"""A bot whose process is killed again and again, and what must hold each time: `Life`.

    life = Life(cluster, "killed-1", random.Random(seed), Spans())
    life.play(["first", "start", "renewal"])

Kills come at random moments of what a process does: between its first word and the first output that is written, or
from a signal to renew to the output that follows. How long that takes is measured as it goes, so that the moments are
spread over all of it on any machine.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from typing import Self

from teleport.api.client import AuthClient
from teleport.client import identity_file
from teleport.model.kinds.bot_instance import BotInstance
from teleport.pki import keys, ssh, x509
from tests.support.cluster import Cluster
from tests.support.tbot import TBOT, Machine, identity_in

LIMIT = 90.0
"""Seconds within which a bot must go on."""
BEGUN, WRITTEN, DONE = (
    "Starting tbot",
    "Successfully renewed impersonated",
    "Waiting interval service:identity-output-1",
)
NEXT = "identity.next"


class Spans:
    """How long starting and renewing takes, for kills to fall within it. Shared by bots that run side by side."""

    def __init__(self) -> None:
        self._took: dict[str, list[float]] = {"start": [], "renewal": []}

    def note(self, what: str, seconds: float) -> None:
        """Add a measurement."""
        self._took[what].append(seconds)

    def known(self, what: str) -> float:
        """Return what is usual of late, in seconds."""
        return statistics.median(self._took[what][-9:])


class Victim:
    """A process of tbot, and what it has said so far."""

    def __init__(self, machine: Machine, *options: str, program: Sequence[str] = (TBOT,)) -> None:
        argv = [*program, "start", "-c", str(machine.file), *options]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, env=machine.env(), cwd=machine.folder)  # fmt: skip
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        self._said = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave nothing of it."""
        self._process.kill()
        self._process.wait()
        self._pipe.close()

    @property
    def log(self) -> str:
        """What it has said."""
        return self._said.decode(errors="replace")

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def until(self, text: str, count: int = 1) -> None:
        """Wait until it has said something so many times."""
        deadline = time.monotonic() + LIMIT
        while self._said.count(text.encode()) < count:
            left = deadline - time.monotonic()
            assert left > 0, f"not {count} times {text!r} within {LIMIT:.0f} s:\n{self.log}"
            assert self._listen(left), f"tbot has ended:\n{self.log}"

    def renew(self) -> None:
        """Tell it to renew everything now."""
        self._process.send_signal(signal.SIGUSR1)

    def kill_after(self, seconds: float) -> None:
        """Let it go on for so long, and kill it."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            assert self._listen(left), f"tbot has ended:\n{self.log}"
        self._process.kill()
        assert self.ended() == -signal.SIGKILL, self.log

    def stop(self) -> None:
        """End it as an init system would."""
        self._process.terminate()
        assert self.ended() == 0, self.log

    def ended(self) -> int:
        """Wait until it has ended; return its status."""
        deadline = time.monotonic() + LIMIT
        while self._listen(max(deadline - time.monotonic(), 0)):
            assert time.monotonic() < deadline, f"tbot does not end:\n{self.log}"
        status = self._process.wait(LIMIT)
        self._pipe.close()
        return status

    def _listen(self, seconds: float) -> bool:
        """Wait for more words for so long; return whether there may be others."""
        if not select.select([self._pipe], [], [], seconds)[0]:
            return True
        more = os.read(self._pipe.fileno(), 65536)
        self._said += more
        return bool(more)


def made(cluster: Cluster, name: str) -> str:
    """Make a bot without a command, and a token with which it joins once; return that."""
    token = f"{name}-1234567890abcdef"
    cluster.create({"kind": "bot", "version": "v1", "metadata": {"name": name}, "spec": {"roles": ["access"]}})
    spec = {"roles": ["Bot"], "bot_name": name, "join_method": "token"}
    cluster.create({"kind": "token", "version": "v2", "metadata": {"name": token}, "spec": spec})
    return token


class Life:
    """One bot, from its token to its last renewal."""

    def __init__(
        self, cluster: Cluster, name: str, chance: random.Random, spans: Spans, *, options: Sequence[str] = (),
        direct: bool = False,
    ) -> None:  # fmt: skip
        """Make the bot and its token, which is good for one join. `options`: more words for `tbot start`."""
        self.machine = Machine(cluster, name, made(cluster, name), direct=direct)
        self.machine.write()
        self.tally: Counter[str] = Counter()
        """How many kills came when the bot was where."""
        self._name = name
        self._chance = chance
        self._spans = spans
        self._options = options
        self._instance, self._generation = "", 0
        self._attempts = 0
        """Times that it may have been given a generation since `_look`."""

    def play(self, kills: Sequence[str]) -> None:
        """Kill it so often: while it starts with nothing stored (`first`, the first of all), while it starts with what
        is stored (`start`), or while it renews because it was told to (`renewal`). After each, the next start must go
        on; in the end it renews as ever."""
        try:
            self._begin()
            for kind in kills:
                self._strike(kind)
                self._begin()
                self._goes_on()
            if not kills:
                self._goes_on()
            self._renew()
            self._victim.stop()
            self._nothing_left()
        except BaseException as error:
            error.add_note(f"bot {self._name}, kills: {', '.join(kills)}; its last words:\n{self._victim.log}")
            raise
        finally:
            self._victim.close()

    def _begin(self) -> None:
        """Start it, and wait for its first word."""
        self._attempts += 1
        self._victim = Victim(self.machine, *self._options)
        self._victim.until(BEGUN)
        self._began, self._written = time.monotonic(), 0

    def _strike(self, kind: str) -> None:
        """Kill it at a random moment, and look at what it has left."""
        if kind == "start":
            self._victim.stop()
            self._begin()
        elif kind == "renewal":
            self._attempts += 1
            self._written = 1
            self._victim.renew()
        span = self._spans.known("renewal" if kind == "renewal" else "start")
        self._victim.kill_after(self._chance.uniform(0, 1.1 * span))
        self.tally[f"{kind}: {self._where()}"] += 1
        identity = self.machine.out / "identity"
        if identity.exists():  # one file, so it is whole at any time
            assert _fits_identity(identity.read_bytes())

    def _goes_on(self) -> None:
        """See that it is the bot that it was, with a generation more for each attempt at most, and its output whole."""
        self._victim.until(WRITTEN)
        self._spans.note("start", time.monotonic() - self._began)
        self._victim.until(DONE)
        assert " ERROR " not in self._victim.log
        self._look()

    def _renew(self) -> None:
        began = time.monotonic()
        self._attempts += 1
        seen = self._victim.log.count(WRITTEN)
        self._victim.renew()
        self._victim.until(WRITTEN, seen + 1)
        self._spans.note("renewal", time.monotonic() - began)
        self._victim.until(DONE, seen + 1)
        self._look()

    def _look(self) -> None:
        held = identity_in(self.machine.storage)
        assert held.bot_instance_id == (self._instance or held.bot_instance_id)
        assert self._generation < held.generation <= self._generation + self._attempts
        given = self._given()
        assert given == {held.bot_instance_id: held.generation}
        self._instance, self._generation, self._attempts = held.bot_instance_id, held.generation, 0
        for folder in (self.machine.storage, self.machine.out):
            read = (
                (folder / "key").read_bytes(),
                (folder / "key-cert.pub").read_text(),
                (folder / "tlscert").read_bytes(),
            )
            assert _fits(*read), f"key and certificates do not fit in {folder}"
        assert _fits_identity((self.machine.out / "identity").read_bytes())
        assert (self.machine.out / "identity").read_bytes().startswith((self.machine.out / "key").read_bytes())
        assert (self.machine.storage / NEXT).read_bytes() == b""

    def _nothing_left(self) -> None:
        """See that no draft of a file was left by the processes that were killed."""
        for folder in (self.machine.storage, self.machine.out):
            assert [path.name for path in folder.glob(".*.new")] == []

    def _given(self) -> dict[str, int]:
        """Return the instances of the bot, with what each was given last."""

        async def ask(client: AuthClient) -> dict[str, int]:
            found = {}
            async for each in client.list("bot_instance"):
                assert isinstance(each, BotInstance)
                if each.spec.bot_name == self._name:
                    found[each.name] = each.latest.generation
            return found

        return self.machine.cluster.ask(ask)

    def _where(self) -> str:
        """Return how far a process came that is dead now."""
        storage = self.machine.storage
        path = storage / NEXT
        note = path.read_bytes() if path.exists() else b""
        underway = json.loads(note) if note else {}
        kept = identity_in(storage).generation if (storage / "tlscert").exists() else 0
        if underway.get("identity"):
            return "answered, the files not all written"
        if underway.get("next"):
            return "answered, and the answer lost" if max(self._given().values(), default=0) > kept else "asking"
        if kept == self._generation:
            return "before the next key was stored"
        return "the output written" if self._victim.log.count(WRITTEN) > self._written else "writing the output"


def _fits_identity(data: bytes) -> bool:
    parts = identity_file.parse(data, "identity")
    return _fits(parts.key.encode(), parts.ssh_certificate, parts.tls_certificate.encode())


def _fits(key: bytes, ssh_certificate: str, tls_certificate: bytes) -> bool:
    """Whether certificates are for a key."""
    public = keys.load_private(key).public_key()
    for_ssh = ssh.parse(keys.load_ssh_line(ssh_certificate.strip()))
    for_tls = keys.spki(x509.parse(tls_certificate).public_key())  # type: ignore[arg-type]
    return for_ssh.key == keys.ssh_blob(public) and for_tls == keys.spki(public)
