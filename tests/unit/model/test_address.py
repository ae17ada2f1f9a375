from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.model.address import Address, parse_addr


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("example.com", "example.com", 3080),
        ("example.com:443", "example.com", 443),
        ("127.0.0.1:0", "127.0.0.1", 0),
        (":3022", "0.0.0.0", 3022),  # noqa: S104
        ("[::1]:3022", "::1", 3022),
        ("[::1]", "::1", 3080),
        ("2001:DB8::1", "2001:db8::1", 3080),
        ("a_b-c.d.:1", "a_b-c.d.", 1),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_addr(text, 3080) == Address(host, port)


@pytest.mark.parametrize(
    "text",
    ["", "a:", "a:x", "a:65536", "a:-1", "https://a", "[::1", "[::1]3", "[::1]:", "[a]:1", "::g", "a b:1", "-a:1",
     "a..b:1", "a\n:1", "a/b", "a:1\n", "ü:1", "x" * 254, "1:2:x", "[]:1"],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BadParameter) as caught:
        parse_addr(text, 1)
    assert caught.value.code == "KIND-ADDRESS"


@given(
    st.one_of(st.ip_addresses().map(str), st.from_regex(r"[a-z0-9]{1,9}(\.[a-z]{2})?", fullmatch=True)),
    st.integers(0, 65535),
)
def test_what_is_written_reads_back(host: str, port: int) -> None:
    address = parse_addr(str(Address(host, port)), 1)
    assert parse_addr(str(address), 2) == address
    assert address.port == port
