"""`ssh_service`: this host as a server that people reach with SSH."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from teleport.base.errors import BadParameter, TeleportError
from teleport.base.struct import Duration, Struct, Switch
from teleport.model.address import Address, parse_addr
from teleport.model.config.section import Fault, OneOrMore, ServiceSection, addresses, trying
from teleport.model.later import Later, Unacted, UnactedSwitch
from teleport.model.naming import RESERVED_PREFIX, label_problem

SSH_PORT = 3022
LISTEN = f"0.0.0.0:{SSH_PORT}"
SHORTEST_PERIOD = Duration(1)
DISPLAYS = 1000
"""Displays from the first one, where the last one is not given."""
LAST_DISPLAY = 65535 - 6000
"""The last that has a TCP port."""
MOST_PAGES = 1024
_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")


class Command(Struct, frozen=True, kw_only=True):
    """A label whose value is the output of a command, run again each `period`."""

    name: str
    command: tuple[str, ...]
    period: Duration = Duration(60)


class X11(Struct, frozen=True, kw_only=True):
    """X11 displays that sessions may have."""

    enabled: Switch = Switch(False)
    display_offset: int = 10
    """First display that is used."""
    max_display: int | None = None
    """Last one; None: a thousand from the first."""

    @property
    def most(self) -> int:
        """Number of the last display that is used."""
        return min(self.display_offset + DISPLAYS, LAST_DISPLAY) if self.max_display is None else self.max_display


class EnhancedRecording(Struct, frozen=True, kw_only=True):
    """Recording of what the programs of sessions do, by the kernel."""

    enabled: Switch = Switch(False)
    command_buffer_size: int = 8
    """Pages of memory for each processor; there is one buffer, for all three together."""
    disk_buffer_size: int = 128
    network_buffer_size: int = 8
    cgroup_path: str = "/cgroup2"
    root_path: str = "/teleport"

    def faults(self) -> Iterator[tuple[str, TeleportError]]:
        """Return sizes and paths that cannot be."""
        for field in ("command_buffer_size", "disk_buffer_size", "network_buffer_size"):
            if not 0 < getattr(self, field) <= MOST_PAGES:
                yield field, _value(field, getattr(self, field), f"1 to {MOST_PAGES} pages")
        for field in ("cgroup_path", "root_path"):
            if not _PLAIN_PATH.fullmatch(getattr(self, field)):
                yield (
                    field,
                    _value(field, getattr(self, field), "a path like /cgroup2, of letters, digits, `_`, `.` and `-`"),
                )

    @property
    def pages(self) -> int:
        """The buffers together, in pages."""
        return self.command_buffer_size + self.disk_buffer_size + self.network_buffer_size


class SshSection(ServiceSection, frozen=True, kw_only=True):
    """The SSH service."""

    listen_addr: str = LISTEN
    public_addr: OneOrMore = ()
    labels: dict[str, str] = {}
    commands: tuple[Command, ...] = ()
    port_forwarding: Switch = Switch(True)
    ssh_file_copy: Switch = Switch(True)
    x11: X11 = X11()

    permit_user_env: UnactedSwitch = None
    disable_create_host_user: Switch = Switch(False)
    pam: Unacted = None
    enhanced_recording: EnhancedRecording = EnhancedRecording()
    force_listen: Annotated[Any, Later((True,))] = None
    allow_tcp_forwarding: UnactedSwitch = None

    @property
    def listen(self) -> Address:
        """Where the SSH server listens."""
        return parse_addr(self.listen_addr, SSH_PORT)

    @property
    def public(self) -> tuple[Address, ...]:
        """Addresses under which the server is reached; their hosts stand in its certificate."""
        return addresses(self.public_addr, self.listen.port or SSH_PORT)

    def faults(self) -> Iterator[Fault]:
        """Return addresses, labels and commands out of grammar."""
        yield from trying(("listen_addr",), lambda: self.listen)
        yield from trying(("public_addr",), addresses, self.public_addr, SSH_PORT)
        for key, value in self.labels.items():
            if problem := _problem(key, value):
                yield Fault(("labels", key), _label(key, problem))
        for field, error in self.enhanced_recording.faults():
            yield Fault(("enhanced_recording", field), error)
        taken = set(self.labels)
        for index, command in enumerate(self.commands):
            for field, error in _command_faults(command, taken):
                yield Fault(("commands", index, field), error)
            taken.add(command.name)
        if not 0 <= self.x11.display_offset <= LAST_DISPLAY:
            yield Fault(("x11", "display_offset"), _display(self.x11.display_offset, f"between 0 and {LAST_DISPLAY}"))
        elif not self.x11.display_offset <= self.x11.most <= LAST_DISPLAY:
            wanted = f"between display_offset and {LAST_DISPLAY}"
            yield Fault(("x11", "max_display"), _display(self.x11.most, wanted))


def _command_faults(command: Command, taken: set[str]) -> Iterator[tuple[str, TeleportError]]:
    if problem := _problem(command.name, "") or ("the name is given twice" if command.name in taken else ""):
        yield "name", _label(command.name, problem)
    if not command.command or not command.command[0] or any("\0" in word for word in command.command):
        yield "command", _label(command.name, "`command` is a list of the program and its arguments")
    if command.period < SHORTEST_PERIOD:
        yield "period", _label(command.name, f"the period is shorter than {SHORTEST_PERIOD}")


def _problem(key: str, value: str) -> str:
    if key.startswith(RESERVED_PREFIX):
        return f"labels that begin with {RESERVED_PREFIX} are the cluster's own"
    return label_problem(key, value)


def _display(number: int, wanted: str) -> BadParameter:
    return BadParameter("CONFIG-DISPLAY", number=number, wanted=wanted)


def _label(key: str, problem: str) -> BadParameter:
    return BadParameter("KIND-LABEL", kind="ssh_service", label=ascii(key[:60]), problem=problem)


def _value(what: str, value: object, known: str) -> BadParameter:
    return BadParameter("CONFIG-VALUE", what=what, value=ascii(value)[:60], known=known)
