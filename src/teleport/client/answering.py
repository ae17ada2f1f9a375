"""What answers at an address where something else was expected: found out by asking, for whoever reads the error.

A mistaken port is the commonest fault of a configuration, and what TLS says of it (`WRONG_VERSION_NUMBER`, an unknown
authority) names neither the program that answered nor the key to change. Nothing secret is said in asking, and nothing
that is answered is believed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import Mapping
from typing import NamedTuple

from teleport.access.system import system_roles
from teleport.base.errors import BadParameter, TeleportError
from teleport.model.address import parse_addr
from teleport.model.proxy_env import connect_proxy
from teleport.net import tls
from teleport.net.network import Network
from teleport.net.stream import Stream
from teleport.pki import codec, contexts, x509
from teleport.wire.resumption_opening import GREETING

PATIENCE = 3.0
"""Seconds in which each question should be answered."""
FIRST_WORDS = 0.5
"""Seconds in which a server speaks that speaks first."""
_LONGEST = 16384
_SERVER = re.compile(rb"(?im)^server:[ \t]*([ -~]{1,60}?)[ \t]*\r?$")

SSH_GREETINGS = (b"SSH-", GREETING)
"""How SSH servers begin (RFC 4253 section 4.2); ours offers before it to resume connections."""
PROXY, AUTH, TUNNELS, SSH = "proxy", "auth", "tunnels", "ssh"

WORDS = {
    PROXY: "the web port of a proxy", AUTH: "an Auth Service", SSH: "an SSH server",
    TUNNELS: "the port of a proxy for agents or other proxies", "agent": "a service of an agent",
    "mysql": "a MySQL server",
}  # fmt: skip
FIXES = {
    ("proxy", AUTH): "write the address of the proxy's web port, usually 443 or 3080, not the Auth Service's 3025",
    ("auth", PROXY): "write this address as `proxy_server` instead of `auth_server`, or that of the Auth Service, "
    "usually port 3025",
    ("auth", ""): "write the address of the Auth Service, usually port 3025, or use `proxy_server`",
    ("proxy", ""): "write the address of the proxy's web port, usually 443 or 3080",
}  # fmt: skip
"""By what is wanted and what was found, if that has a fix of its own."""


class Answer(NamedTuple):
    """What was found."""

    kind: str
    words: str


async def named(
    error: TeleportError, network: Network, address: str, environment: Mapping[str, str], *, wanted: str
) -> TeleportError:
    """Return an error that names what answers at `address`, or `error` if that is what is `wanted` (PROXY or AUTH), or
    cannot be told: nothing answers, or a CONNECT proxy stands in between."""
    try:
        where = parse_addr(address, 0)
        if connect_proxy(environment, where.host, where.port) is not None:
            return error
        found = await identify(network, address)
    except TeleportError:
        return error
    if found is None or found.kind == wanted:
        return error
    fix = FIXES.get((wanted, found.kind)) or FIXES[wanted, ""]
    return BadParameter(
        "NET-WRONG-SERVICE", address=address, found=found.words, wanted=WORDS[wanted], problem=error.what, fix=fix
    )


async def identify(network: Network, address: str) -> Answer | None:
    """Return what answers at `host:port`; None if that cannot be told. Raises what dialling raises."""
    greeting = await _greeting(network, address)
    if greeting.startswith(SSH_GREETINGS):
        return _of(SSH)
    if greeting[4:5] in (b"\x0a", b"\xff") and greeting[3:4] == b"\0":  # version 10 of a greeting, or an error
        return _of("mysql")
    if greeting:
        return None
    try:
        return await _behind_tls(network, address)
    except TeleportError:
        pass
    if (await _said(network, address, b"SSH-2.0-probe\r\n")).startswith(b"SSH-"):
        return _of(SSH)
    page = await _said(network, address, b"GET /webapi/find HTTP/1.0\r\n\r\n")
    return Answer("web", f"a web server without TLS{_program(page)}") if page.startswith(b"HTTP/") else None


def _of(kind: str) -> Answer:
    return Answer(kind, WORDS[kind])


async def _greeting(network: Network, address: str) -> bytes:
    stream = await network.dial(address)
    try:
        return await _read(stream, FIRST_WORDS)
    finally:
        await stream.close()


async def _said(network: Network, address: str, question: bytes) -> bytes:
    """Return what is said to a question."""
    stream = await network.dial(address)
    try:
        await stream.write(question)
        return await _read(stream, PATIENCE)
    except TeleportError:
        return b""
    finally:
        await stream.close()


async def _behind_tls(network: Network, address: str) -> Answer | None:
    """Look at the certificate; ask what has one for the web. Raises what the handshake raises."""
    where = parse_addr(address, 0)
    opened = await _opened(network, address, where.host, ("http/1.1",))
    try:
        kind = _service(opened.ssl_object.getpeercert(binary_form=True) or b"")  # nobody believes it: it only tells
        if kind:
            return _of(kind)
        await opened.write(f"GET /webapi/find HTTP/1.1\r\nHost: {where}\r\nConnection: close\r\n\r\n".encode())
        page = b""
        with contextlib.suppress(TeleportError):
            while len(page) < _LONGEST and (more := await _read(opened, PATIENCE)):
                page += more
    finally:
        await opened.close()
    if _is_proxy(page):
        return _of(PROXY)
    return Answer("web", f"a web server{_program(page)}") if page.startswith(b"HTTP/") else None


async def _opened(network: Network, address: str, host: str, alpn: tuple[str, ...]) -> tls.TlsStream:
    """Open TLS with whoever it is, also one that knows no protocol of the web."""
    try:
        stream = await network.dial(address)
        return await tls.client_handshake(stream, contexts.unverified_context(alpn=alpn), PATIENCE, server_name=host)
    except TeleportError as error:
        if error.code != "NET-TLS-PROTOCOL":
            raise
    stream = await network.dial(address)
    context: ssl.SSLContext = contexts.unverified_context(alpn=("teleport-reversetunnel", "h2"))
    return await tls.client_handshake(stream, context, PATIENCE, server_name=host)


def _service(certificate: bytes) -> str:
    """Return which service has this certificate; empty: it is none of a host authority."""
    try:
        identity = codec.from_x509(x509.parse(certificate))
    except TeleportError:
        return ""
    roles = system_roles(identity) if identity.is_host else ()
    known = {"Auth": AUTH, "Proxy": TUNNELS}
    return next((known[role] for role in roles if role in known), "agent") if identity.is_host else ""


def _is_proxy(page: bytes) -> bool:
    try:
        said = json.loads(page.partition(b"\r\n\r\n")[2])
    except ValueError:
        return False
    return isinstance(said, dict) and "cluster_name" in said


def _program(page: bytes) -> str:
    found = _SERVER.search(page)
    return f" ({found[1].decode()})" if found else ""


async def _read(stream: Stream, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            return await stream.read(4096)
    except (TimeoutError, TeleportError):
        return b""
