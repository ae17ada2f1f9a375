"""Databases that this proxy does not serve: whoever connects is told so in the words of the protocol.

MySQL's server speaks first, so it has a port of its own; PostgreSQL's client asks for TLS in its own way, on a port of
its own or on the web port (networking guide, ports with and without TLS routing).
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Awaitable, Callable

from teleport.base import catalogue
from teleport.base.errors import Unavailable
from teleport.net import tls
from teleport.net.peek import Peekable, undetected
from teleport.net.stream import Stream

POSTGRES_TLS = struct.pack("!II", 8, 80877103)
"""SSLRequest (PostgreSQL 15, 55.7 Message Formats)."""
TIMEOUT = 10.0
"""Seconds for whatever a client says first."""
_LONGEST_STARTUP = 10000
_MYSQL_ERROR = 1105
"""ER_UNKNOWN_ERROR: no other of MySQL's fits."""
_FEATURE_NOT_SUPPORTED = b"0A000"


async def mysql(stream: Stream) -> None:
    """Send an ERR_Packet instead of a greeting (MySQL protocol, Connection Phase); there is no SQLSTATE yet.

    Raises Unavailable (PROXY-NO-DATABASE)."""
    payload = b"\xff" + struct.pack("<H", _MYSQL_ERROR) + _words().encode()
    await _end(stream, len(payload).to_bytes(3, "little") + b"\0" + payload)
    raise Unavailable("PROXY-NO-DATABASE", protocol="MySQL")


def postgres(context: Callable[[str], ssl.SSLContext]) -> Callable[[Peekable], Awaitable[None]]:
    """Return the handler for a connection that begins with POSTGRES_TLS; `context` as for the web port."""

    async def handle(stream: Peekable) -> None:
        """Open TLS as asked, read who it is, and send an ErrorResponse. Raises Unavailable (PROXY-NO-DATABASE)."""
        await stream.read(len(POSTGRES_TLS))
        await stream.write(b"S")
        opened = await tls.server_handshake(stream, context(""))
        try:
            async with asyncio.timeout(TIMEOUT):
                await _startup(opened)
            await _end(opened, _error_response())
        finally:
            await opened.close()
        raise Unavailable("PROXY-NO-DATABASE", protocol="PostgreSQL")

    return handle


async def _startup(stream: Stream) -> None:
    """Read a StartupMessage: a client takes no answer before it has asked. Raises BadParameter (NET-PROTOCOL)."""
    (size,) = struct.unpack("!I", await _exactly(stream, 4))
    if not 8 <= size <= _LONGEST_STARTUP:
        raise undetected(struct.pack("!I", size), "it is no StartupMessage")
    await _exactly(stream, size - 4)


async def _exactly(stream: Stream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.read(size - len(data))
        if not more:
            raise undetected(data, "the connection ended in the middle of a message")
        data += more
    return data


def _error_response() -> bytes:
    page = catalogue.find("PROXY-NO-DATABASE")
    fields = {b"S": b"FATAL", b"V": b"FATAL", b"C": _FEATURE_NOT_SUPPORTED, b"M": _words().encode(),
              b"H": page.fix.encode()}  # fmt: skip
    body = b"".join(name + value + b"\0" for name, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body


def _words() -> str:
    return f"{catalogue.find('PROXY-NO-DATABASE').what} (PROXY-NO-DATABASE)"


async def _end(stream: Stream, data: bytes) -> None:
    """Send the last bytes, and let the peer read them before the connection goes."""
    await stream.write(data)
    await stream.write_eof()
    try:
        async with asyncio.timeout(1.0):
            await stream.read(_LONGEST_STARTUP)
    except TimeoutError:
        pass
