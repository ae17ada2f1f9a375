"""The version line, offers of algorithms and disconnects of SSH."""

from __future__ import annotations

import pytest

from teleport.wire import ssh
from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.ssh import Offer

OURS = Offer(("a", "b"), ("h1", "h2"), ("c1", "c2"), ("c1", "c2"))


def test_a_version_line_behind_others() -> None:
    data = b"welcome\r\nto us\nSSH-2.0-OpenSSH_9.2 Debian\r\n\0\0"
    assert ssh.read_version(data) == (b"SSH-2.0-OpenSSH_9.2 Debian", len(data) - 2)
    assert ssh.read_version(b"SSH-2.0-x\n") == (b"SSH-2.0-x", 10)


@pytest.mark.parametrize("data", [b"", b"SSH-2.0-x", b"hello\nSSH-"])
def test_more_is_needed(data: bytes) -> None:
    with pytest.raises(NeedMore):
        ssh.read_version(data)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-1.99-old\r\n", b"SSH-2.0-\xff\r\n", b"SSH-2.0-\x1b\r\n", b"SSH-2.0-" + b"x" * 300 + b"\r\n",
        b"\n".join([b"x" * 50] * 100), b"x" * 5000,
    ],
)  # fmt: skip
def test_no_version_line(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        ssh.read_version(data)
    assert caught.value.code == "WIRE-SSH"


def test_an_offer_there_and_back() -> None:
    offer = OURS._replace(guessed=True, macs_out=("m",), languages_in=("en", "de"))
    message = ssh.write_offer(offer, bytes(16))
    assert message[0] == ssh.KEXINIT
    assert ssh.read_offer(message) == offer


@pytest.mark.parametrize("names", [b"a,,b", b"a" * 65, b"a\n", b",".join([b"a"] * 300)])
def test_names_of_algorithms_are_names(names: bytes) -> None:
    message = b"\x14" + bytes(16) + len(names).to_bytes(4, "big") + names + bytes(36 + 5)
    with pytest.raises(ProtocolError) as caught:
        ssh.read_offer(message)
    assert caught.value.code == "WIRE-SSH"


def test_an_offer_has_an_end() -> None:
    message = ssh.write_offer(OURS, bytes(16))
    for broken in (message[:-1], message + b"\0", message[:20]):
        with pytest.raises(ProtocolError):
            ssh.read_offer(broken)


def test_the_first_of_ours_that_they_have_is_taken() -> None:
    theirs = Offer(("b", "a"), ("h2",), ("c2", "c1"), ("c2",))
    assert ssh.agree(OURS, theirs) == ssh.Agreement("a", "h2", "c1", "c2", False)
    assert ssh.agree(OURS, theirs._replace(guessed=True)).wrong_guess
    assert ssh.agree(OURS, theirs._replace(guessed=True, kex=("a",))).wrong_guess
    assert not ssh.agree(OURS, theirs._replace(guessed=True, kex=("a",), host_keys=("h1",))).wrong_guess


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kex": ("z",)}, "key exchange"), ({"host_keys": ()}, "host key"), ({"ciphers_out": ("z",)}, "cipher"),
        ({"ciphers_in": ("z",)}, "cipher"), ({"compressions_out": ("zlib",)}, "compression"),
        ({"compressions_in": ("zlib",)}, "compression"),
    ],
)  # fmt: skip
def test_nothing_in_common(change: dict[str, tuple[str, ...]], said: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        ssh.agree(OURS, OURS._replace(**change))
    assert f"no {said} in common" in caught.value.what


def test_disconnects() -> None:
    message = ssh.write_disconnect(2, "no")
    assert ssh.read_disconnect(message) == (2, "no")
    assert ssh.read_disconnect(message[:-4]) == (2, "no"), "without a language"
    with pytest.raises(ProtocolError):
        ssh.read_disconnect(message[:8])
    assert len(ssh.text_of(b"\xff" * 5000)) == 1000
