"""What becomes of sessions and agents when the network between them breaks, and how soon agents are back.

    python -m tests.network.faults              every fault, as a table
    python -m tests.network.faults reset cut    some of them

The cluster is real, each process of it on a machine of its own (`tests.support.scattered`). A fault strikes what lies
between the proxy and one node, or a process. Meanwhile three people are watched: one with a session on that node, one
who opens new sessions on it all the time, and one with a session on another node, whom nothing may disturb.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.cluster import BIN, OWN
from tests.support.processes import wait_for
from tests.support.scattered import Scattered

EDGE, CALM = "edge", "calm"
SOON = 10.0
"""Seconds within which an agent is back after a fault's end."""
DISTURBED = 5.0
"""Seconds that an echo of somebody else may take; the machine of a test may have other work."""
PATIENCE = 90.0
"""Seconds after which a wait has failed."""
STEP = 0.5
"""Seconds between two echoes."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    what: str
    begin: Callable[[Scattered], object]
    end: Callable[[Scattered], object]
    seconds: float
    """How long it lasts; 0: it is over as soon as it has struck."""
    all_sessions: bool = False
    """Whether sessions on every node pass what breaks."""


def _link(**how: float | bool) -> Callable[[Scattered], object]:
    return lambda cluster: cluster.net.fault("proxy", EDGE, **how)  # type: ignore[arg-type]


def _heal(cluster: Scattered) -> None:
    cluster.net.heal()


FAULTS = (
    Fault("reset", "connections are reset", _link(reset=True), _heal, 5),
    Fault("half-open", "a box forgets the connections: they are dropped without a word, new ones pass",
          _link(forget=True), lambda cluster: None, 0),
    Fault("silence", "all packets are dropped", _link(loss=1.0), _heal, 20),
    Fault("long-silence", "all packets are dropped", _link(loss=1.0), _heal, 60),
    Fault("cut", "the node's cable is pulled", lambda cluster: cluster.net.cut(EDGE),
          lambda cluster: cluster.net.plug(EDGE), 30),
    Fault("delay", "half a second more each way", _link(delay=0.5), _heal, 20),
    Fault("loss", "30 % of packets are lost each way", _link(loss=0.3), _heal, 40),
    Fault("proxy-killed", "kill -9 of the proxy, started again", lambda cluster: cluster.gate.kill(),
          lambda cluster: cluster.again("proxy", cluster.gate), 20, all_sessions=True),
    Fault("auth-killed", "kill -9 of the Auth Service, started again", lambda cluster: cluster.kill(),
          lambda cluster: cluster.again("auth", cluster), 75),
    Fault("auth-silence", "packets between the proxy and the Auth Service are dropped",
          lambda cluster: cluster.net.fault("auth", "proxy", loss=1.0), _heal, 60),
)  # fmt: skip


class Echo:
    """A session in which somebody types a line now and then and waits for it to come back."""

    def __init__(self, cluster: Scattered, node: str) -> None:
        self.longest = 0.0
        self.heard = 0.0
        """When the last answer came."""
        self.ended = ""
        """What the person read when the session ended by itself."""
        self.after = 0.0
        """How many seconds after the last answer that was."""
        self._stop = threading.Event()
        self._errors = cluster.folder / f"echo-{node}"
        argv = [str(BIN / "tsh"), "ssh", "-T", f"{OWN}@{node}", "echo open; exec cat"]
        env = cluster.environment(cluster.alice.name)
        with cluster.net.inside("user"), self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=env
            )
        assert self._line() == b"open\n", self._errors.read_text()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _run(self) -> None:
        assert self._process.stdin is not None
        while not self._stop.wait(STEP):
            began = time.monotonic()
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(b"x\n")
                self._process.stdin.flush()
            line = self._line()
            if not line:
                if not self._stop.is_set():
                    self.after = time.monotonic() - began
                    self._process.wait(5)
                    self.ended = _last(self._errors.read_text()) or f"status {self._process.returncode}"
                return
            self.heard = time.monotonic()
            self.longest = max(self.longest, self.heard - began)

    def close(self) -> None:
        """End the session."""
        self._stop.set()
        self._process.kill()
        self._thread.join()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def __str__(self) -> str:
        if self.ended:
            return f"ends after {self.after:.0f} s: {self.ended}"
        return f"goes on, longest echo {self.longest:.1f} s"


class Arrivals:
    """Somebody who opens a new session every second, whatever became of those before."""

    def __init__(self, cluster: Scattered, node: str) -> None:
        self._cluster = cluster
        self._node = node
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.done: list[tuple[float, float, str]] = []
        """Of each that has ended: when it began and ended, and what it said if it failed."""
        self._starting = threading.Thread(target=self._run)
        self._starting.start()

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            thread = threading.Thread(target=self._one)
            thread.start()
            self._threads.append(thread)

    def _one(self) -> None:
        began = time.monotonic()
        done = self._cluster.ssh(self._node, "true", status=None)
        self.done.append((began, time.monotonic(), _last(done.err) if done.status else ""))

    def back(self, since: float) -> float | None:
        """Return when the first session after `since` succeeded; None: none has yet."""
        return min((end for began, end, failure in self.done if not failure and began >= since), default=None)

    def close(self) -> None:
        """End, and wait for what is under way."""
        self._stop.set()
        self._starting.join()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        failures = {failure.partition(": ")[0]: end - began for began, end, failure in self.done if failure}
        longest = max((end - began for began, end, _ in self.done), default=0.0)
        return f"at most {longest:.0f} s; " + (", ".join(sorted(failures)) or "none fails")


@dataclass
class Row:
    """What a fault did."""

    fault: Fault
    session: Echo
    new: Arrivals
    other: Echo
    back: float = 0.0
    listed: float = 0.0
    """Seconds after the fault's end until there are sessions again, and until every host is connected."""
    failures: list[str] = field(default_factory=list)

    def judge(self) -> None:
        """Find out what was promised and did not hold."""
        for what, took in (("sessions", self.back), ("the inventory", self.listed)):
            if took > SOON:
                self.failures.append(f"{what} {took:.1f} s after the fault's end")
        if not self.fault.all_sessions and (self.other.ended or self.other.longest > DISTURBED):
            self.failures.append(f"another's session: {self.other}")

    def __str__(self) -> str:
        cells = (
            f"{self.fault.name}: {self.fault.what}", f"{self.fault.seconds:g} s", self.session, self.new,
            f"{self.back:.1f} s", f"{self.listed:.1f} s", self.other, "; ".join(self.failures) or "yes",
        )  # fmt: skip
        return "| " + " | ".join(str(cell) for cell in cells) + " |"


