"""Events of enhanced recording: what the programs of a session do, as the kernel tells it.

Texts of programs, paths and arguments are cut at 160 bytes; what would not show as itself is escaped (`\\x0a`).
"""

from __future__ import annotations

from typing import Annotated

from teleport.model.events.base import Level, Sensitive, event
from teleport.model.events.session import ServerEvent

_Number = Annotated[int, Level.PUBLIC]


class ProgramEvent(ServerEvent, frozen=True, kw_only=True):
    """Something that a process of a session did."""

    pid: _Number
    cgroup_id: _Number
    """The session's control group."""
    program: Sensitive
    """Name of the process."""


@event("T4000I")
class SessionCommand(ProgramEvent, frozen=True, kw_only=True, tag="session.command"):
    """A process executed a program, or tried to."""

    ppid: _Number
    path: Sensitive
    argv: Annotated[tuple[str, ...], Level.SENSITIVE] = ()
    """Arguments after the first, at most 19."""
    return_code: _Number
    """0, or the negative number of the error."""


@event("T4001I")
class SessionDisk(ProgramEvent, frozen=True, kw_only=True, tag="session.disk"):
    """A process opened a file for writing, or made one."""

    ppid: _Number
    path: Sensitive
    """As the process gave it: relative to its folder unless it begins with `/`."""
    flags: _Number
    """As of open(2)."""
    return_code: _Number
    """0, or the negative number of the error."""


@event("T4002I")
class SessionNetwork(ProgramEvent, frozen=True, kw_only=True, tag="session.network"):
    """A process began a TCP connection."""

    src_addr: Sensitive
    dst_addr: Sensitive
    dst_port: _Number
    version: _Number
    """4 or 6, of IP."""
    operation: _Number = 0
    """0: connect."""
    action: _Number = 0
    """0: allowed."""
