"""PROXY protocol, versions 1 and 2: who is behind a load balancer.

What is here: parse and build, strict, after the PROXY protocol specification of HAProxy (section 2).
What is not: whom to believe, and the check of a signed header; both stand with their user.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from teleport.wire.buffer import NeedMore, ProtocolError, Reader, Writer

V1_LIMIT = 107
"""Longest line of version 1, CRLF included (specification, section 2.1)."""
V2_LIMIT = 8192
"""Most bytes of a header of version 2 that are accepted; a certificate and a token fit."""
V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
CRC32C = 0x03
"""Type of the entry with the checksum over the whole header (section 2.2.3)."""

_V1_START = b"PROXY "
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")
_FAMILIES = {0x11: 4, 0x21: 16}
_LOCAL, _PROXY = 0x20, 0x21


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address as the header gives it."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A parsed header. Without `source` the sender did not say (UNKNOWN, LOCAL): use the socket's address."""

    version: int
    source: Endpoint | None = None
    destination: Endpoint | None = None
    local: bool = False
    """Version 2 LOCAL: the balancer speaks for itself (a health check)."""
    entries: tuple[tuple[int, bytes], ...] = ()
    """Type and value of each further entry of version 2."""
    size: int = 0
    """Bytes of the header on the wire."""


def looks_like(data: bytes) -> bool:
    """Say whether `data` may be the beginning of a header, however short it is."""
    return _is_start(data, _V1_START) or _is_start(data, V2_SIGNATURE)


def parse(data: bytes) -> ProxyHeader:
    """Read the header at the beginning of `data`.

    Raises NeedMore while it is incomplete, ProtocolError (WIRE-PROXY-HEADER) if it is none.
    """
    if _is_start(data, V2_SIGNATURE):
        return _parse_v2(data)
    if _is_start(data, _V1_START):
        return _parse_v1(data)
    raise _bad("unknown beginning")


def _is_start(data: bytes, signature: bytes) -> bool:
    return data[: len(signature)] == signature[: len(data)]


def _bad(problem: str) -> ProtocolError:
    return ProtocolError("WIRE-PROXY-HEADER", problem=problem)


def _parse_v1(data: bytes) -> ProxyHeader:
    line, found, _ = data[:V1_LIMIT].partition(b"\r\n")
    if not found:
        if len(data) >= V1_LIMIT:
            raise _bad("the line is too long")
        raise NeedMore(1)
    size = len(line) + 2
    words = line.decode("latin-1").split(" ")
    if words[1:2] == ["UNKNOWN"]:
        return ProxyHeader(1, size=size)
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise _bad("expected TCP4 or TCP6 with two addresses and two ports")
    version = int(words[1][3])
    source = Endpoint(_host(words[2], version), _port(words[4]))
    return ProxyHeader(1, source, Endpoint(_host(words[3], version), _port(words[5])), size=size)


def _host(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise _bad("an address is malformed") from None
    if address.version != version or "%" in text:
        raise _bad("an address is of the wrong family")
    return str(address)


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise _bad("a port is malformed")
    return int(text)


def _parse_v2(data: bytes) -> ProxyHeader:
    reader = Reader(data, complete=False)
    reader.take(len(V2_SIGNATURE))
    command, family, length = reader.u8(), reader.u8(), reader.u16()
    if command not in (_LOCAL, _PROXY):
        raise _bad(f"version and command {command:#04x}")
    if reader.position + length > V2_LIMIT:
        raise _bad(f"length {length}")
    body = Reader(reader.take(length))
    size = reader.position
    if command == _LOCAL:
        return ProxyHeader(2, local=True, size=size)
    if family and family not in _FAMILIES:
        raise _bad(f"family {family:#04x}")
    try:
        source, destination = _addresses(body, _FAMILIES[family]) if family else (None, None)
        entries = _entries(body)
    except ProtocolError as error:
        raise _bad(error.what) from error
    _check_sum(data[:size], entries)
    return ProxyHeader(2, source, destination, entries=entries, size=size)


def _addresses(body: Reader, width: int) -> tuple[Endpoint, Endpoint]:
    hosts = [str(ipaddress.ip_address(body.take(width))) for _ in range(2)]
    return Endpoint(hosts[0], body.u16()), Endpoint(hosts[1], body.u16())


def _entries(body: Reader) -> tuple[tuple[int, bytes], ...]:
    found: list[tuple[int, bytes]] = []
    while body.remaining:
        found.append((body.u8(), body.vector16()))
    return tuple(found)


def _check_sum(header: bytes, entries: tuple[tuple[int, bytes], ...]) -> None:
    """Compare the checksum, if there is one: the header with the field zeroed (section 2.2.3)."""
    sums = [value for kind, value in entries if kind == CRC32C]
    if not sums:
        return
    if len(sums) > 1 or len(sums[0]) != 4:
        raise _bad("malformed checksum")
    # The entries end the header, so the field's place follows from the sizes of those behind it.
    index = [kind for kind, _ in entries].index(CRC32C)
    end = len(header) - sum(3 + len(value) for _, value in entries[index + 1 :])
    if crc32c(header[: end - 4] + bytes(4) + header[end:]) != int.from_bytes(sums[0], "big"):
        raise _bad("wrong checksum")


def _table() -> list[int]:
    table: list[int] = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ 0x82F63B78 * (number & 1)
        table.append(number)
    return table


_CRC_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli, RFC 9260 appendix A) of `data`."""
    register = 0xFFFFFFFF
    for byte in data:
        register = register >> 8 ^ _CRC_TABLE[(register ^ byte) & 0xFF]
    return register ^ 0xFFFFFFFF


def build_v1(source: Endpoint, destination: Endpoint) -> bytes:
    """Write a header of version 1. Raises ProtocolError on mixed families or malformed addresses."""
    version = _version(source)
    hosts = [_host(end.host, version) for end in (source, destination)]
    ports = [_port(str(end.port)) for end in (source, destination)]
    return f"PROXY TCP{version} {hosts[0]} {hosts[1]} {ports[0]} {ports[1]}\r\n".encode()


def build_v2(source: Endpoint, destination: Endpoint, entries: tuple[tuple[int, bytes], ...] = ()) -> bytes:
    """Write a header of version 2 with further `entries`. Raises ProtocolError as `build_v1`, and on size."""
    version = _version(source)
    body = Writer()
    for end in (source, destination):
        body.raw(ipaddress.ip_address(_host(end.host, version)).packed)
    for end in (source, destination):
        body.u16(end.port)
    for kind, value in entries:
        body.u8(kind).vector16(value)
    family = 0x11 if version == 4 else 0x21
    header = bytes(Writer().raw(V2_SIGNATURE).u8(_PROXY).u8(family).vector16(bytes(body)))
    if len(header) > V2_LIMIT:
        raise _bad(f"length {len(header)}")
    return header


def build_local() -> bytes:
    """Write the header of version 2 with which a balancer speaks for itself."""
    return V2_SIGNATURE + bytes([_LOCAL, 0, 0, 0])


def _version(end: Endpoint) -> int:
    return 6 if ":" in end.host else 4
