"""`tbot ssh-multiplexer-proxy-command SOCKET HOST:PORT` at once: connect, say where to, and hand the socket to `ssh`.

Where standard output is a socket, `ssh` waits there for a descriptor (ProxyUseFdpass, ssh_config(5)), and this process
ends. Where it is a pipe, bytes are carried. Nothing is imported before it is needed.
"""

from __future__ import annotations

import _socket
import os
import stat
import sys

TYPE_CHECKING = False  # without importing `typing`
if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK = 65536


def ssh_multiplexer_proxy_command(arguments: Sequence[str]) -> int | None:
    """Connect with a node through the multiplexer; None if the arguments are not a plain call."""
    if len(arguments) != 2 or any(not word or word.startswith("-") for word in arguments):
        return None
    connect(*arguments)
    return 0


def connect(path: str, target: str) -> None:
    """Do what the command is for. Raises Unavailable (CLIENT-MULTIPLEXER)."""
    sock = _socket.socket(_socket.AF_UNIX)
    try:
        sock.connect(path)
        sock.sendall(target.encode("utf-8", "surrogateescape") + b"\0")
    except OSError as error:
        sock.close()
        from teleport.base.errors import Unavailable

        raise Unavailable("CLIENT-MULTIPLEXER", path=path, problem=error.strerror or error) from None
    if stat.S_ISSOCK(os.fstat(1).st_mode):
        _hand_over(sock)
    else:
        _carry(sock)


def _hand_over(sock: _socket.socket) -> None:
    """Give the descriptor to `ssh`, which wants one byte with it (OpenSSH's monitor_fdpass.c)."""
    number = sock.fileno().to_bytes(4, sys.byteorder)
    whom = _socket.socket(fileno=os.dup(1))
    whom.sendmsg([b"\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, number)])


def _carry(sock: _socket.socket) -> None:
    """Copy both ways until the node has ended."""
    import select

    sources = {0: sock.fileno(), sock.fileno(): 1}
    while sock.fileno() in sources:
        for source in select.select(list(sources), [], [])[0]:
            data = os.read(source, _CHUNK)
            if data:
                _write(sources[source], data)
            else:
                del sources[source]
                if source == 0:
                    sock.shutdown(_socket.SHUT_WR)


def _write(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]
