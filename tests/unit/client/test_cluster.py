"""A client's connection to the Auth Service: whatever is dialled, both sides prove who they are."""

import asyncio
import datetime as dt

import pytest

from teleport.base.clock import SystemClock
from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter, NotAuthenticated, NotFound, TeleportError, Unavailable
from teleport.client.cluster import auth_protocol, connect
from teleport.client.login import sign_in
from teleport.client.profile import Home
from teleport.net import tls
from teleport.net.network import SystemNetwork
from teleport.pki import authority, contexts, keys, x509
from tests.support import authorities
from tests.support.signed_in import SETTINGS, Proxy

HOUR = dt.timedelta(hours=1)


def now():
    return SystemClock().now()  # OpenSSL checks the handshake by the machine's clock


@pytest.fixture(scope="module")
def cluster():
    return authorities.cluster(now=now() - HOUR)


def signed_in(cluster, address):
    proxy = Proxy(cluster, now=now())
    proxy.identity = {"expires": (now() + HOUR).replace(microsecond=0)}
    proxy.address = address
    home = Home("/tsh", MemoryDisk())
    return home, sign_in(home, proxy, SETTINGS, user="alice", password="pw", entropy=SeededEntropy(3))


def server_context(cluster, *, role="Auth", trusted=None):
    key = keys.make_p256(SeededEntropy(9))
    host = cluster.host_identity(roles=(role,), expires=(now() + HOUR).replace(microsecond=0))
    certificate = cluster.tls(host, key.public_key(), now=now())
    return contexts.server_context(
        certificate=x509.pem(certificate),
        key=keys.private_pem(key).decode(),
        client_authorities=authority.trusted_tls((trusted or cluster).both, "user"),
        client_required=True,
        alpn=(auth_protocol("example.com"), "h2"),
    )


def meet(cluster, context):
    """Call a server that only says who it saw; return that, and how the call failed."""
    return asyncio.run(_meet(*signed_in(cluster, "127.0.0.1:1"), context))


async def _meet(home, profile, context):
    seen = []

    async def serve(stream):
        try:
            opened = await tls.server_handshake(stream, context)
        except TeleportError as error:
            seen.append(error)
            return
        seen.append(opened.peer)
        await opened.close()

    network = SystemNetwork(timeout=5)
    listener = await network.listen("127.0.0.1:0", serve)
    try:
        profile = profile._replace(web_proxy_addr=listener.address)
        async with connect(home, profile, network) as client:
            with pytest.raises(TeleportError) as caught:
                await client.ping()
    finally:
        await listener.close()
    return seen[0], caught.value


def test_both_sides_see_each_other(cluster):
    peer, error = meet(cluster, server_context(cluster))
    assert b"alice" in peer.certificate
    assert peer.alpn == auth_protocol("example.com")
    assert peer.server_name == x509.CLUSTER_NAME
    assert error.code == "API-UNAVAILABLE"


def test_server_of_another_cluster_is_not_believed(cluster):
    other = authorities.cluster("example.com", seed=77, now=now() - HOUR)
    _, error = meet(cluster, server_context(other, trusted=cluster))
    assert isinstance(error, (NotAuthenticated, Unavailable))
    assert error.code.startswith("NET-TLS")


def test_node_is_not_believed_to_be_the_auth_service(cluster):
    _, error = meet(cluster, server_context(cluster, role="Node"))
    assert error.code.startswith("NET-TLS")


def test_client_that_the_server_does_not_know_is_told_so(cluster):
    other = authorities.cluster("example.com", seed=77, now=now() - HOUR)
    refused, error = meet(cluster, server_context(cluster, trusted=other))
    assert isinstance(refused, NotAuthenticated)
    assert isinstance(error, TeleportError)


def test_nobody_answers(cluster):
    home, profile = signed_in(cluster, "127.0.0.1:1")

    async def story():
        async with connect(home, profile, SystemNetwork(timeout=1)) as client:
            await client.ping()

    with pytest.raises(Unavailable):
        asyncio.run(story())


@pytest.mark.parametrize("file", ["tls_key", "tls_certificate", "cluster_authorities"])
@pytest.mark.parametrize("content", [None, b"nonsense"])
def test_missing_and_damaged_files_are_told(cluster, file, content):
    home, profile = signed_in(cluster, "127.0.0.1:1")
    path = getattr(home.files(profile), file)
    home.disk.remove(path)
    if content is not None:
        home.disk.write(path, content)

    async def story():
        async with connect(home, profile, SystemNetwork(timeout=1)) as client:
            await client.ping()

    with pytest.raises((BadParameter, NotFound)):
        asyncio.run(story())


def test_protocol_says_which_cluster_is_meant():
    assert auth_protocol("a.b") == "teleport-auth@612e62"


def attempts(cluster, *servers):
    """Ask servers: `True` is one of the cluster, `False` hangs up. Return how many were greeted, and the error."""
    home, profile = signed_in(cluster, "127.0.0.1:1")
    context = server_context(cluster)

    async def story():
        greeted = []

        async def serve(stream):
            opened = await tls.server_handshake(stream, context)
            greeted.append(opened.peer)
            await opened.close()

        async def silent(stream):
            await stream.close()

        network = SystemNetwork(timeout=5)
        good, bad = await network.listen("127.0.0.1:0", serve), await network.listen("127.0.0.1:0", silent)
        addresses = {True: good.address, False: bad.address}
        try:
            listed = [addresses[server] if isinstance(server, bool) else server for server in servers]
            async with connect(home, profile, network, listed) as client:
                with pytest.raises(TeleportError) as caught:
                    await client.ping()
        finally:
            await good.close()
            await bad.close()
        return len(greeted), caught.value

    return asyncio.run(story())


def test_s0_34_servers_are_tried_in_their_order_until_one_answers(cluster):
    """S0-34: a port where nobody listens, one that hangs up, and one of the cluster."""
    greeted, error = attempts(cluster, "127.0.0.1:1", False, True)
    assert (greeted, error.code) == (1, "API-UNAVAILABLE")  # the test's server ends there


def test_s0_34_the_error_lists_every_attempt(cluster):
    greeted, error = attempts(cluster, "127.0.0.1:1", False)
    assert (greeted, error.code) == (0, "CLIENT-NO-SERVER")
    assert "127.0.0.1:1: " in error.what
    assert "(NET-REFUSED); 127.0.0.1:" in error.what
    assert error.what.count("(NET-") == 2


def test_one_server_is_named_by_its_own_error(cluster):
    _, error = attempts(cluster, "127.0.0.1:1")
    assert error.code == "NET-REFUSED"
