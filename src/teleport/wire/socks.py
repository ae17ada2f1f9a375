"""SOCKS, a server's side of versions 5 (RFC 1928), 4 and 4a (Y. Lee's memos): CONNECT, without authentication.

What is here: an engine for one connection, from its first byte to the answer. What is not: sockets, looking names up
(a name goes on to the other end as it is), BIND, UDP and passwords, which are refused with the answer that SOCKS has.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from teleport.wire.buffer import NeedMore, ProtocolError, Reader, Writer

LONGEST = 600
"""Bytes that a client may send before it is answered; a request of version 4a with longest names has 520."""

_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_OPEN, _NO_AUTHENTICATION, _NO_METHOD = 0, 0, 255
_FAILED, _UNREACHABLE, _REFUSED, _BAD_COMMAND, _BAD_ADDRESS = 1, 4, 5, 7, 8
_GRANTED_4, _FAILED_4 = 90, 91


class Destination(NamedTuple):
    """Where a client wants to go."""

    host: str
    """A name, or an address as text."""
    port: int


class Socks:
    """One connection. Feed what comes until `destination` is there, connect, then answer once."""

    def __init__(self) -> None:
        self.destination: Destination | None = None
        self.farewell = b""
        """What to send before closing, when `feed` has raised."""
        self._data = b""
        self._version = 0
        self._greeted = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the client; return what to send to it now, maybe nothing.

        Raises ProtocolError (WIRE-SOCKS) for what is no request, or none that is served; then send `farewell`.
        """
        if len(self._data) + len(data) > LONGEST:
            raise _bad("the request has no end")
        self._data += data
        answers = b""
        try:
            while self.destination is None:
                answers += self._step()
        except NeedMore:
            pass
        except ProtocolError:
            self.farewell = answers + self.farewell
            raise
        return answers

    @property
    def early(self) -> bytes:
        """What the client has sent behind its request: it belongs to the destination."""
        return self._data

    def opened(self) -> bytes:
        """Return the answer that there is a connection."""
        return _answer_4(_GRANTED_4) if self._version == 4 else _answer_5(_OPEN)

    def failed(self, *, refused: bool = False) -> bytes:
        """Return the answer that there is none; `refused`: the destination, or the node, does not want it."""
        if self._version == 4:
            return _answer_4(_FAILED_4)
        return _answer_5(_REFUSED if refused else _UNREACHABLE)

    def _step(self) -> bytes:
        """Read one message and take it off. Raises NeedMore."""
        reader = Reader(self._data, complete=False)
        self._version = reader.u8()
        if self._version == 4:
            self.destination, answer = self._request_4(reader), b""
        elif self._version != 5:
            raise _bad(f"version {self._version} is not known")
        elif not self._greeted:
            answer = self._greeting(reader)
        else:
            self.destination, answer = self._request_5(reader), b""
        self._data = self._data[reader.position :]
        return answer

    def _greeting(self, reader: Reader) -> bytes:
        if _NO_AUTHENTICATION not in reader.vector8():
            self.farewell = bytes((5, _NO_METHOD))
            raise _bad("the client wants to authenticate")
        self._greeted = True
        return bytes((5, _NO_AUTHENTICATION))

    def _request_5(self, reader: Reader) -> Destination:
        command, _, kind = reader.u8(), reader.u8(), reader.u8()
        if command != _CONNECT:
            self.farewell = _answer_5(_BAD_COMMAND)
            raise _bad(f"command {command} is not served")
        if kind not in (_IPV4, _NAME, _IPV6):
            self.farewell = _answer_5(_BAD_ADDRESS)
            raise _bad(f"address type {kind} is not known")
        self.farewell = _answer_5(_FAILED)
        if kind == _NAME:
            host = _name(reader.vector8())
        else:
            host = str(ipaddress.ip_address(reader.take(4 if kind == _IPV4 else 16)))
        return Destination(host, _port(reader.u16()))

    def _request_4(self, reader: Reader) -> Destination:
        self.farewell = _answer_4(_FAILED_4)
        command, port, address = reader.u8(), reader.u16(), reader.take(4)
        _text(reader)  # the user's name, which proves nothing
        if command != _CONNECT:
            raise _bad(f"command {command} is not served")
        if address[:3] == b"\0\0\0" and address[3]:  # version 4a: a name follows
            return Destination(_name(_text(reader)), _port(port))
        return Destination(str(ipaddress.IPv4Address(address)), _port(port))


def _text(reader: Reader) -> bytes:
    """Take a text that ends with a zero."""
    text = bytearray()
    while byte := reader.u8():
        text.append(byte)
        if len(text) > 255:
            raise _bad("a name is too long")
    return bytes(text)


def _name(data: bytes) -> str:
    try:
        name = data.decode("ascii")
    except UnicodeDecodeError:
        name = ""
    if not name or not name.isprintable() or " " in name:
        raise _bad("this is no name of a host")
    return name


def _port(number: int) -> int:
    if not number:
        raise _bad("port 0 is none")
    return number


def _answer_5(status: int) -> bytes:
    return bytes(Writer().u8(5).u8(status).u8(0).u8(_IPV4).u32(0).u16(0))


def _answer_4(status: int) -> bytes:
    return bytes(Writer().u8(0).u8(status).u16(0).u32(0))


def _bad(problem: str) -> ProtocolError:
    return ProtocolError("WIRE-SOCKS", problem=problem)
