"""Targets on floor 1: the first bytes of a connection."""

# ruff: noqa: PT017 - laws about a refusal stand where it is caught

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import ssl
import zlib
from collections.abc import Iterator

from teleport.net import terminal as device
from teleport.wire import proxy_header, recording_chunk, terminal, tls_hello
from teleport.wire.buffer import NeedMore, ProtocolError, Reader, Writer
from tests.fuzz.engine import Run, Target, plain, register
from tests.support.tls import authority
from tests.unit.wire.test_tls_hello import extension, hello, names, openssl_hello, protocols, record

_REFUSES = (ProtocolError, NeedMore)


def hellos() -> list[bytes]:
    """Return ClientHellos that OpenSSL sends, and some made by hand."""
    real = [
        openssl_hello("a.example", ["teleport-auth@61", "h2"]),
        openssl_hello(None, []),
        openssl_hello("xn--bcher-kva.example", ["http/1.1"], ssl.TLSVersion.TLSv1_2),
    ]
    made = hello(names((0, b"a.example")) + protocols(b"h2", b"x") + extension(43, b"\x02\x03\x04"))
    return [*real, record(made), record(made[:9]) + record(made[9:]), record(hello(None)), real[0] + b"\x14\x03\x03"]


def _ask_for_more(parse: Run, data: bytes, size: int) -> None:
    """A beginning of a good message asks for more, and never for more than is missing."""
    for cut in {0, 1, size // 3, size // 2, size - 1}:
        try:
            parse(data[:cut])
        except NeedMore as need:
            assert 1 <= need.missing <= size - cut, (cut, need.missing)
        else:
            raise AssertionError(f"the first {cut} of {size} bytes were enough")


@contextlib.contextmanager
def _tls_hello() -> Iterator[Run]:
    """Beside the laws of the parser: OpenSSL must never see another server name than the router did."""
    seen: list[str | None] = []
    context = authority().server()
    context.sni_callback = lambda connection, name, _: seen.append(name)

    def openssl_name(data: bytes) -> str | None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(data)
        seen.clear()
        with contextlib.suppress(ssl.SSLError):
            server.do_handshake()
        return seen[0] if seen else None

    def run(data: bytes) -> object:
        found = tls_hello.parse(data)
        assert found.size <= len(data)
        assert tls_hello.parse(data[: found.size]) == found
        assert found.server_name == found.server_name.lower()
        _ask_for_more(tls_hello.parse, data, found.size)
        theirs = openssl_name(data[: found.size])
        assert theirs is None or theirs.lower() == found.server_name, (theirs, found.server_name)
        return bool(found.server_name), len(found.alpn), theirs is None

    yield run


register(
    Target(
        "wire.tls_hello",
        _tls_hello,
        hellos,
        _REFUSES,
        widths=(1, 2, 3),
        dictionary=(b"\x16\x03\x01", b"\0\0", b"\0\x10", b"\0\x2b", b"\0\x29", b"\0\x2a", b"a.example", b"\0"),
    )
)


def _headers() -> list[bytes]:
    four = proxy_header.Endpoint("192.0.2.1", 443), proxy_header.Endpoint("198.51.100.7", 65535)
    six = proxy_header.Endpoint("2001:db8::1", 1), proxy_header.Endpoint("::1", 0)
    zeroed = proxy_header.build_v2(*four, ((proxy_header.CRC32C, bytes(4)), (4, b"noop")))
    at = zeroed.index(b"\x03\0\x04") + 3
    summed = zeroed[:at] + proxy_header.crc32c(zeroed).to_bytes(4, "big") + zeroed[at + 4 :]
    return [
        proxy_header.build_v1(*four), proxy_header.build_v1(*six), b"PROXY UNKNOWN whatever\r\nrest",
        proxy_header.build_v2(*four), proxy_header.build_v2(*six, ((1, b"h2"), (2, b"a.example"))),
        proxy_header.build_local() + b"\x16\x03\x01", summed,
        proxy_header.V2_SIGNATURE + b"\x21\0\0\0",
    ]  # fmt: skip


def _proxy_header(data: bytes) -> object:
    found = proxy_header.parse(data)
    assert found.size <= len(data)
    assert proxy_header.looks_like(data)
    assert proxy_header.looks_like(data[:1])
    assert proxy_header.parse(data[: found.size]) == found
    _ask_for_more(proxy_header.parse, data, found.size)
    if found.source and found.destination:
        others = tuple(entry for entry in found.entries if entry[0] != proxy_header.CRC32C)
        assert (found.source.host + found.destination.host).isprintable()
        with contextlib.suppress(ProtocolError):  # IPv4 inside IPv6 may stand there; it is not built
            again = proxy_header.build_v2(found.source, found.destination, others)
            parsed = proxy_header.parse(again)
            assert (parsed.source, parsed.destination) == (found.source, found.destination)
            assert parsed.entries == others
    return found.version, found.local, found.source is None, len(found.entries)


register(
    Target(
        "wire.proxy_header",
        plain(_proxy_header),
        _headers,
        _REFUSES,
        widths=(2,),
        limit=9000,
        dictionary=(
            b"PROXY ",
            b"TCP4 ",
            b"TCP6 ",
            b"\r\n",
            proxy_header.V2_SIGNATURE,
            b"::ffff:1.2.3.4",
            b"%eth0",
            b"\xb2",
            b"0",
            b" ",
            b"\x20",
            b"\x21",
            b"\x11",
            b"\x12",
            b"\x31",
        ),
    )
)

_SIZES = ("u8", "u16", "u24", "u32", "u64", "vector8", "vector16", "vector24", "vector32")


def _buffer(data: bytes) -> object:
    """The first bytes say what is read from the rest; writing what was read gives the same bytes."""
    count = data[0] % 8 if data else 0
    steps, body = data[1 : 1 + count], data[1 + count :]
    reader, writer = Reader(body, complete=bool(data and data[0] & 0x80)), Writer()
    for step in steps:
        size = _SIZES[step % len(_SIZES)]
        getattr(writer, size)(getattr(reader, size)())
    assert reader.position + reader.remaining == len(body)
    assert bytes(writer) == body[: reader.position]
    assert len(writer) == reader.position
    reader.expect_end()
    return len(steps)


@functools.cache
def _buffers() -> list[bytes]:
    return [
        b"\x85\0\1\2\3\4" + bytes(range(18)),
        b"\x04\5\6\7\x08" + b"\1a" + b"\0\1b" + b"\0\0\1c" + b"\0\0\0\1d",
        b"\x81\x08\xff\xff\xff\xff",
    ]


register(Target("wire.buffer", plain(_buffer), _buffers, _REFUSES, widths=(1, 2, 3, 4)))


def _chunk(data: bytes) -> object:
    """What is mutated is all but the digest: with a wrong one nothing else would be looked at."""
    whole = data + hashlib.sha256(data).digest()
    chunk = recording_chunk.parse(whole)
    assert chunk.size == len(whole)
    assert recording_chunk.build(chunk.head, chunk.key, chunk.payload) == whole
    assert recording_chunk.parse(whole + b"more") == chunk
    assert len(list(recording_chunk.scan(whole * 2))) == (chunk.head.number == 0)
    recording_chunk.unpack(chunk.payload, compressed=chunk.head.compressed)
    return chunk.head.final, chunk.head.compressed, chunk.head.key_size


def _chunks() -> list[bytes]:
    session, load = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0ff", zlib.compress(b"frames")
    first = recording_chunk.Head(session, 0, 0, 9, False, True, 3, len(load), recording_chunk.START)
    later = recording_chunk.Head(session, 7, 9, 9, True, False, 0, 4, b"d" * 32)
    made = [recording_chunk.build(first, b"key", load), recording_chunk.build(later, b"", b"load")]
    return [chunk[: -recording_chunk.DIGEST] for chunk in made]


register(
    Target("wire.recording_chunk", plain(_chunk), _chunks, _REFUSES, widths=(2, 4), dictionary=(recording_chunk.MAGIC,))
)


def terminals() -> list[bytes]:
    """Return requests for terminals: OpenSSH's, one without modes, one with modes that have no meaning."""
    every = {number: number * 3 for number in (*range(1, 19), *range(30, 43), *range(50, 63), 70, 72, 92, 128, 129)}
    sizes = [(80, 24), (0, 0), (1000, 1000), (2**32 - 1, 1)]
    names = [b"xterm-256color", b"", b"a b", b"x" * 300]
    modes = [terminal.write_modes(every), b"", b"\xa0\0\0\0\1", terminal.write_modes({159: 2**32 - 1})]
    return [
        bytes(Writer().vector32(name).u32(columns).u32(rows).u32(640).u32(480).vector32(mode))
        for name, (columns, rows), mode in zip(names, sizes, modes, strict=True)
    ]


def _terminal(data: bytes) -> object:
    """Whatever is read can be given to a kernel, and to a shell as TERM."""
    found = terminal.read_terminal(data)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", found.name)
    assert 1 <= min(found.size) <= max(found.size) <= terminal.LARGEST
    assert terminal.read_modes(terminal.write_modes(found.modes)) == found.modes
    made = device.open_pair(found)
    try:
        assert device.size(made[1]) == found.size
    finally:
        for descriptor in made:
            os.close(descriptor)
    return found.size == terminal.Size(), len(found.modes)


register(
    Target(
        "wire.terminal",
        plain(_terminal),
        terminals,
        (ProtocolError,),
        widths=(4,),
        dictionary=(b"\0\0\0\x05xterm", b"\x80", b"\xa0", b"\0"),
    )
)
