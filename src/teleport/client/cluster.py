"""A connection to the auth service through the proxy, with the certificate of a profile.

The proxy sees TLS to a name it does not serve itself and passes it on unopened; both ends prove their
certificates to each other, whatever address was dialled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from teleport.api.client import AuthClient, over_stream
from teleport.client.profile import MAX_FILE, Home, Profile
from teleport.net import tls
from teleport.net.network import Network
from teleport.net.stream import Stream
from teleport.pki import contexts, x509


@asynccontextmanager
async def connect(home: Home, profile: Profile, network: Network) -> AsyncIterator[AuthClient]:
    """Yield a client of the profile's cluster. Raises Unavailable and NotAuthenticated (NET-*)."""
    files, disk = home.files(profile), home.disk
    bundle = disk.read(files.cluster_authorities, limit=MAX_FILE).decode()
    context = contexts.client_context(
        host_authorities=x509.split_pem(bundle),
        certificate=disk.read(files.tls_certificate, limit=MAX_FILE).decode(),
        key=disk.read(files.tls_key, limit=MAX_FILE, private=True).decode(),
        alpn=(auth_protocol(profile.cluster),),
    )

    async def dial() -> Stream:
        stream = await network.dial(profile.web_proxy_addr)
        return await tls.client_handshake(stream, context, server_name=x509.CLUSTER_NAME)

    async with AuthClient(over_stream(dial)) as client:
        yield client


def auth_protocol(cluster: str) -> str:
    """Return the ALPN name with which the proxy passes a connection on to the auth service of `cluster`."""
    return "teleport-auth@" + cluster.encode().hex()
