"""PROXY headers: both versions, the checksum, and what is refused."""

import pytest

from teleport.wire.buffer import NeedMore, ProtocolError, Writer
from teleport.wire.proxy_header import (
    V2_SIGNATURE,
    Endpoint,
    ProxyHeader,
    build_local,
    build_v1,
    build_v2,
    crc32c,
    looks_like,
    parse,
)

FOUR = (Endpoint("192.0.2.7", 50000), Endpoint("198.51.100.1", 443))
SIX = (Endpoint("2001:db8::7", 50000), Endpoint("2001:db8::1", 443))


def v2(body: bytes, *, command: int = 0x21, family: int = 0x11) -> bytes:
    return bytes(Writer().raw(V2_SIGNATURE).u8(command).u8(family).vector16(body))


@pytest.mark.parametrize(("source", "destination"), [FOUR, SIX])
def test_both_versions_round_trip(source: Endpoint, destination: Endpoint) -> None:
    line = build_v1(source, destination)
    assert parse(line + b"SSH-2.0") == ProxyHeader(1, source, destination, size=len(line))
    entries = ((0xE4, b"signed"), (4, b""))
    header = build_v2(source, destination, entries)
    assert parse(header + b"\x16") == ProxyHeader(2, source, destination, entries=entries, size=len(header))


def test_line_of_version_one_is_the_documented_one() -> None:
    assert build_v1(*FOUR) == b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 443\r\n"


def test_header_of_version_two_is_the_documented_one() -> None:
    addresses = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + (50000).to_bytes(2, "big") + (443).to_bytes(2, "big")
    assert build_v2(*FOUR) == b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + addresses


@pytest.mark.parametrize("line", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 what ever\r\n"])
def test_unknown_says_nothing(line: bytes) -> None:
    assert parse(line) == ProxyHeader(1, size=len(line))


def test_local_skips_its_body() -> None:
    assert parse(build_local()) == ProxyHeader(2, local=True, size=16)
    assert parse(v2(b"\xff\xff\xff", command=0x20)).local


def test_unspecified_family_has_no_addresses() -> None:
    found = parse(v2(b"\x04\0\0", family=0))
    assert (found.source, found.entries) == (None, ((4, b""),))


def test_looks_like_decides_from_the_first_byte() -> None:
    assert all(looks_like(start) for start in (b"", b"P", b"PROXY TCP4", b"\r\n\r\n", build_local()))
    assert not any(looks_like(start) for start in (b"\x16\x03", b"PUT /", b"PROXYTCP4", b"\r\n\r\nX"))


def test_incomplete_headers_ask_for_more() -> None:
    for data in (b"", b"PROXY TCP4 192", V2_SIGNATURE, build_v2(*FOUR)[:-3]):
        with pytest.raises(NeedMore):
            parse(data)


def test_checksum_is_checked() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    zeroed = build_v2(*FOUR, entries=((1, b"h2"), (3, bytes(4)), (4, b"x")))
    number = crc32c(zeroed).to_bytes(4, "big")
    good = build_v2(*FOUR, entries=((1, b"h2"), (3, number), (4, b"x")))
    assert parse(good).entries[1] == (3, number)
    for broken in (
        zeroed,
        good[:20] + b"\xff" + good[21:],
        build_v2(*FOUR, entries=((3, b"abc"),)),
        build_v2(*FOUR, entries=((3, number), (3, number))),
    ):
        with pytest.raises(ProtocolError):
            parse(broken)


BAD = {
    "other protocol": b"GET / HTTP/1.1\r\n",
    "no space": b"PROXYTCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    "line too long": b"PROXY UNKNOWN" + b" " * 200,
    "line feed alone": b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n" + b" " * 100,
    "protocol": b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
    "too few": b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
    "too many": b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
    "nothing": b"PROXY \r\n",
    "two spaces": b"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
    "not an address": b"PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n",
    "leading zero in address": b"PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
    "family": b"PROXY TCP4 ::1 2.2.2.2 1 2\r\n",
    "scope": b"PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n",
    "port range": b"PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
    "port sign": b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
    "port zero-padded": b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
    "port digits of another script": "PROXY TCP4 1.1.1.1 2.2.2.2 ١ 2\r\n".encode(),
    "v2 version": v2(b"", command=0x11),
    "v2 command": v2(b"", command=0x22),
    "v2 family": v2(bytes(216), family=0x31),
    "v2 datagram": v2(bytes(12), family=0x12),
    "v2 short addresses": v2(bytes(11)),
    "v2 half an entry": v2(bytes(12) + b"\x04\0"),
    "v2 long": V2_SIGNATURE + b"\x21\x11\xff\xff",
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(case: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        parse(BAD[case])
    assert refused.value.code == "WIRE-PROXY-HEADER"
    assert refused.value.what.startswith("invalid PROXY line: ")


def test_builders_refuse_mixed_families_and_bad_ports() -> None:
    for build in (build_v1, build_v2):
        with pytest.raises(ProtocolError):
            build(FOUR[0], SIX[1])
        with pytest.raises(ProtocolError):
            build(Endpoint("192.0.2.7", 70000), FOUR[1])
    with pytest.raises(ProtocolError):
        build_v2(*FOUR, entries=((0xE4, bytes(9000)),))
