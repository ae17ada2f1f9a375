"""Machine identity: renewals a second of one Auth Service, a bot from its start to its first output, and its memory.

`python -m bench.tbot` on a machine without other work; bots and Auth Service share its cores. The renewals are real:
each is a TLS connection with the bot's last certificate, a new key on either side, a commit and an audit event.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import tempfile
import time
from pathlib import Path

from teleport.base.clock import SystemClock
from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SystemEntropy
from teleport.bot.held import make_key
from teleport.bot.onboarding import Door
from teleport.bot.reach import Reach
from teleport.bot.web_find import WebFind
from teleport.client.auth_way import AuthWay
from teleport.model.address import Address
from teleport.model.config.tbot_yaml import Onboarding
from teleport.net.network import SystemNetwork
from tests.support.cluster import Cluster
from tests.support.tbot import Machine, ca_pin, make_bot, new_token

BOTS = 20
SECONDS = 10.0
ROUNDS = 5
RENEWED = "Successfully renewed impersonated certificates"


def door(cluster: Cluster, token: str, pin: str) -> Door:
    """Return the way of one bot to the Auth Service."""
    entropy, network, clock = SystemEntropy(), SystemNetwork(), SystemClock()
    address = Address("127.0.0.1", int(cluster.settings["auth"]))
    reach = Reach(
        AuthWay((address,), network=network, entropy=entropy, environment={}),
        WebFind(network=network, entropy=entropy, environment={}), clock=clock,
    )  # fmt: skip
    return Door(
        Onboarding(token=token, join_method="token", ca_pins=(pin,)), reach, ttl=3600.0, host_name="bench",
        environment={}, disk=MemoryDisk(), folder="/", clock=clock, entropy=entropy,
    )  # fmt: skip


async def renewals(doors: list[Door]) -> float:
    """Renewals a second, of bots that renew without a pause."""
    entropy = SystemEntropy()
    ends = [0.0]
    done = 0

    async def renew(one: Door) -> None:
        nonlocal done
        held = await one.join(make_key(entropy), None)
        await ready.wait()
        while time.perf_counter() < ends[0]:
            held = await one.renew(held, make_key(entropy))
            done += 1

    ready = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for each in doors:
            group.create_task(renew(each))
        await asyncio.sleep(2.0)  # all have joined
        began = time.perf_counter()
        ends[0] = began + SECONDS
        ready.set()
    return done / (time.perf_counter() - began)


def first_output(machine: Machine) -> tuple[float, float]:
    """Seconds from the start of a bot to its first output, and megabytes that it holds some renewals later."""
    began = time.perf_counter()
    with machine.running() as bot:
        bot.await_line(RENEWED)
        took = time.perf_counter() - began
        bot.await_line("Task succeeded")
        status = Path(f"/proc/{bot.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return took, int(found[1]) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)).running() as cluster:
        cluster.role("access", logins=["alice"])
        pin = ca_pin(cluster)
        tokens = [make_bot(cluster, "bench", "access")]
        tokens += [new_token(cluster, "bench") for _ in range(BOTS - 1)]
        rate = asyncio.run(renewals([door(cluster, token, pin) for token in tokens]))
        machine = Machine(cluster, "one", make_bot(cluster, "one", "access"))
        found = [first_output(machine) for _ in range(ROUNDS)]
    print(f"| renewals a second of one Auth Service, {BOTS} bots beside it | {rate:.0f} |")
    print(f"| tbot start to the first output, ms | {statistics.median(took for took, _ in found) * 1e3:.0f} |")
    print(f"| memory of an idle tbot, MB (at most 60) | {max(held for _, held in found):.0f} |")


if __name__ == "__main__":
    main()
