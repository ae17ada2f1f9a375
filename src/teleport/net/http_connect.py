"""Through an HTTP CONNECT proxy: one request and its answer, after which the connection is the target's.

What is here: the exchange on a connection, and an error for each way in which a proxy refuses. What is not: which
proxy (`model.proxy_env`) and the bytes (`wire.http_connect`).
"""

from __future__ import annotations

import dataclasses

from teleport.base.errors import AccessDenied, TeleportError, Unavailable
from teleport.model.proxy_env import ConnectProxy
from teleport.net.peek import Peekable, peek, peekable, take
from teleport.net.stream import Stream
from teleport.wire.http_connect import Verdict, verdict, write_request
from teleport.wire.http_head import Head, read_head

TIMEOUT = 10.0
"""Seconds until the answer: the proxy looks up the target and connects to it meanwhile. As many as a dial takes."""


async def connect(stream: Stream, proxy: ConnectProxy, target: str, *, timeout: float = TIMEOUT) -> Peekable:
    """Return the connection to `target` (`host:port`) that the proxy at the other end of `stream` makes. On failure
    the stream is the caller's to close.

    Raises AccessDenied (NET-CONNECT-LOGIN, NET-CONNECT-FORBIDDEN), Unavailable (NET-CONNECT-TARGET,
    NET-CONNECT-ANSWER).
    """
    try:
        opened, head = await exchange(stream, write_request(target, proxy.authorization), timeout=timeout)
    except TeleportError as error:
        raise Unavailable(
            "NET-CONNECT-ANSWER", proxy=proxy.address, variable=proxy.variable, problem=error.what
        ) from error
    meaning = verdict(head)
    if meaning is not Verdict.OPEN:
        raise _refusal(meaning, head, proxy, target)
    opened.know(dataclasses.replace(opened.peer, address=target, certificate=b"", alpn="", server_name=""))
    return opened


async def exchange(stream: Stream, request: bytes, *, timeout: float) -> tuple[Peekable, Head]:
    """Send a request and take the head of its answer, and nothing of what follows.

    Raises ProtocolError (WIRE-HTTP), BadParameter (NET-PROTOCOL: the connection ended), TimedOut (NET-FIRST-BYTES),
    Unavailable (NET-RESET).
    """
    opened = peekable(stream)
    await opened.write(request)
    head = await peek(opened, read_head, timeout=timeout)
    await take(opened, head.size)
    return opened, head


def server_of(head: Head) -> str:
    """Return what an answer says of the program that made it, for messages."""
    name = head.first("server") or head.first("via") or head.first("proxy-agent")
    return ascii(name[:60])[1:-1] if name else "without a name"


def _refusal(meaning: Verdict, head: Head, proxy: ConnectProxy, target: str) -> TeleportError:
    said = ascii(f"{head.status} {head.reason}".strip()[:80])[1:-1]
    facts = {"proxy": str(proxy.address), "server": server_of(head), "variable": proxy.variable, "target": target}
    if meaning is Verdict.LOGIN:
        return AccessDenied("NET-CONNECT-LOGIN", given="not the right" if proxy.authorization else "no", **facts)
    if meaning is Verdict.FORBIDDEN:
        return AccessDenied("NET-CONNECT-FORBIDDEN", said=said, **facts)
    if meaning is Verdict.NO_TARGET:
        return Unavailable("NET-CONNECT-TARGET", said=said, **facts)
    return Unavailable(
        "NET-CONNECT-ANSWER", proxy=proxy.address, variable=proxy.variable, problem=f"it answered {said}"
    )
