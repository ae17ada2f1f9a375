"""Facts of this process as the kernel tells them: CPU time, memory, descriptors, threads.

Every number is 0 where the system does not say. Used by dumps and metrics.
"""

from __future__ import annotations

import os
import resource
import socket
import threading
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Facts:
    """One look at the process."""

    cpu_seconds: float
    """User and system time together, since the start."""
    resident: int
    """Bytes of memory in use."""
    virtual: int
    """Bytes of address space."""
    descriptors: int
    descriptors_limit: int
    threads: int
    usable_cpus: int
    """CPUs that this process may run on."""
    cpus: int
    start_time: float
    """Seconds since 1970."""


def look(proc: Path = Path("/proc")) -> Facts:
    """Read the facts of this process."""
    times = os.times()
    pages = [int(word) for word in _text(proc / "self/statm").split()[:2]] or [0, 0]
    size = os.sysconf("SC_PAGE_SIZE")
    return Facts(
        cpu_seconds=times.user + times.system,
        resident=pages[1] * size,
        virtual=pages[0] * size,
        descriptors=_count(proc / "self/fd"),
        descriptors_limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        threads=_count(proc / "self/task") or threading.active_count(),
        usable_cpus=len(os.sched_getaffinity(0)),
        cpus=os.cpu_count() or 1,
        start_time=_started(proc),
    )


def outward_address() -> str:
    """Return the IP address from which this machine reaches others; empty without a network. Asks the routing table
    and sends nothing: 192.0.2.1 is nobody's (RFC 5737)."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def _started(proc: Path) -> float:
    """The kernel counts ticks since it booted; both moments are in the same clock."""
    after_name = _text(proc / "self/stat").rpartition(")")[2].split()
    booted = [line.split()[1] for line in _text(proc / "stat").splitlines() if line.startswith("btime ")]
    if len(after_name) < 20 or not booted:
        return 0.0
    return int(booted[0]) + int(after_name[19]) / os.sysconf("SC_CLK_TCK")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _count(path: Path) -> int:
    try:
        return len(os.listdir(path))
    except OSError:
        return 0
