"""Asking a proxy what it is, on real sockets, and why an address does not answer."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any

import pytest

from teleport.base import tasks
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import Unavailable
from teleport.bot.web_find import WebFind, _covers
from teleport.net import tls
from teleport.net.network import SystemNetwork
from teleport.net.stream import Stream
from teleport.net.upgrade import PROBE_ALPN
from tests.support.ports import free_ports
from tests.support.tls import Authority

FOUND = {"proxy": {"ssh": {}}}


def find(insecure: bool = True) -> WebFind:
    return WebFind(network=SystemNetwork(), entropy=SeededEntropy(1), environment={}, insecure=insecure)


def asked(context: ssl.SSLContext | None, body: bytes, *, insecure: bool = True, head: str = "200 OK") -> Any:
    """Ask a server that answers everything with `body`."""

    async def serve(stream: Stream) -> None:
        opened = stream if context is None else await tls.server_handshake(stream, context)
        try:
            question = await opened.read()
            assert context is None or not question or question.startswith(b"GET /webapi/find HTTP/1.1\r\n")
            await opened.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        finally:
            await opened.close()

    async def main() -> Mapping[str, Any]:
        listener = await SystemNetwork(on_error=lambda error: None).listen("127.0.0.1:0", serve)
        serving = tasks.spawn(listener.serve_forever(), name="server", on_error=lambda error: None)
        try:
            return await find(insecure).ask(listener.address)
        finally:
            await tasks.cancel(serving)
            await listener.close()

    return asyncio.run(main())


def why(*arguments: Any, **more: Any) -> str:
    with pytest.raises(Unavailable) as caught:
        asked(*arguments, **more)
    assert caught.value.code == "BOT-PROXY-FIND"
    return caught.value.what.replace(caught.value.fields["address"], "HOST")


def test_a_proxy_says_what_it_is():
    """S1-57."""
    assert asked(Authority().server(), json.dumps(FOUND).encode()) == FOUND


def test_a_certificate_without_addresses_is_not_for_one():
    """S1-03, S1-22: the words of the reference, before its issuer is looked at."""
    said = why(Authority().server(), b"", insecure=False)
    assert said == (
        'Get "https://HOST/webapi/find": x509: cannot validate certificate for 127.0.0.1 because it doesn\'t contain '
        "any IP SANs"
    )


def test_what_answers_otherwise_is_told():
    server = Authority().server()
    assert why(server, b"{").endswith(": the answer is not that of a proxy")
    assert why(server, b"[]").endswith(": the answer is not that of a proxy")
    assert why(server, b"", head="404 Not Found").endswith(": unexpected HTTP status 404")
    assert why(None, b"").startswith('Get "https://HOST/webapi/find": ')


def test_what_ends_tls_before_the_proxy_is_noticed():
    async def looked(context: ssl.SSLContext) -> bool:
        async def serve(stream: Stream) -> None:
            opened = await tls.server_handshake(stream, context)
            await opened.read()
            await opened.close()

        listener = await SystemNetwork(on_error=lambda error: None).listen("127.0.0.1:0", serve)
        serving = tasks.spawn(listener.serve_forever(), name="server", on_error=lambda error: None)
        try:
            return await find().upgraded(listener.address)
        finally:
            await tasks.cancel(serving)
            await listener.close()

    assert asyncio.run(looked(Authority().server()))
    assert not asyncio.run(looked(Authority().server(alpn=(PROBE_ALPN,))))
    assert not asyncio.run(find().upgraded(f"127.0.0.1:{free_ports(1)[0]}"))


def test_nobody_answers():
    """S1-56."""
    port = free_ports(1)[0]
    with pytest.raises(Unavailable) as caught:
        asyncio.run(find().ask(f"127.0.0.1:{port}"))
    assert caught.value.what == (
        f'Get "https://127.0.0.1:{port}/webapi/find": dial tcp 127.0.0.1:{port}: connect: connection refused'
    )


def test_names_of_certificates_are_compared_as_they_are_meant():
    assert _covers("*.example.com", "a.example.com")
    assert _covers("A.example.com", "a.example.com.")
    assert not _covers("*.example.com", "a.b.example.com")
