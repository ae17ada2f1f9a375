"""What the SSH service and its spawner say to each other: one bounded message a datagram.

Both ends import this file, so it knows neither sockets nor the event loop. The pipe ends of a command
travel beside `Start` as file descriptors: standard input, output and error, in this order.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct

MESSAGE_BYTES = 192 * 1024
"""Largest message either way. A datagram of this size fits the default buffer of a socket."""
COMMAND_BYTES = 128 * 1024 - 1
"""Longest command line: the kernel's own limit of one argument (MAX_ARG_STRLEN) without its last NUL."""
ENVIRONMENT_BYTES = 32 * 1024
ENVIRONMENT_ENTRIES = 256
DESCRIPTORS = 3

SignalName = Literal[
    "ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"
]  # fmt: skip
"""Signals that a client may send to its command (RFC 4254 §6.10)."""


class Start(Struct, frozen=True, kw_only=True, tag=True):
    """Start `command` with the login's shell, as that login."""

    id: int
    """Chosen by the service; later messages about the command carry it."""
    login: str
    command: bytes
    environment: dict[str, str]
    """Facts of the session, names `SSH_*` only; the rest of the environment is the spawner's own."""


class Signal(Struct, frozen=True, kw_only=True, tag=True):
    """Send a signal to the command's process group."""

    id: int
    name: SignalName


class HangUp(Struct, frozen=True, kw_only=True, tag=True):
    """The client is gone before the session was over: SIGHUP to the process group now, SIGKILL when the grace
    is over. The last message about a command."""

    id: int


class Release(Struct, frozen=True, kw_only=True, tag=True):
    """The session is over: the command has ended and what it left running is on its own. The last message
    about a command."""

    id: int


class Started(Struct, frozen=True, kw_only=True, tag=True):
    """The shell is running."""

    id: int
    pid: int


class Refused(Struct, frozen=True, kw_only=True, tag=True):
    """The command was not started: an error of the catalogue, as data."""

    id: int
    status: int
    """Status of the error's class (`base.errors.Kind.grpc`)."""
    code: str
    fields: dict[str, str] = {}


class Exited(Struct, frozen=True, kw_only=True, tag=True):
    """The shell ended: with a status, or by a signal."""

    id: int
    status: int = 0
    signal: int = 0
    """Number of the signal that ended it; 0 if it exited."""
    core_dumped: bool = False


Request = Start | Signal | HangUp | Release
Reply = Started | Refused | Exited

T = TypeVar("T")
_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    """Write a message. Raises BadParameter (SSH-SPAWN-MESSAGE) when it is larger than one may be."""
    data = _encoder.encode(message)
    if len(data) > MESSAGE_BYTES:
        raise BadParameter("SSH-SPAWN-MESSAGE", problem=f"{len(data)} bytes, at most {MESSAGE_BYTES}")
    return data


def decode_request(data: bytes) -> Request:
    """Read what the service sent. Raises BadParameter (SSH-SPAWN-MESSAGE)."""
    return _decode(data, _requests)


def decode_reply(data: bytes) -> Reply:
    """Read what the spawner sent. Raises BadParameter (SSH-SPAWN-MESSAGE)."""
    return _decode(data, _replies)


def _decode(data: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadParameter("SSH-SPAWN-MESSAGE", problem=str(error)[:200]) from None
