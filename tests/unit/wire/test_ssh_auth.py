"""Messages of SSH's sign-in."""

from __future__ import annotations

import pytest

from teleport.wire import ssh_auth
from teleport.wire.buffer import ProtocolError


def test_the_service() -> None:
    assert ssh_auth.write_service_request() == b"\x05\0\0\0\x0cssh-userauth"
    ssh_auth.read_service_accept(b"\x06\0\0\0\x0cssh-userauth")
    for wrong in (b"\x06\0\0\0\x04ssh!", b"\x05\0\0\0\x0cssh-userauth", b"\x06\0\0\0\x0cssh-userauth!", b"\x06\0"):
        with pytest.raises(ProtocolError):
            ssh_auth.read_service_accept(wrong)


def test_a_request() -> None:
    request = ssh_auth.key_request("al", b"alg", b"key")
    assert request == (
        b"\x32\0\0\0\x02al\0\0\0\x0essh-connection\0\0\0\x09publickey\x01\0\0\0\x03alg\0\0\0\x03key"
    )  # fmt: skip
    assert ssh_auth.with_signature(request, b"sig") == request + b"\0\0\0\x03sig"


def test_answers() -> None:
    assert ssh_auth.read_failure(b"\x33\0\0\0\x03a,b\x01") == (("a", "b"), True)
    assert ssh_auth.read_failure(b"\x33\0\0\0\0\0") == ((), False)
    assert ssh_auth.read_banner(b"\x35\0\0\0\x02hi\0\0\0\0") == "hi"
    for broken in (b"\x33\0\0\0\x03a,b", b"\x33\0\0\0\0\0\0"):
        with pytest.raises(ProtocolError):
            ssh_auth.read_failure(broken)
    for broken in (b"\x35\0\0\0\x02hi", b"\x35\0\0\0\x02hi\0\0\0\0\0"):
        with pytest.raises(ProtocolError):
            ssh_auth.read_banner(broken)
