"""A connection to the auth service through the proxy, with the certificate of a profile.

The proxy sees TLS to a name it does not serve itself and passes it on unopened; both ends prove their
certificates to each other, whatever address was dialled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from teleport.api.client import AuthClient, over_stream
from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.base.log import logger
from teleport.client.profile import MAX_FILE, Home, Profile
from teleport.client.way import way
from teleport.net.network import Network
from teleport.net.stream import Stream
from teleport.pki import contexts, x509

log = logger("CLIENT")


@asynccontextmanager
async def connect(
    home: Home, profile: Profile, network: Network, servers: Sequence[str] = (), *, entropy: Entropy | None = None
) -> AsyncIterator[AuthClient]:
    """Yield a client of the profile's cluster.

    `servers` are addresses (`host:port`) of Auth Services and proxies, tried in their order each time a connection is
    opened; without any, the profile's proxy. Calls raise Unavailable and NotAuthenticated (NET-*), or for several
    servers of which none answers, Unavailable (CLIENT-NO-SERVER) with what each attempt ended with.
    """
    files, disk = home.files(profile), home.disk
    bundle = disk.read(files.cluster_authorities, limit=MAX_FILE).decode()
    context = contexts.client_context(
        host_authorities=x509.split_pem(bundle),
        certificate=disk.read(files.tls_certificate, limit=MAX_FILE).decode(),
        key=disk.read(files.tls_key, limit=MAX_FILE, private=True).decode(),
    )

    addresses = servers or (profile.web_proxy_addr,)
    known = {profile.web_proxy_addr: True if profile.upgraded else None}
    ways = {
        each: way(each, home.between, upgrade=known.get(each), network=network, entropy=entropy) for each in addresses
    }

    async def dial_one(address: str) -> Stream:
        return await ways[address].open((auth_protocol(profile.cluster),), context, x509.CLUSTER_NAME)

    async def dial() -> Stream:
        return await first_of(addresses, dial_one)

    async with AuthClient(over_stream(dial)) as client:
        yield client


async def first_of(servers: Sequence[str], dial: Callable[[str], Awaitable[Stream]]) -> Stream:
    """Return a connection to the first server that gives one. Raises what `dial` raises, and for several servers
    Unavailable (CLIENT-NO-SERVER) with what each attempt ended with."""
    attempts: list[tuple[str, TeleportError]] = []
    for address in servers:
        try:
            stream = await dial(address)
        except TeleportError as error:
            log.debug("A server was not reached", address=address, error=error)
            attempts.append((address, error))
            continue
        log.debug("Connected", address=address, attempts=len(attempts) + 1)
        return stream
    if len(attempts) == 1:
        raise attempts[0][1]
    told = "; ".join(f"{address}: {error.what} ({error.code})" for address, error in attempts)
    raise Unavailable("CLIENT-NO-SERVER", count=len(attempts), attempts=told)


def auth_protocol(cluster: str) -> str:
    """Return the ALPN name with which the proxy passes a connection on to the auth service of `cluster`."""
    return "teleport-auth@" + cluster.encode().hex()
