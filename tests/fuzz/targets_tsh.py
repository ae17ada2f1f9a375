"""Targets of tsh: clients of SOCKS at a forwarded port, answers of SSH agents, and what people type."""

from __future__ import annotations

import contextlib

from teleport.base.errors import BadParameter
from teleport.cli.tsh import ssh_line
from teleport.client import forwards, ssh_targets
from teleport.client.forwards import Place, Unix
from teleport.wire import ssh_agent
from teleport.wire.buffer import NeedMore, ProtocolError, Writer
from teleport.wire.socks import LONGEST, Socks
from tests.fuzz.engine import Target, plain, register

_HELLO = b"\x05\x01\x00"
_OLD = b"\x04\x01\x00\x50\x00\x00\x00\x01me\0example.com\0"


def _played(pieces: list[bytes]) -> tuple[bytes, object, bytes]:
    socks, answers = Socks(), b""
    for at, piece in enumerate(pieces):
        try:
            answers += socks.feed(piece)
        except ProtocolError:
            return answers + socks.farewell, None, b""
        if socks.destination is not None:
            return answers, socks.destination, socks.early + b"".join(pieces[at + 1 :])
    return answers, None, b""


def _socks(data: bytes) -> object:
    """Where the bytes are cut makes no difference."""
    data = data[:LONGEST]
    whole = _played([data])
    assert _played([data[at : at + 1] for at in range(len(data))]) == whole
    return whole[0], whole[1] is None


register(
    Target(
        "wire.socks",
        plain(_socks),
        lambda: [
            _HELLO + b"\x05\x01\x00\x03\x0bexample.com\x01\xbbearly", _HELLO + b"\x05\x01\x00\x01\x7f\0\0\x01\0\x50",
            _HELLO + b"\x05\x01\x00\x04" + bytes(15) + b"\x01\0\x50", _OLD, b"\x04\x01\0\x50\x7f\0\0\x01\0",
        ],
        widths=(1,),
        dictionary=(_HELLO, _OLD, b"\0", b"\x03\x01a\0\x50"),
    )
)  # fmt: skip


def _agent(data: bytes) -> object:
    body, size = ssh_agent.frame(data)
    assert len(body) + 4 == size <= len(data)
    answers = []
    for read in (ssh_agent.read_identities, ssh_agent.read_signature, ssh_agent.read_success):
        try:
            answers.append(len(str(read(body))) > 4)
        except ProtocolError as error:
            answers.append(error.code == "WIRE-AGENT")
    return tuple(answers)


def _answers() -> list[bytes]:
    bodies = [
        bytes(Writer().u8(12).u32(2).vector32(b"key").vector32(b"one").vector32(b"").vector32(b"\xff")),
        bytes(Writer().u8(14).vector32(b"signature")), b"\x06", b"\x05",
    ]  # fmt: skip
    return [bytes(Writer().vector32(body)) for body in bodies]


register(
    Target(
        "wire.ssh_agent", plain(_agent), _answers, (ProtocolError, NeedMore), widths=(4,),
        dictionary=(b"\x0c", b"\x0e", b"\0\0\0\x01"),
    )
)  # fmt: skip


def _written(place: Place) -> str:
    if isinstance(place, Unix):
        return place.path
    return f"[{place.host}]:{place.port}" if place.host else f"*:{place.port}"


def _forward(data: bytes) -> object:
    """What was read can be written so that it comes back."""
    found = forwards.parse("LRD"[data[0] % 3] if data else "L", data[1:].decode("utf-8", "surrogateescape"))
    places = [found.listen, *([found.to] if found.to else [])]
    assert forwards.parse(found.option, ":".join(_written(place) for place in places)) == found
    return found.option, tuple(type(place) for place in places)


register(
    Target(
        "client.forwards", plain(_forward),
        lambda: [b"L8080:web:80", b"L[::1]:8080:[::1]:80", b"R0:a:1", b"D*:1080", b"L/tmp/s:/run/t", b"R/s:h:1"],
        (BadParameter,), dictionary=(b":", b"[", b"]", b"/", b"*", b"80", b"[::1]"),
    )
)  # fmt: skip


def _words(data: bytes) -> object:
    text = data.decode("utf-8", "surrogateescape")
    options: object = None
    with contextlib.suppress(BadParameter):
        options = ssh_line.options([text])
    found = ssh_targets.parse(text)
    assert found.host or found.labels
    return bool(found.login), bool(found.labels), options is None


register(
    Target(
        "tsh.words", plain(_words),
        lambda: [b"alice@node-1:22", b'a@b@owner="x@y, z",k=v', b"LocalForward 80:a:1", b"User = x", b"env=prod,a=b"],
        (BadParameter,), dictionary=(b"@", b"=", b",", b'"', b" "),
    )
)  # fmt: skip
