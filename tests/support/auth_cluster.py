"""A control plane in memory: backend, signer, clock, and clients for any caller over memory streams."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

from teleport.api.caller import Caller
from teleport.api.client import AuthClient, over_stream
from teleport.auth.join.cloud_roots import CloudRoots
from teleport.auth.join.clouds import Clouds
from teleport.auth.join.token_review import Reviewer
from teleport.auth.passwords import Cost
from teleport.auth.service import AuthService
from teleport.base import tasks
from teleport.base.append import MemoryFolder
from teleport.base.clock import ManualClock
from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import Unavailable
from teleport.client.joining.iam import credentials
from teleport.model.events.base import document
from teleport.model.identity import Identity
from teleport.model.kinds.token import Token
from teleport.model.resource import Resource, load
from teleport.net.fetch import Answer, Fetch
from teleport.net.memory import memory_pair
from teleport.net.stream import Stream
from teleport.pki import keys
from teleport.pki.signer import MemorySigner
from teleport.store.audit.search import Query
from teleport.store.backend import Item, Op, Revision
from teleport.store.memory import MemoryBackend
from teleport.store.recordings.index_shelf import IndexShelf

CLUSTER = "example.com"
START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
CHEAP = Cost(memory_kib=64, passes=1, lanes=1)
PASSWORD = "correct horse battery"
HOST_UUID = "11111111-2222-4333-8444-555555555555"


class YieldingBackend(MemoryBackend):
    """Lets others run before every operation, as a disk does: what is not held together falls apart."""

    async def get(self, key: str) -> Item:
        await asyncio.sleep(0)
        return await super().get(key)

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> AsyncIterator[Item]:
        await asyncio.sleep(0)
        async for item in super().scan(prefix, after=after, limit=limit):
            yield item

    async def commit(self, *ops: Op) -> Revision:
        await asyncio.sleep(0)
        return await super().commit(*ops)


class Cluster:
    """A running AuthService."""

    def __init__(self, second_factor: Literal["otp", "off"] = "off", clock: Any = None, seed: int = 7) -> None:
        """`clock`: one that moves by itself, in place of the one that tests move. Another `seed`, other keys."""
        self.second_factor = second_factor
        self.clock: Any = clock or ManualClock(START)
        self.entropy = SeededEntropy(seed)
        self.backend = YieldingBackend(self.clock)
        self.signer = MemorySigner(self.entropy)
        self.records = MemoryFolder()
        self.indexes = MemoryDisk()
        self.static_tokens: tuple[Token, ...] = ()
        self.reviewer: Reviewer | None = None
        self.environment: dict[str, str] = {}
        self.disk = MemoryDisk()
        """Where the Auth Service finds the certificates of clouds, as `environment` says; `/roots`: the system's."""
        self.fetch: Fetch = _nobody_answers
        """What the Auth Service asks about proofs of join methods."""
        self.service = self.build()
        self._clients: list[AuthClient] = []
        self._serving: set[asyncio.Task[None]] = set()
        self.failures: list[BaseException] = []

    def build(self) -> AuthService:
        """Make a service over the same backend and signer."""
        return AuthService(
            backend=self.backend, signer=self.signer, clock=self.clock, entropy=self.entropy, cluster=CLUSTER,
            host_id="auth-1", records=self.records, password_cost=CHEAP, second_factor=self.second_factor,
            indexes=IndexShelf(self.indexes, "/records"), static_tokens=self.static_tokens,
            clouds=Clouds(
                CloudRoots(self.environment, self.disk, ("/roots",)), credentials(self.environment, self._fetch),
                self.reviewer,
            ),
            fetch=self._fetch,
        )  # fmt: skip

    async def _fetch(self, url: str, **more: Any) -> Answer:
        return await self.fetch(url, **more)

    async def restart(self) -> None:
        """End the service and start another over the same store, with what this object says now."""
        await self.service.close()
        self.service = self.build()
        await self.service.start()

    def client(self, caller: Caller) -> AuthClient:
        """Return a client whose calls are made as `caller`."""

        async def dial() -> Stream:
            ours, theirs = memory_pair()
            task = tasks.spawn(self.service.serve(ours, caller), name="serve", on_error=self.failures.append)
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
            return theirs

        client = AuthClient(over_stream(dial))
        self._clients.append(client)
        return client

    @property
    def admin(self) -> AuthClient:
        """The local administrator."""
        return self.client(Caller(self.identity("admin@test", kind="admin", roles=("Admin",)), "local:uid=0,pid=1"))

    @property
    def proxy(self) -> AuthClient:
        """The proxy, which signs people in."""
        return self.client(self.host("Proxy"))

    def host(self, *roles: str, uuid: str = HOST_UUID) -> Caller:
        """Return a service of the cluster as caller."""
        return Caller(self.identity(f"{uuid}.{CLUSTER}", kind="host", roles=roles[:1], system_roles=roles))

    def user(self, name: str, *roles: str, logins: tuple[str, ...] = ("root",), **more: Any) -> Caller:
        """Return a person with a certificate as caller."""
        return Caller(self.identity(name, roles=roles, principals=logins, **more), "192.0.2.9:4000")

    def identity(self, name: str, **fields: Any) -> Identity:
        """Return an identity that is valid for a day."""
        expires = self.clock.now().replace(microsecond=0) + dt.timedelta(days=1)
        return Identity(name=name, cluster=CLUSTER, expires=expires, **fields)

    async def make_user(self, name: str, *roles: str, logins: tuple[str, ...] = (), password: str = PASSWORD) -> None:
        """Create a user with a password, as people do."""
        await self.admin.create(user(name, *roles, logins=logins))
        invite = await self.admin.create_invite(name)
        await self.proxy.complete_invite(invite.token, password)

    async def events(self, *types: str) -> list[dict[str, Any]]:
        """Return audit events of these types, oldest first, straight from the log."""
        page = await self.service.audit_log.search(Query(types=frozenset(types), newest_first=False, limit=1000))
        return [document(entry.event) for entry in page.entries]

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        await self.service.close()
        while self._serving:
            await asyncio.wait(self._serving)
        await self.signer.close()
        await self.backend.close()