HEAD = """\
| fault | lasts | a session there | new sessions there | sessions again after | hosts listed again after | another's session | met |
|---|---|---|---|---|---|---|---|"""


def strike(cluster: Scattered, fault: Fault) -> Row:
    """Let a fault happen and be over, and return what it did."""
    hosts = len(_connected(cluster))
    with contextlib.ExitStack() as stack:
        row = Row(fault, Echo(cluster, EDGE), Arrivals(cluster, EDGE), Echo(cluster, CALM))
        for watched in (row.session, row.new, row.other):
            stack.callback(watched.close)
        wait_for("sessions before the fault", lambda: row.new.back(0.0), seconds=PATIENCE)
        fault.begin(cluster)
        time.sleep(fault.seconds)  # this is what the fault is
        fault.end(cluster)
        ended = time.monotonic()
        row.listed = wait_for("all hosts", lambda: _again(cluster, hosts), seconds=PATIENCE) - ended
        row.back = wait_for("new sessions", lambda: row.new.back(ended), seconds=PATIENCE) - ended
        wait_for("the session's fate", lambda: row.session.ended or row.session.heard > ended, seconds=PATIENCE)
    cluster.net.heal()
    row.judge()
    return row


def _connected(cluster: Scattered) -> set[str]:
    found = cluster.tctl("inventory", "status", "--connected", "--format=json", status=None)
    return {host["hostname"] for host in json.loads(found.out)} if found.status == 0 else set()


def _again(cluster: Scattered, hosts: int) -> float | None:
    return time.monotonic() if len(_connected(cluster)) >= hosts else None


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("ERROR")] or text.splitlines() or [""]
    return lines[-1].removeprefix("ERROR: ")[:160]


@contextlib.contextmanager
def stage(folder: Path) -> Iterator[Scattered]:
    """Run the cluster on which faults strike."""
    with Scattered(folder).everywhere(EDGE, CALM) as cluster:
        yield cluster


def main(argv: Sequence[str]) -> int:
    """Print the table; return how many promises did not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("faults", nargs="*", choices=[[], *(fault.name for fault in FAULTS)])
    wanted = parser.parse_args(argv).faults
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as cluster:
        print(HEAD, flush=True)
        rows = []
        for fault in FAULTS:
            if not wanted or fault.name in wanted:
                rows.append(strike(cluster, fault))
                print(rows[-1], flush=True)
    return sum(len(row.failures) for row in rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
