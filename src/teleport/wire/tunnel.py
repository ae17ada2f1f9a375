"""Tunnel headers: what a stream inside a reverse tunnel is for, and what a proxy tells agents of the other proxies.

What is here: the header with which a proxy opens a stream to an agent (JSON, network specification, section 9.1), and
the messages of the control stream `teleport-discovery` (32-bit length, JSON). What is not: the tunnel itself
(`wire.mux`, `net.tunnel`).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from teleport.base.struct import Struct, decode, encode
from teleport.wire.buffer import NeedMore, ProtocolError, Reader, Writer

ALPN = "teleport-reversetunnel"
"""Protocol name under which a proxy expects an agent."""
PEER_ALPN = "teleport-proxy-peer"
"""Protocol name under which proxies expect each other."""
TRANSPORT = "teleport-transport"
DISCOVERY = "teleport-discovery"
HEADER_LIMIT = 4096
"""Most bytes of a header."""
DISCOVERY_LIMIT = 65536
"""Most bytes of a message of the control stream, its length included."""


class Opening(Struct, frozen=True, kw_only=True):
    """Why a stream is opened."""

    channel: str
    """TRANSPORT: a connection for a service; DISCOVERY: the control stream."""
    server_id: str = ""
    """`<uuid>.<cluster>` of the agent that is meant."""
    conn_type: str = ""
    """Which service: `node`."""
    client_src_addr: str = ""
    """`host:port` of who wants to connect."""
    client_dst_addr: str = ""
    """`host:port` at which they arrived."""


class _Metadata(msgspec.Struct):
    name: str


class _Proxy(msgspec.Struct):
    metadata: _Metadata
    version: str = "v2"


class _Discovery(msgspec.Struct):
    proxies: tuple[_Proxy, ...] = ()


def write_opening(opening: Opening) -> bytes:
    """Return a header."""
    return encode(opening)


def read_opening(header: bytes) -> Opening:
    """Read a header. Raises ProtocolError (WIRE-TUNNEL)."""
    if len(header) > HEADER_LIMIT:
        raise _bad(f"the header has more than {HEADER_LIMIT} bytes")
    try:
        return decode(header, Opening)
    except msgspec.DecodeError as error:
        raise _bad(str(error)[:120]) from None


def write_discovery(proxies: Iterable[str]) -> bytes:
    """Return the message that names proxies by their ids."""
    body = msgspec.json.encode(_Discovery(tuple(_Proxy(_Metadata(name)) for name in proxies)))
    return bytes(Writer().u32(len(body)).raw(body))


def read_discovery(data: bytes) -> tuple[tuple[str, ...], int]:
    """Read the message at the beginning of `data`; return the ids of proxies and the bytes that it takes.

    Raises NeedMore while it is incomplete, ProtocolError (WIRE-TUNNEL) if it is none.
    """
    if len(data) < 4:
        raise NeedMore(4 - len(data))
    reader = Reader(data, complete=False)
    length = reader.u32()
    if length > DISCOVERY_LIMIT - 4:
        raise _bad(f"a message has more than {DISCOVERY_LIMIT} bytes")
    try:
        found = msgspec.json.decode(reader.take(length), type=_Discovery)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _bad(str(error)[:120]) from None
    return tuple(proxy.metadata.name for proxy in found.proxies), reader.position


def _bad(problem: str) -> ProtocolError:
    return ProtocolError("WIRE-TUNNEL", problem=problem)