async def _nobody_answers(url: str, **more: Any) -> Answer:
    raise Unavailable("NET-FETCH", url=url, problem="this test has no network")


@asynccontextmanager
async def running(
    second_factor: Literal["otp", "off"] = "off", clock: Any = None, seed: int = 7
) -> AsyncIterator[Cluster]:
    """Yield a cluster after its first start; closes everything and fails on what went wrong unseen."""
    cluster = Cluster(second_factor, clock, seed)
    await cluster.service.start()
    try:
        yield cluster
    finally:
        await cluster.close()
    assert cluster.failures == []


def run(story: Callable[[Cluster], Awaitable[None]], second_factor: Literal["otp", "off"] = "off") -> None:
    """Run a story against a fresh cluster."""

    async def body() -> None:
        async with asyncio.timeout(60), running(second_factor) as cluster:
            await story(cluster)

    asyncio.run(body())


def document_of(kind: str, name: str, spec: Mapping[str, Any] | None = None, **metadata: Any) -> Resource[Any]:
    """Return a resource from its document."""
    return load({"kind": kind, "metadata": {"name": name, **metadata}, "spec": dict(spec or {})})


def user(name: str, *roles: str, logins: tuple[str, ...] = ()) -> Resource[Any]:
    """Return a user."""
    return document_of("user", name, {"roles": list(roles), "traits": {"logins": list(logins)} if logins else {}})


def role(name: str, **allow: Any) -> Resource[Any]:
    """Return a role that allows these fields."""
    deny = allow.pop("deny", {})
    options = allow.pop("options", {})
    spec = {"allow": allow, "deny": deny, "options": options}
    return load({"kind": "role", "version": "v7", "metadata": {"name": name}, "spec": spec})


def rule(resources: str, verbs: str, where: str = "") -> dict[str, Any]:
    """Return a rule from words separated by blanks."""
    made: dict[str, Any] = {"resources": resources.split(), "verbs": verbs.split()}
    return {**made, "where": where} if where else made


def node(name: str, hostname: str = "", **labels: str) -> Resource[Any]:
    """Return a node."""
    return document_of("node", name, {"hostname": hostname or name, "addr": "127.0.0.1:3022"}, labels=labels)


def public_keys(entropy: SeededEntropy) -> dict[str, Any]:
    """Return fresh public keys in the form of a sign-in."""
    ssh, tls = keys.make_ed25519(entropy), keys.make_p256(entropy)
    return {
        "ssh_public_key": keys.ssh_line(keys.ssh_blob(ssh.public_key())),
        "tls_public_key": _pem(keys.spki(tls.public_key())),
    }


def _pem(spki: bytes) -> str:
    body = base64.encodebytes(spki).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{body}-----END PUBLIC KEY-----\n"
