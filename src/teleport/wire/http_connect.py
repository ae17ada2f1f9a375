"""HTTP CONNECT: the request for a tunnel through a proxy (RFC 9110, section 9.3.6), and what its answer means.

What is here: bytes and meanings. What is not: which proxy there is (`model.proxy_env`) and the connection
(`net.http_connect`).
"""

from __future__ import annotations

from enum import Enum

from teleport.wire.http_head import Head


class Verdict(Enum):
    """What a proxy says to a request."""

    OPEN = "open"
    """What follows the answer is the target's."""
    LOGIN = "login"
    """It wants to know who asks (407), or does not believe it."""
    FORBIDDEN = "forbidden"
    """Its rules do not let this through."""
    NO_TARGET = "no target"
    """It could not reach the target."""
    OTHER = "other"
    """It does not do this, or something else is not right."""


_VERDICTS = {
    **dict.fromkeys((401, 407), Verdict.LOGIN),
    **dict.fromkeys((403, 451), Verdict.FORBIDDEN),
    **dict.fromkeys((500, 502, 503, 504), Verdict.NO_TARGET),
}


def write_request(target: str, authorization: str = "") -> bytes:
    """Return the request for a tunnel to `target` (`host:port`, checked by the caller); `authorization` is the value of
    Proxy-Authorization."""
    proof = f"Proxy-Authorization: {authorization}\r\n" if authorization else ""
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: Teleport\r\n{proof}\r\n".encode("ascii")


def verdict(head: Head) -> Verdict:
    """Return what an answer means."""
    return Verdict.OPEN if 200 <= head.status < 300 else _VERDICTS.get(head.status, Verdict.OTHER)
