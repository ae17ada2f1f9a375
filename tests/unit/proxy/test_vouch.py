"""Vouch: what one proxy signs, the Auth Service and another proxy believe; what a stranger signs, nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from teleport.base.clock import ManualClock
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.net.memory import memory_pair
from teleport.net.stream import Peer
from teleport.pki import client_address, keys
from teleport.proxy.vouch import Vouch
from teleport.wire.proxy_header import parse
from tests.support import virtual_loop
from tests.support.authorities import NOW, Cluster, cluster

HOME, OTHER = cluster(), cluster(seed=2)


class View:
    """What a proxy knows of its cluster."""

    def __init__(self, authorities: Sequence[CertAuthority]) -> None:
        self._authorities = authorities

    def authorities(self) -> Sequence[CertAuthority]:
        return self._authorities


def vouch(issuer: Cluster) -> Vouch:
    key = keys.make_p256(issuer.entropy)
    identity = issuer.host_identity(roles=("Proxy",), system_roles=("Proxy",))
    view: Any = View(HOME.both)
    certificate = issuer.tls(identity, key.public_key())
    return Vouch(lambda: (key, certificate), cluster=view, name=HOME.name, clock=ManualClock(NOW))


OURS, STRANGER = vouch(HOME), vouch(OTHER)


def introduced(by: Vouch, client: str = "203.0.113.9:5001") -> bytes:
    async def story() -> bytes:
        near, far = memory_pair(peers=(Peer(client), Peer("10.0.0.1:3025")))
        return by.introduce(near, far)

    return virtual_loop.run(story())


def arrives(data: bytes) -> str:
    async def story() -> str:
        near, far = memory_pair(peers=(Peer("10.0.0.2:9"), Peer("10.0.0.1:3080")))
        await far.write(data + b"hello")
        arrived = await OURS.headers("off").receive(near)
        return arrived.peer.address if arrived is not None else ""

    return virtual_loop.run(story())


def test_the_header_says_who_the_client_is_and_is_signed() -> None:
    header = parse(introduced(OURS))
    assert header.source is not None
    assert (header.source.host, header.source.port) == ("203.0.113.9", 5001)
    client_address.check(header, authorities=HOME.both, now=NOW, cluster=HOME.name)


def test_another_proxy_believes_it_and_no_stranger() -> None:
    assert arrives(introduced(OURS)) == "203.0.113.9:5001"
    assert arrives(introduced(STRANGER)) == ""


def test_a_client_in_memory_has_no_address_to_tell() -> None:
    assert introduced(OURS, "memory") == b""
