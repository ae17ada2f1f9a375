"""What the SSH service and its spawner say to each other: one bounded message a datagram.

Both ends import this file, so it knows neither sockets nor the event loop, and little else: the spawner lives as
long as the service and should cost next to nothing. Beside `Start` travel file descriptors: standard input, output
and error of the command, in this order, or the one terminal that is all of them; beside `Helper` the one socket that
the helper serves. `Trust` comes first and once; then a connection is admitted by its proof, and only what names
an admission starts.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, get_args

from teleport.agents.ssh.datagrams import Book

MESSAGE_BYTES = 192 * 1024
"""Largest message either way. A datagram of this size fits the default buffer of a socket."""
COMMAND_BYTES = 128 * 1024 - 1
"""Longest command line: the kernel's own limit of one argument (MAX_ARG_STRLEN) without its last NUL."""
ENVIRONMENT_BYTES = 32 * 1024
ENVIRONMENT_ENTRIES = 256
DESCRIPTORS = 3
HOST_USERS = "host-users"
"""Word on the spawner's command line that lets it make accounts."""
VARIABLE = re.compile(
    r"SSH_[A-Z][A-Z0-9_]{0,60}|TERM|DISPLAY|LANG|LC_[A-Z]{1,40}|TELEPORT_SSH_JOIN_MODE"
    r"|TELEPORT_SESSION_(?:REASON|INVITED_USERS|PARTICIPANT_REQUIREMENTS)"
)
"""Names of variables that may come with a command: nothing that tells a program what to load or to run."""

SignalName = Literal[
    "ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"
]  # fmt: skip
"""Signals that a client may send to its command (RFC 4254 §6.10)."""


class Trust(NamedTuple):
    """What holds for the life of the spawner: the cluster, its user authorities, and whether accounts are made."""

    id: int
    cluster: str
    authorities: dict[str, str]
    """Public keys, as lines of a `.pub` file, with the cluster that each speaks for."""
    host_users: bool = False
    """Whether `Provision` and `Sweep` are heeded."""


class Admit(NamedTuple):
    """A client logged in: here is the proof. What is admitted is named by this message's id from then on."""

    id: int
    login: str
    session_id: bytes
    message: bytes
    """The signed request to authenticate (RFC 4252 §7); the certificate stands in it."""
    signature: bytes
    source: str
    """The client's address where it is proven, else empty."""


class Dismiss(NamedTuple):
    """The connection is over: nothing more starts in its name, and its helper ends."""

    id: int


class Helper(NamedTuple):
    """Start the user-side helper of an admission, which serves the socket that comes along."""

    id: int
    admission: int


class Provision(NamedTuple):
    """See to it that the login of an admission has an account, as roles want it. It is kept at least until the last
    admission that asked for it is over."""

    id: int
    admission: int
    mode: Literal["keep", "insecure-drop"]
    groups: str
    """Names of groups, separated by commas."""
    sudoers: str
    """Lines of sudoers(5) without the user, separated by line ends."""
    uid: str
    gid: str
    """Numbers, or empty: the system chooses."""
    shell: str
    """A path, a name on PATH, or empty."""


class Sweep(NamedTuple):
    """Remove accounts that an earlier run made and could not remove."""

    id: int


class Observe(NamedTuple):
    """Start bpftrace for enhanced recording; its output goes to the descriptor that comes along."""

    id: int
    mount: str
    """Where the hierarchy of control groups is, or is to be mounted."""
    root: str
    """Folder of our groups in it."""
    pages: int
    """Pages of the kernel's buffer on each processor."""


class Group(NamedTuple):
    """Make a control group."""

    id: int
    name: str


class Ungroup(NamedTuple):
    """Let a control group go when it is empty. There is no answer."""

    id: int
    name: str


class Start(NamedTuple):
    """Start `command` with the login's shell, as that login; an empty one starts the shell itself, as at a login."""

    id: int
    """Chosen by the service; later messages about the command carry it."""
    admission: int
    login: str
    command: bytes
    environment: dict[str, str]
    """Facts of the session and what the client may say, names of VARIABLE only; the rest is the spawner's own."""
    terminal: bool = False
    """Whether the one descriptor is the slave side of a terminal, which becomes the user's."""
    group: str = ""
    """The control group that the command runs in, made before."""


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


class Accepted(NamedTuple):
    """`Trust` holds, or `Admit` was believed."""

    id: int


class Grouped(NamedTuple):
    """A control group was made."""

    id: int
    group: int
    """Its number, as the kernel tells it."""


class Provisioned(NamedTuple):
    """The account is there."""

    id: int
    created: bool
    """Whether it was made for this."""
    managed: bool
    """Whether it is one of those that are made for logins; an administrator's own stay as they are."""


class Removed(NamedTuple):
    """An account was removed, or could not be. `id` is that of the `Sweep`, or 0 after the last session."""

    id: int
    login: str
    problem: str


class Started(NamedTuple):
    """The shell, or the helper, is running."""

    id: int
    pid: int


class Refused(NamedTuple):
    """It was not done: an error of the catalogue, as data."""

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


Request = (
    Trust | Admit | Dismiss | Helper | Provision | Sweep | Observe | Group | Ungroup | Start | Signal | HangUp | Release
)
Reply = Accepted | Grouped | Provisioned | Removed | Started | Refused | Exited

_REQUESTS = Book(*get_args(Request), limit=MESSAGE_BYTES)
_REPLIES = Book(*get_args(Reply), limit=MESSAGE_BYTES)


def encode(message: Request | Reply) -> bytes:
    """Write one message. Raises BadParameter (SSH-SPAWN-MESSAGE) when it is larger than one may be."""
    return _REQUESTS.encode(message)


def decode_request(data: bytes) -> Request:
    """Read what the service sent. Raises BadParameter (SSH-SPAWN-MESSAGE)."""
    found: Request = _REQUESTS.decode(data)
    return found


def decode_reply(data: bytes) -> Reply:
    """Read what the spawner sent. Raises BadParameter (SSH-SPAWN-MESSAGE)."""
    found: Reply = _REPLIES.decode(data)
    return found
