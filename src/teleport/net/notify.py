"""Telling the service manager how this process is: one datagram to the socket in NOTIFY_SOCKET (sd_notify(3))."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping

VARIABLE = "NOTIFY_SOCKET"
READY, STOPPING = "READY=1", "STOPPING=1"


def tell(environment: Mapping[str, str], state: str) -> None:
    """Say `state`; nothing happens where nobody wants to know, or nobody listens any more."""
    path = environment.get(VARIABLE, "")
    if not path.startswith(("/", "@")):
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.setblocking(False)
        sock.sendto(state.encode(), address)
