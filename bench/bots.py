"""Bots: renewals of one Auth Service, `tbot start` until there is an output, and memory of one that is idle.

    python -m bench.bots                      all of it
    python -m bench.bots renewals --seconds 60 --processes 4

Renewals are those of the bot's own code, with its storage in memory, over a new connection for each, straight to the
Auth Service of a real cluster. Who asks computes on the same machine, about as much as who answers: so renewals per
second of the Auth Service's computing are told beside those per second of the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

from bench.recording import computing
from bench.walk import milliseconds, proportional
from teleport.base import log
from teleport.bot.run import BotProcess
from teleport.cli.tbot.world import world
from teleport.model.config import tbot_yaml
from tests.support.cluster import Cluster
from tests.support.killed_bot import BEGUN, DONE, WRITTEN, Victim, made
from tests.support.processes import wait_for
from tests.support.tbot import TBOT, Machine, ca_pin

SECONDS, BOTS, PROCESSES, ROUNDS = 20.0, 32, 2, 10
MOST = 60_000_000
"""Bytes that an idle bot may take."""
TOO_MUCH = "MORE than 60 MB"
QUIET = 3.0
"""Seconds without computing after which a process is idle."""
Row = tuple[str, str]


def renewals(cluster: Cluster, seconds: float, processes: int) -> list[Row]:
    """Return how many bots are served in a second, and what the Auth Service computes for it."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(processes + 1), []
    pin = ca_pin(cluster)
    for number in range(processes):
        receiving, sending = context.Pipe(duplex=False)
        texts = [_text(cluster, f"many-{number}-{bot}", pin) for bot in range(BOTS // processes)]
        context.Process(target=_renew_all, args=(texts, seconds, barrier, sending)).start()
        results.append(receiving)
    barrier.wait()  # all have joined
    server = cluster.server
    assert server is not None
    before, began = computing(server.pid), time.perf_counter()
    barrier.wait()  # the time is over
    spent, elapsed = computing(server.pid) - before, time.perf_counter() - began
    count = sum(result.recv() for result in results)
    return [
        (f"renewals of {BOTS} bots, each over a new connection", f"{count / elapsed:.0f} /s"),
        ("the Auth Service's share of one core meanwhile, its signer included", f"{100 * spent / elapsed:.0f} %"),
        ("renewals per second of the Auth Service's computing", f"{count / spent:.0f} /s"),
    ]  # fmt: skip


def _text(cluster: Cluster, name: str, pin: str) -> str:
    """Return the configuration of a new bot that keeps its storage in memory."""
    return json.dumps(
        {
            "version": "v2", "auth_server": f"127.0.0.1:{cluster.settings['auth']}", "storage": {"type": "memory"},
            "onboarding": {"token": made(cluster, name), "join_method": "token", "ca_pins": [pin]},
            "services": [{"type": "identity", "destination": {"type": "memory"}}],
        }
    )  # fmt: skip


def _renew_all(texts: Sequence[str], seconds: float, barrier: Barrier, result: Connection) -> None:
    """A process with bots that renew as fast as they can, for so long after all have joined."""
    log.setup(level="ERROR")

    async def main() -> int:
        identities = [BotProcess(tbot_yaml.load(text, "bench"), world()).identity for text in texts]
        for identity in identities:
            await identity.begin()
        await asyncio.to_thread(barrier.wait)
        end = time.perf_counter() + seconds

        async def renew(number: int) -> int:
            count = 0
            while time.perf_counter() < end:
                await identities[number].renew()
                count += 1
            return count

        return sum(await asyncio.gather(*(renew(number) for number in range(len(identities)))))

    count = asyncio.run(main())
    barrier.wait()
    result.send(count)


def starts(cluster: Cluster) -> list[Row]:
    """Return how long it takes until an output is written, from the start of the process."""
    machines = [Machine(cluster, f"start-{number}", made(cluster, f"start-{number}"))
                for number in range(ROUNDS + 1)]  # fmt: skip
    took: dict[str, list[float]] = {"join": [], "renew": [], "version": [], "begun": []}
    for machine in machines:
        machine.write()
        took["version"].append(milliseconds([TBOT, "version"], machine.env()))
        took["join"].append(_first(machine)[1])
        begun, written = _first(machine)
        took["renew"].append(written)
        took["begun"].append(begun)
    medians = {what: statistics.median(times[1:]) for what, times in took.items()}  # the first does not count
    return [
        ("tbot version", f"{medians['version']:.0f} ms"),
        ("tbot start until its first line", f"{medians['begun']:.0f} ms"),
        ("tbot start until an output is written, with a stored identity", f"{medians['renew']:.0f} ms"),
        ("tbot start until an output is written, joining", f"{medians['join']:.0f} ms"),
    ]


def _first(machine: Machine) -> tuple[float, float]:
    """Return the milliseconds until the first line, and until the first output."""
    began = time.perf_counter()
    with Victim(machine) as bot:
        bot.until(BEGUN)
        begun = time.perf_counter()
        bot.until(WRITTEN)
        written = time.perf_counter()
        bot.until(DONE)
        bot.stop()
    return (begun - began) * 1e3, (written - began) * 1e3


def memory(cluster: Cluster) -> list[Row]:
    """Return what an idle bot holds, with one output and with five."""
    found = []
    for count in (1, 5):
        machine = Machine(cluster, f"idle-{count}", made(cluster, f"idle-{count}"))
        machine.settings["services"] = [machine.output(machine.folder / f"out-{number}") for number in range(count)]
        machine.write()
        with Victim(machine) as bot:
            bot.until(WRITTEN, count)
            _until_idle(bot.pid)
            resident, shared = _resident(bot.pid), proportional(bot.pid)
            bot.stop()
        verdict = "at most 60 MB" if resident <= MOST else TOO_MUCH
        what = f"idle tbot, {count} output{'s' * (count > 1)}: RSS; PSS"
        found.append((what, f"{resident / 1e6:.1f} MB; {shared / 1e6:.1f} MB; {verdict}"))
    return found


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))


def _until_idle(pid: int) -> None:
    last, since = computing(pid), time.monotonic()

    def idle() -> bool:
        nonlocal last, since
        if (now := computing(pid)) != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > QUIET

    wait_for("an idle bot", idle)


PARTS = ("renewals", "starts", "memory")


def main() -> int:
    """Print the table, or parts of it; return 1 where an idle bot takes more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    options, failed = parser.parse_args(), False
    print("load {:.1f}, {:.1f}, {:.1f}".format(*os.getloadavg()))
    print("| what | median |\n|---|---|")
    with tempfile.TemporaryDirectory() as name, Cluster(Path(name)).running() as cluster:
        cluster.role("access", logins=["alice"])
        for part in options.parts:
            measured = (
                renewals(cluster, options.seconds, options.processes) if part == "renewals"
                else {"starts": starts, "memory": memory}[part](cluster)
            )  # fmt: skip
            for what, figure in measured:
                print(f"| {what} | {figure} |", flush=True)
                failed |= TOO_MUCH in figure
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
