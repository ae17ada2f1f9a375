"""CA pins, and a join over TLS from end to end without a certificate."""

from __future__ import annotations

import asyncio
import io
import ssl

import pytest

from teleport.api.join_messages import Asked
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import TeleportError
from teleport.client.joining.join import join
from teleport.client.joining.pins import roots
from teleport.client.joining.token import TokenMethod
from teleport.net import tls
from teleport.net.stream import Stream
from teleport.pki import check, contexts, x509
from tests.support.auth_cluster import CLUSTER, document_of, public_keys
from tests.support.auth_door import OpenDoor, open_door
from tests.support.log_lines import said

__all__ = ["said"]

TOKEN = "0123456789abcdef0123456789abcdef"


async def _open(door: OpenDoor, context: ssl.SSLContext) -> Stream:
    return await tls.client_handshake(await door.network.dial(door.address), context)


async def _pins(door: OpenDoor) -> list[str]:
    return [x509.pin(der) for der in await door.authorities()]


def test_who_knows_the_pin_joins_over_tls() -> None:
    async def story() -> None:
        async with open_door() as door:
            cluster = door.cluster
            await cluster.admin.create(document_of("token", TOKEN, {"roles": ["Node"]}))
            now = cluster.clock.now()
            found = await roots(lambda context: _open(door, context), await _pins(door), now=now)
            assert list(found) == await door.authorities()
            context = contexts.client_context(host_authorities=found, alpn=("h2",))
            asked = Asked(token=TOKEN, host_name="n1", **public_keys(SeededEntropy(1)))
            joined = await join(lambda: _open(door, context), asked, TokenMethod())
            identity = check.check_x509(
                x509.encode(x509.parse(joined.certificates.tls_certificate.encode())), now=cluster.clock.now(),
                authorities=await cluster.service.authorities.every(), source_ip="", cluster=CLUSTER,
            )  # fmt: skip
            assert identity.name == f"{joined.host_id}.{CLUSTER}"
            (event,) = await cluster.events("instance.join")
            assert event["addr.remote"].startswith("127.0.0.1:")

    asyncio.run(story())


def test_every_authority_must_be_pinned_and_valid() -> None:
    async def story() -> None:
        async with open_door() as door:
            now, open_ = door.cluster.clock.now(), lambda context: _open(door, context)
            for pins, code, moment in (
                (["sha256:" + "0" * 64], "CLIENT-CA-PIN", now),
                (["sha256:12"], "CLIENT-CA-PIN-FORM", now),
                (["md5:" + "0" * 64], "CLIENT-CA-PIN-FORM", now),
                (await _pins(door), "CLIENT-CA-TIME", now.replace(year=now.year + 200)),
            ):
                with pytest.raises(TeleportError) as caught:
                    await roots(open_, pins, now=moment)
                assert caught.value.code == code
            assert await roots(open_, [(await _pins(door))[0].upper()], now=now)

    asyncio.run(story())


def test_without_pins_a_warning_says_what_that_means(said: io.StringIO) -> None:
    async def story() -> None:
        async with open_door() as door:
            now, open_ = door.cluster.clock.now(), lambda context: _open(door, context)
            await roots(open_, (), now=now)
            assert "MITM" in said.getvalue()
            await roots(open_, ["sha256:" + "0" * 64], now=now, insecure=True)
            assert "--insecure" in said.getvalue()

    asyncio.run(story())
