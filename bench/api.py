"""The API: certificates handed out, nodes listed, calls and connections a second. Part of `make bench`.

`python -m bench.api --profile` prints where the time of each goes instead.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import datetime as dt
import os
import pstats
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from teleport.api.caller import Caller
from teleport.api.client import AuthClient, over_stream
from teleport.api.pb import login_pb2
from teleport.auth.service import AuthService
from teleport.base import tasks
from teleport.base.append import MemoryFolder
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.model.identity import Identity
from teleport.model.kinds.node import Node
from teleport.model.resource import load
from teleport.net.network import SystemNetwork
from teleport.net.stream import Stream
from teleport.net.tls import client_handshake
from teleport.pki import authority, contexts, issue, keys, x509
from teleport.pki.signer import SignerProcess
from teleport.store.backend import Put
from teleport.store.resources import key_of
from teleport.store.sqlite import SqliteBackend

CLUSTER = "bench.example.com"
HOST = "11111111-2222-4333-8444-555555555555"
NODES = 10_000
USERS = 200
ROUNDS = 3
Row = tuple[str, str]


class World:
    """An Auth Service over SQLite and the signer process, as in production."""

    def __init__(self, backend: SqliteBackend, signer: SignerProcess) -> None:
        self.clock, self.entropy = SystemClock(), SystemEntropy()
        self.backend, self.signer = backend, signer
        self.service = AuthService(
            backend=backend, signer=signer, clock=self.clock, entropy=self.entropy, cluster=CLUSTER, host_id=HOST,
            records=MemoryFolder(), second_factor="off",
        )  # fmt: skip

    def caller(self, name: str, kind: str, *roles: str) -> Caller:
        """Return somebody with a certificate for an hour."""
        expires = (self.clock.now() + dt.timedelta(hours=1)).replace(microsecond=0)
        fields: dict[str, Any] = {"principals": ("root",), "system_roles": roles if kind == "host" else ()}
        return Caller(Identity(name=name, cluster=CLUSTER, kind=kind, roles=roles, expires=expires, **fields))  # type: ignore[arg-type]


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Yield a world in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        signer = SignerProcess(Path(name, "signer"))
        backend = await SqliteBackend.open(Path(name, "store"), SystemClock())
        made = World(backend, signer)
        await made.service.start()
        try:
            yield made
        finally:
            await made.service.close()
            await backend.close()
            await signer.close()


def cpu() -> float:
    """Seconds that this process and its children have computed so far."""
    ticks = 0
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    for process in ("self", *children):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def rate(work: Callable[[int], Awaitable[object]], *, at_once: int, count: int) -> tuple[float, float]:
    """Return how many times `work(worker)` is done in a second, and in a second of computing."""

    async def worker(number: int) -> None:
        for _ in range(count // at_once):
            await work(number)

    computed, began = cpu(), time.perf_counter()
    await asyncio.gather(*(worker(number) for number in range(at_once)))
    return count / (time.perf_counter() - began), count / (cpu() - computed)


async def best(measure: Callable[[], Awaitable[tuple[float, float]]]) -> tuple[float, float]:
    """Return the medians of some rounds after one that does not count."""
    await measure()
    rounds = [await measure() for _ in range(ROUNDS)]
    return statistics.median(r[0] for r in rounds), statistics.median(r[1] for r in rounds)


async def certificates() -> list[Row]:
    """Sign-ins without the password hash: roles, locks, two certificates, three events, two commits each."""
    async with world() as made:
        service = made.service
        await _people(made)

        async def matches(name: str, password: str) -> bool:
            return True

        service._passwords.matches = matches  # type: ignore[method-assign]
        ssh, tls = keys.make_ed25519(made.entropy), keys.make_p256(made.entropy)
        password = str(made.entropy)
        login, proxy = service.methods["/teleport.v1.Login/Login"], made.caller(f"{HOST}.{CLUSTER}", "host", "Proxy")
        public = {
            "ssh_public_key": keys.ssh_line(keys.ssh_blob(ssh.public_key())),
            "tls_public_key": keys.public_pem(tls.public_key()),
        }

        async def sign_in(worker: int) -> None:
            request = login_pb2.LoginRequest(
                user=f"user-{worker}", password=password, client_address="192.0.2.1:1", **public
            )
            await login.run(proxy, request)

        wall, core = await best(lambda: rate(sign_in, at_once=64, count=640))
        return [
            ("certificates handed out, with decision, audit and commit", f"{2 * wall:.0f} /s"),
            ("certificates handed out, per second of computing (signer included)", f"{2 * core:.0f} /s"),
        ]


async def _people(made: World) -> None:
    users = [
        load({"kind": "user", "metadata": {"name": f"user-{n}"}, "spec": {"roles": ["access"]}}) for n in range(USERS)
    ]
    await made.backend.commit(*(made.service.store.put_op(user) for user in users))
    for user in users:
        await made.backend.commit(await made.service._passwords.put_op(user.name, "correct horse battery"))


async def listing() -> list[Row]:
    """10,000 nodes, filtered by label, by a client that may see all of them."""
    async with world() as made:
        store, role = made.service.store, load(
            {
                "kind": "role", "version": "v7", "metadata": {"name": "all"},
                "spec": {"allow": {"logins": ["root"], "node_labels": {"*": "*"}}},
            }
        )  # fmt: skip
        ops = [store.put_op(role)]
        for number in range(NODES):
            labels = {"env": "prod" if number % 10 else "dev", "team": f"t{number % 7}", "host": f"h{number}"}
            node = load(
                {
                    "kind": "node", "metadata": {"name": f"{number:08d}-2222-4333-8444-555555555555", "labels": labels},
                    "spec": {"hostname": f"node-{number}", "addr": "192.0.2.1:3022"},
                }
            )  # fmt: skip
            ops.append(store.put_op(node))
        for at in range(0, len(ops), 500):
            await made.backend.commit(*ops[at : at + 500])
        assert key_of(Node.info, "x")
        rows = []
        async with _client(made, made.caller("alice", "human", "all")) as client:
            for title, how in (
                ("by label, 1,000 found", {"labels": {"env": "dev"}}),
                ("by predicate, 1,000 found", {"query": 'labels["env"] == "dev"'}),
                ("by search, 1 found", {"search": ["node-4711"]}),
                ("all", {}),
            ):
                times = []
                for _ in range(ROUNDS + 1):
                    began, computed = time.perf_counter(), time.process_time()
                    found = [entry async for entry in client.list("node", **how)]  # type: ignore[arg-type]
                    times.append((time.perf_counter() - began, time.process_time() - computed))
                assert found
                wall, computing = (statistics.median(column) * 1e3 for column in zip(*times[1:], strict=True))
                rows.append((f"list of 10,000 nodes, {title}", f"{wall:.0f} ms, {computing:.0f} ms of computing"))
        return rows


@asynccontextmanager
async def _client(made: World, caller: Caller) -> AsyncIterator[AuthClient]:
    """A client in memory."""
    from teleport.net.memory import memory_pair

    async def dial() -> Stream:
        ours, theirs = memory_pair()
        serving.append(tasks.spawn(made.service.serve(ours, caller), name="serve", on_error=print))
        return theirs

    serving: list[asyncio.Task[None]] = []
    async with AuthClient(over_stream(dial)) as client:
        yield client
    await asyncio.wait(serving)


async def calls() -> list[Row]:
    """Small calls over mTLS on loopback, client and server in this process; new connections likewise."""
    async with world() as made:
        context, own = await _contexts(made)
        network = SystemNetwork()
        listener = await network.listen("127.0.0.1:0", made.service.door(context).serve)

        async def dial() -> Stream:
            return await client_handshake(await network.dial(listener.address), own)

        async def connect(_: int) -> None:
            async with AuthClient(over_stream(dial)) as fresh:
                await fresh.ping()

        async with AuthClient(over_stream(dial)) as client:
            ping, _ = await best(lambda: rate(lambda _: client.ping(), at_once=1, count=400))
            many, _ = await best(lambda: rate(lambda _: client.ping(), at_once=32, count=1600))
            get, _ = await best(lambda: rate(lambda _: client.get("role", "access"), at_once=32, count=960))
            async with aclosing(client.watch("role")) as changes:
                await anext(changes)
                value = (await made.backend.get("/roles/access")).value

                async def change(_: int) -> None:
                    await made.backend.commit(*(Put("/roles/access", value) for _ in range(1)))

                async def follow() -> tuple[float, float]:
                    began = time.perf_counter()
                    await asyncio.gather(*(change(0) for _ in range(500)))
                    for _ in range(500):
                        await anext(changes)
                    return 500 / (time.perf_counter() - began), 0.0

                followed, _ = await best(follow)
        fresh, _ = await best(lambda: rate(connect, at_once=8, count=160))
        await listener.close(0.0)
        return [
            ("Ping, one after the other", f"{ping:.0f} /s"),
            ("Ping, 32 under way", f"{many:.0f} /s"),
            ("Get of a role, with decision, 32 under way", f"{get:.0f} /s"),
            ("changes through a watch, with commit and decision", f"{followed:.0f} /s"),
            ("new mTLS connections with one call each", f"{fresh:.0f} /s"),
        ]


async def _contexts(made: World) -> tuple[Any, Any]:
    service, now = made.service, made.clock.now()

    async def certify(caller: Caller, kind: str) -> tuple[str, str]:
        key = keys.make_p256(made.entropy)
        der = await issue.tls_certificate(
            made.signer, await service.authorities.own(kind), caller.known(), spki=keys.spki(key.public_key()), now=now,
            entropy=made.entropy,
        )  # fmt: skip
        return x509.pem(der), keys.private_pem(key).decode()

    every = await service.authorities.every()
    hosts, users = list(authority.trusted_tls(every, "host")), list(authority.trusted_tls(every, "user"))
    certificate, key = await certify(made.caller(f"{HOST}.{CLUSTER}", "host", "Auth"), "host")
    server = contexts.server_context(
        certificate=certificate, key=key, client_authorities=[*hosts, *users], client_required=False, alpn=("h2",)
    )
    certificate, key = await certify(made.caller("alice", "human", "editor"), "user")
    return server, contexts.client_context(host_authorities=hosts, certificate=certificate, key=key, alpn=("h2",))


PARTS = (certificates, listing, calls)


def rows() -> list[Row]:
    """Measure everything."""
    return [row for part in PARTS for row in asyncio.run(part())]


def main() -> None:
    """Print the figures, or profiles."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("parts", nargs="*", choices=[[], *(part.__name__ for part in PARTS)])
    options = parser.parse_args()
    for part in PARTS:
        if options.parts and part.__name__ not in options.parts:
            continue
        profile = cProfile.Profile()
        if options.profile:
            profile.enable()
        found = asyncio.run(part())
        profile.disable()
        for what, figure in found:
            print(f"| {what} | {figure} |")
        if options.profile:
            pstats.Stats(profile).sort_stats("tottime").print_stats(35)


if __name__ == "__main__":
    main()
