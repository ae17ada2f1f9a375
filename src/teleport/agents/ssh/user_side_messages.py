"""What the SSH Service and a user-side helper say to each other: one bounded message a datagram.

Both ends import this file. Answers carry descriptors: the sockets that were asked for. The helper works on several
requests at a time, so answers come in any order and name their request.
"""

from __future__ import annotations

from typing import NamedTuple, get_args

from teleport.agents.ssh.datagrams import Book
from teleport.agents.ssh.spawner_messages import Refused

MESSAGE_BYTES = 4096
"""Largest request."""
REPLY_BYTES = 16 * 1024
FIELD_CHARACTERS = 300
"""Longest field of a refusal: four of them fit a reply, whatever they hold."""
DESCRIPTORS = 2
"""Most descriptors of an answer: a display listens at two addresses."""
REQUESTS = 32
"""Requests that may be under way at one time; the datagrams of so many fit the buffer of a socket."""
HOST_CHARACTERS = 255
PATH_BYTES = 107
"""Longest path of a unix socket (`sun_path` of unix(7), with its NUL 108)."""
COOKIE_BYTES = 64
SECONDS = 30.0
"""Longest time that a request takes."""


class ConnectTcp(NamedTuple):
    """Connect to a host and port."""

    id: int
    host: str
    port: int


class ConnectUnix(NamedTuple):
    """Connect to a unix socket."""

    id: int
    path: bytes


class ListenTcp(NamedTuple):
    """Listen at an address; an empty host or `*` means every one."""

    id: int
    host: str
    port: int


class ListenUnix(NamedTuple):
    """Listen at a path that does not exist yet."""

    id: int
    path: bytes


class ListenAgent(NamedTuple):
    """Listen at a fresh path in a folder of its own."""

    id: int


class OpenDisplay(NamedTuple):
    """Listen at the first free X11 display from `offset` to `most`, and write its cookie."""

    id: int
    offset: int
    most: int
    screen: int
    protocol: str
    cookie: bytes


class ServeSftp(NamedTuple):
    """Serve the account's files."""

    id: int
    read_only: bool


class Forget(NamedTuple):
    """Remove what the listener of an earlier request left on disk."""

    id: int
    listener: int
    """Id of that request."""


class Given(NamedTuple):
    """It was done; the sockets come along."""

    id: int
    port: int = 0
    path: bytes = b""
    name: str = ""


Request = ConnectTcp | ConnectUnix | ListenTcp | ListenUnix | ListenAgent | OpenDisplay | ServeSftp | Forget
Reply = Given | Refused

_REQUESTS = Book(*get_args(Request), limit=MESSAGE_BYTES)
_REPLIES = Book(*get_args(Reply), limit=REPLY_BYTES)


def encode(message: Request | Reply) -> bytes:
    """Write one message. Raises BadParameter (SSH-SPAWN-MESSAGE) when it is larger than one may be."""
    return (_REPLIES if isinstance(message, Reply) else _REQUESTS).encode(message)


def decode_request(data: bytes) -> Request:
    """Read what the service sent. Raises BadParameter (SSH-SPAWN-MESSAGE)."""
    found: Request = _REQUESTS.decode(data)
    return found


def decode_reply(data: bytes) -> Reply:
    """Read what the helper sent. Raises BadParameter (SSH-SPAWN-MESSAGE)."""
    found: Reply = _REPLIES.decode(data)
    return found
