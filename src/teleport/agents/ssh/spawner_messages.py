"""What the SSH service and its spawner say to each other: one bounded message a datagram.

Both ends import this file, so it knows neither sockets nor the event loop, and little else: the spawner lives as
long as the service and should cost next to nothing. Beside `Start` travel file descriptors: standard input, output
and error of the command, in this order, or the one terminal that is all of them.

A message is a JSON object whose `kind` is the name of one of the classes below, and whose other fields are theirs. The
command, which may be any bytes but NUL, follows the object of `Start` after a NUL.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, NamedTuple, get_args

from teleport.base.errors import BadParameter

MESSAGE_BYTES = 192 * 1024
"""Largest message either way. A datagram of this size fits the default buffer of a socket."""
COMMAND_BYTES = 128 * 1024 - 1
"""Longest command line: the kernel's own limit of one argument (MAX_ARG_STRLEN) without its last NUL."""
ENVIRONMENT_BYTES = 32 * 1024
ENVIRONMENT_ENTRIES = 256
DESCRIPTORS = 3
VARIABLE = re.compile(
    r"SSH_[A-Z][A-Z0-9_]{0,60}|TERM|LANG|LC_[A-Z]{1,40}|TELEPORT_SSH_JOIN_MODE"
    r"|TELEPORT_SESSION_(?:REASON|INVITED_USERS|PARTICIPANT_REQUIREMENTS)"
)
"""Names of variables that may come with a command: nothing that tells a program what to load or to run."""

SignalName = Literal[
    "ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"
]  # fmt: skip
"""Signals that a client may send to its command (RFC 4254 §6.10)."""


class Start(NamedTuple):
    """Start `command` with the login's shell, as that login; an empty one starts the shell itself, as at a login."""

    id: int
    """Chosen by the service; later messages about the command carry it."""
    login: str
    command: bytes
    environment: dict[str, str]
    """Facts of the session and what the client may say, names of VARIABLE only; the rest is the spawner's own."""
    terminal: bool = False
    """Whether the one descriptor is the slave side of a terminal, which becomes the user's."""


class Signal(NamedTuple):
    """Send a signal to the command's process group."""

    id: int
    name: SignalName


class HangUp(NamedTuple):
    """The client is gone before the session was over: SIGHUP to the process group now, SIGKILL when the grace
    is over. The last message about a command."""

    id: int


class Release(NamedTuple):
    """The session is over: the command has ended and what it left running is on its own. The last message
    about a command."""

    id: int


class Started(NamedTuple):
    """The shell is running."""

    id: int
    pid: int


class Refused(NamedTuple):
    """The command was not started: an error of the catalogue, as data."""

    id: int
    status: int
    """Status of the error's class (`base.errors.Kind.grpc`)."""
    code: str
    fields: dict[str, str]


class Exited(NamedTuple):
    """The shell ended: with a status, or by a signal."""

    id: int
    status: int = 0
    signal: int = 0
    """Number of the signal that ended it; 0 if it exited."""
    core_dumped: bool = False


Request = Start | Signal | HangUp | Release
Reply = Started | Refused | Exited

_REQUESTS: tuple[type[Any], ...] = get_args(Request)
_REPLIES: tuple[type[Any], ...] = get_args(Reply)
_TEXTS = frozenset({"environment", "fields"})
"""Fields that are tables of texts; of all others the type is a simple one."""
_TYPES = {"login": str, "name": str, "code": str, "core_dumped": bool, "terminal": bool}
"""Types of fields that are not numbers."""


def encode(message: Request | Reply) -> bytes:
    """Write a message. Raises BadParameter (SSH-SPAWN-MESSAGE) when it is larger than one may be."""
    fields = message._asdict()
    command = fields.pop("command", None)
    data = json.dumps({"kind": type(message).__name__, **fields}).encode()
    if command is not None:
        data += b"\0" + command
    if len(data) > MESSAGE_BYTES:
        raise BadParameter("SSH-SPAWN-MESSAGE", problem=f"{len(data)} bytes, at most {MESSAGE_BYTES}")
    return data


def decode_request(data: bytes) -> Request:
    """Read what the service sent. Raises BadParameter (SSH-SPAWN-MESSAGE)."""
    found: Request = _decode(data, _REQUESTS)
    return found


def decode_reply(data: bytes) -> Reply:
    """Read what the spawner sent. Raises BadParameter (SSH-SPAWN-MESSAGE)."""
    found: Reply = _decode(data, _REPLIES)
    return found


def _decode(data: bytes, known: tuple[type[Any], ...]) -> Any:
    head, mark, command = data.partition(b"\0")
    try:
        fields = json.loads(head)
    except (ValueError, RecursionError) as error:
        raise _bad(f"it is not JSON: {error}") from None
    kind = fields.pop("kind", None) if isinstance(fields, dict) else None
    shape = next((each for each in known if each.__name__ == kind), None)
    if shape is None:
        raise _bad(f"no message of the kind {ascii(kind)[:40]} is known here")
    if mark:
        fields["command"] = command
    wanted = set(shape._fields)
    if not wanted - set(shape._field_defaults) <= fields.keys() <= wanted:
        raise _bad(f"its fields are not those of {kind}")
    for name, value in fields.items():
        if not _fits(name, value):
            raise _bad(f"{name} has another type")
    return shape(**fields)


def _fits(name: str, value: object) -> bool:
    """Say whether a field has its type, exactly: JSON's `true` is no number here."""
    if name in _TEXTS:
        return isinstance(value, dict) and all(type(text) is str for text in value.values())
    if name == "command":
        return type(value) is bytes
    return type(value) is _TYPES.get(name, int) and (name != "name" or value in get_args(SignalName))


def _bad(problem: str) -> BadParameter:
    return BadParameter("SSH-SPAWN-MESSAGE", problem=problem[:200])
