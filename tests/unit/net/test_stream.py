"""Peer: which address a certificate may be bound to."""

import pytest

from teleport.net.stream import Peer


@pytest.mark.parametrize(
    ("address", "ip"),
    [
        ("203.0.113.9:5001", "203.0.113.9"), ("[2001:db8::9]:5", "2001:db8::9"), ("203.0.113.9:0", ""),
        ("[2001:db8::9]:0", ""), ("", ""),
    ],
)  # fmt: skip
def test_an_address_that_was_only_claimed_has_port_0_and_proves_nothing(address: str, ip: str) -> None:
    assert Peer(address).proven_ip == ip
