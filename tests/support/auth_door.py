"""A control plane behind its TLS port on loopback, and certificates for whoever shall knock."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from teleport.api.client import AuthClient, over_stream
from teleport.auth.door import Limits
from teleport.base.clock import SystemClock
from teleport.model.identity import Identity
from teleport.net import tls
from teleport.net.network import SystemNetwork
from teleport.net.stream import Stream
from teleport.pki import authority, contexts, issue, keys, x509
from tests.support.auth_cluster import CLUSTER, HOST_UUID, Cluster, running

LONG_AGO = dt.timedelta(days=2)


class Pair(NamedTuple):
    """A certificate and its key, PEM."""

    certificate: str
    key: str


class OpenDoor:
    """The port, on the machine's clock: OpenSSL judges certificates by it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.network = SystemNetwork()
        self.address = ""

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    async def certify(self, identity: Identity, *, now: dt.datetime | None = None, **names: Any) -> Pair:
        """Sign a certificate of this cluster, whatever it says."""
        service, entropy = self.cluster.service, self.cluster.entropy
        if not identity.principals:
            identity = Identity(**{**_fields(identity), "principals": (identity.name,)})
        key = keys.make_p256(entropy)
        der = await issue.tls_certificate(
            self.cluster.signer, await service.authorities.own("host" if identity.is_host else "user"), identity,
            spki=keys.spki(key.public_key()), now=now or self.cluster.clock.now(), entropy=entropy, **names,
        )  # fmt: skip
        return Pair(x509.pem(der), keys.private_pem(key).decode())

    async def user(self, name: str = "alice", *roles: str) -> Pair:
        """Return a user's certificate."""
        return await self.certify(self.cluster.user(name, *(roles or ("editor",))).known())

    async def node(self) -> Pair:
        """Return a host's certificate."""
        return await self.certify(self.cluster.host("Node").known())

    async def expired(self) -> Pair:
        """Return a user's certificate of long ago."""
        past = self.cluster.clock.now() - LONG_AGO
        identity = self.cluster.identity("alice", roles=("editor",), principals=("root",))
        ended = Identity(**{**_fields(identity), "expires": past.replace(microsecond=0) + dt.timedelta(hours=1)})
        return await self.certify(ended, now=past)

    async def authorities(self) -> list[bytes]:
        """Return the certificates that sign the services', DER."""
        return list(authority.trusted_tls(await self.cluster.service.authorities.every(), "host"))

    async def context(self, pair: Pair | None) -> ssl.SSLContext:
        """Return a client's TLS context."""
        shown = {"certificate": pair.certificate, "key": pair.key} if pair else {}
        return contexts.client_context(host_authorities=await self.authorities(), alpn=("h2",), **shown)

    async def open(self, pair: Pair | None) -> Stream:
        """Connect up to the end of the client's part of the handshake."""
        return await tls.client_handshake(await self.network.dial(self.address), await self.context(pair))

    def client(self, pair: Pair | None) -> AuthClient:
        """Return a client that shows a certificate, or none."""
        client = AuthClient(over_stream(lambda: self.open(pair)))
        self.cluster._clients.append(client)
        return client

    def write(self, folder: Path, name: str, pair: Pair) -> list[str]:
        """Write a pair as files; return their paths."""
        paths = [folder / f"{name}.crt", folder / f"{name}.key"]
        for path, text in zip(paths, pair, strict=True):
            path.write_text(text)
        return [str(path) for path in paths]


def _fields(identity: Identity) -> dict[str, Any]:
    return {name: getattr(identity, name) for name in identity.__struct_fields__}


@asynccontextmanager
async def open_door(limits: Limits | None = None, *, seed: int = 7) -> AsyncIterator[OpenDoor]:
    """Yield a door; everything is closed after it."""
    async with running(clock=SystemClock(), seed=seed) as cluster:
        door = OpenDoor(cluster)
        own = await door.certify(cluster.host("Auth").known(), names=(HOST_UUID, "localhost"))
        trusted = await cluster.service.authorities.every()
        roots = [*authority.trusted_tls(trusted, "user"), *authority.trusted_tls(trusted, "host")]
        context = contexts.server_context(
            certificate=own.certificate, key=own.key, client_authorities=roots, client_required=False,
            alpn=(f"teleport-auth@{CLUSTER.encode().hex()}", "h2"),
        )  # fmt: skip
        listener = await door.network.listen("127.0.0.1:0", cluster.service.door(context, limits).serve)
        door.address = listener.address
        try:
            yield door
        finally:
            await listener.close(0.0)
