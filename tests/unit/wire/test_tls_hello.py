"""ClientHello: real ones by OpenSSL, built ones, broken ones."""

import ssl

import pytest

from teleport.wire.buffer import NeedMore, ProtocolError, Writer
from teleport.wire.tls_hello import LIMIT, RECORDS, parse


def openssl_hello(server_name: str | None, alpn: list[str], maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """Return the ClientHello that OpenSSL sends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.maximum_version = maximum
    if alpn:
        context.set_alpn_protocols(alpn)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def record(fragment: bytes) -> bytes:
    return bytes(Writer().u8(22).u16(0x0301).vector16(fragment))


def hello(
    extensions: bytes | None = b"",
    *,
    version: int = 0x0303,
    session: bytes = b"",
    suites: bytes = b"\x13\x01",
    compression: bytes = b"\0",
) -> bytes:
    """Return a ClientHello handshake message made by hand."""
    body = Writer().u16(version).raw(bytes(32)).vector8(session).vector16(suites).vector8(compression)
    if extensions is not None:
        body.vector16(extensions)
    return bytes(Writer().u8(1).vector24(bytes(body)))


def extension(kind: int, content: bytes) -> bytes:
    return bytes(Writer().u16(kind).vector16(content))


def names(*entries: tuple[int, bytes]) -> bytes:
    content = Writer()
    for kind, name in entries:
        content.u8(kind).vector16(name)
    return extension(0, bytes(Writer().vector16(bytes(content))))


def protocols(*entries: bytes) -> bytes:
    content = Writer()
    for entry in entries:
        content.vector8(entry)
    return extension(16, bytes(Writer().vector16(bytes(content))))


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", [None, "Proxy.Example.com", "61.teleport.cluster.local"])
@pytest.mark.parametrize("alpn", [[], ["h2"], ["teleport-auth@61.teleport.cluster.local", "h2", "http/1.1"]])
def test_reads_what_openssl_sends(maximum: ssl.TLSVersion, name: str | None, alpn: list[str]) -> None:
    data = openssl_hello(name, alpn, maximum)
    found = parse(data + b"early data")
    assert (found.server_name, found.alpn, found.size) == ((name or "").lower(), tuple(alpn), len(data))


def test_hello_without_extensions() -> None:
    assert parse(record(hello(None))).alpn == ()


def test_protocol_names_keep_every_byte() -> None:
    assert parse(record(hello(protocols(b"\x8a\xff", b"h2")))).alpn == ("\x8a\xff", "h2")


def test_message_over_several_records() -> None:
    message = hello(names((0, b"a.example")))
    assert parse(b"".join(record(message[at : at + 7]) for at in range(0, len(message), 7))).server_name == "a.example"


def test_says_how_much_is_missing() -> None:
    data = openssl_hello("a.example", ["h2"])
    with pytest.raises(NeedMore) as need:
        parse(data[:100])
    assert need.value.missing == len(data) - 100
    with pytest.raises(NeedMore):
        parse(b"")


BAD = {
    "http": b"GET / HTTP/1.1\r\n",
    "one wrong byte is enough": b"G",
    "record version": b"\x16\x02",
    "empty record": b"\x16\x03\x01\0\0",
    "long record": b"\x16\x03\x01\x40\x01",
    "other handshake message": record(b"\x02"),
    "rest in the last record": record(hello() + b"\0"),
    "client version": record(hello(version=0x0203)),
    "session id": record(hello(session=bytes(33))),
    "no suites": record(hello(suites=b"")),
    "odd suites": record(hello(suites=bytes(3))),
    "no null compression": record(hello(compression=b"\1")),
    "short body": record(bytes(Writer().u8(1).vector24(bytes(10)))),
    "trailing": record(bytes(Writer().u8(1).vector24(hello()[4:] + b"\0"))),
    "short extension": record(hello(b"\0\0\0\x09\0")),
    "two extensions of a kind": record(hello(extension(5, b"") * 2)),
    "two names": record(hello(names((0, b"a"), (0, b"b")))),
    "kind of name": record(hello(names((1, b"a")))),
    "no name": record(hello(names())),
    "name with control byte": record(hello(names((0, b"a\nb")))),
    "name with NUL": record(hello(names((0, b"a\0b")))),
    "trailing after names": record(hello(extension(0, b"\0\x04\0\0\x01a" + b"x"))),
    "empty protocol": record(hello(protocols(b"h2", b""))),
    "no protocols": record(hello(protocols())),
    "short protocols": record(hello(extension(16, b"\0\x02\x05h"))),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(case: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        parse(BAD[case])
    assert refused.value.code == "WIRE-TLS-HELLO"
    assert refused.value.fix


def test_oversized_message_is_refused_at_its_header() -> None:
    with pytest.raises(ProtocolError) as refused:
        parse(b"\x16\x03\x01\x01\0" + bytes([1, 0, 0x40, 1]))
    assert refused.value.code == "WIRE-TLS-SIZE"


def test_records_together_are_bounded() -> None:
    message = bytes(Writer().u8(1).u24(LIMIT))
    with pytest.raises(ProtocolError) as refused:
        parse(record(message + bytes(LIMIT - 100)) + b"\x16\x03\x01\x01\0")
    assert refused.value.code == "WIRE-TLS-SIZE"


def test_trickle_of_tiny_records_is_refused() -> None:
    with pytest.raises(ProtocolError) as refused:
        parse(b"".join(record(bytes([byte])) for byte in hello()[: RECORDS + 4]))
    assert refused.value.code == "WIRE-TLS-SIZE"
