"""Connecting and listening as the user: the functions behind the requests, each for any process to call.

They run in a helper, in threads: nothing here changes what threads share (umask, working directory). Paths
are opened as they are given: whose links lead where is decided by the kernel, with the account's rights.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - getaddrinfo needs it later, when it may not be readable
import errno
import os
import socket
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from teleport.agents.ssh import user_side_messages as messages
from teleport.base.entropy import Entropy, SystemEntropy
from teleport.base.errors import (
    AccessDenied,
    BadParameter,
    NotFound,
    TeleportError,
    Unavailable,
)

CONNECT_SECONDS = 20.0
"""Time for all addresses of a host together."""
ADDRESS_SECONDS = 10.0
"""Time for one of several addresses."""
ADDRESSES = 16
"""Addresses of a host that are tried."""
BACKLOG = 128
AGENT_FOLDERS = "/tmp"  # noqa: S108 - a fresh folder of mode 0700 there, as sshd does it
_PLACES = ("", "*")
_EVERY = ("::", "0.0.0.0")  # noqa: S104 - what a client asked for, and roles allow
_KINDS: dict[int, type[TeleportError]] = {
    errno.EACCES: AccessDenied, errno.EPERM: AccessDenied, errno.EROFS: AccessDenied,
    errno.ENOENT: NotFound, errno.ENOTDIR: NotFound,
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """Sockets to give away, and what there is to say about them."""

    sockets: tuple[socket.socket, ...] = ()
    port: int = 0
    path: bytes = b""
    name: str = ""
    leaves: tuple[Callable[[], None], ...] = field(default=())
    """What removes the traces of it on disk."""

    def remove(self) -> None:
        """Remove what is left on disk. Never raises OSError."""
        for each in self.leaves:
            try:
                each()
            except OSError:
                continue


def do(
    request: messages.ConnectTcp
    | messages.ConnectUnix
    | messages.ListenTcp
    | messages.ListenUnix
    | messages.ListenAgent,
    login: str,
) -> Made:
    """Do what a request about sockets asks for; `login` is for the words of a refusal."""
    if isinstance(request, messages.ConnectTcp):
        return Made((connect_tcp(request.host, request.port, login),))
    if isinstance(request, messages.ConnectUnix):
        return Made((connect_unix(request.path, login),))
    if isinstance(request, messages.ListenTcp):
        return listen_tcp(request.host, request.port, login)
    if isinstance(request, messages.ListenUnix):
        return listen_unix(request.path, login)
    return listen_agent(login, SystemEntropy())


def connect_tcp(host: str, port: int, login: str) -> socket.socket:
    """Connect to the first address of `host` that answers. Raises NotFound (SSH-USER-HOST), BadParameter
    (SSH-USER-PORT), AccessDenied or Unavailable (SSH-USER-CONNECT)."""
    if not 0 < port < 65536:
        raise BadParameter("SSH-USER-PORT", port=port, low=1)
    end = time.monotonic() + CONNECT_SECONDS
    problems: dict[str, OSError] = {}
    found = _addresses(host, port)
    for family, address in found:
        patience = min(end - time.monotonic(), ADDRESS_SECONDS if len(found) > 1 else CONNECT_SECONDS)
        if patience <= 0:
            break
        try:
            return _connected(family, address, patience)
        except OSError as error:
            problems[str(address[0])] = error
    last = list(problems.values())[-1]
    said = "; ".join(f"{where}: {_said(error)}" for where, error in problems.items())
    raise _kind(last)("SSH-USER-CONNECT", address=shown(host, port), login=login, problem=said[:400])


def _connected(family: socket.AddressFamily, address: Any, patience: float) -> socket.socket:
    """Return a non-blocking connected socket. Raises OSError."""
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.settimeout(patience)
        made.connect(address)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def _addresses(host: str, port: int) -> Sequence[tuple[socket.AddressFamily, Any]]:
    """Look a host up. Raises NotFound (SSH-USER-HOST)."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotFound("SSH-USER-HOST", host=host, problem=_said(error)) from None
    except UnicodeError:
        raise NotFound("SSH-USER-HOST", host=ascii(host), problem="it is no name of a host") from None
    return [(family, address) for family, _, _, _, address in found][:ADDRESSES]


def listen_tcp(host: str, port: int, login: str) -> Made:
    """Listen at the first address of `host` that can be had; an empty host or `*` means every address.

    Raises NotFound (SSH-USER-HOST), BadParameter (SSH-USER-PORT), AccessDenied or Unavailable (SSH-USER-LISTEN)."""
    if not 0 <= port < 65536:
        raise BadParameter("SSH-USER-PORT", port=port, low=0)
    problem = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    names: Iterable[str] = _EVERY if host in _PLACES else (host,)
    for name in names:
        for family, address in sorted(_addresses(name, port), key=lambda each: each[0] != socket.AF_INET):
            try:
                made = listening(family, address, both=name == _EVERY[0])
            except OSError as error:
                problem = error
            else:
                return Made((made,), port=made.getsockname()[1])
    raise _kind(problem)("SSH-USER-LISTEN", address=shown(host or "*", port), login=login, problem=_said(problem))


def listening(family: socket.AddressFamily, address: Any, *, both: bool = False) -> socket.socket:
    """Return a socket that listens at an address of its family; with `both`, an IPv6 one takes IPv4 too."""
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        made.bind(address)
        made.listen(BACKLOG)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def connect_unix(path: bytes, login: str) -> socket.socket:
    """Connect to a unix socket. Raises BadParameter (SSH-USER-PATH), NotFound, AccessDenied or Unavailable
    (SSH-USER-SOCKET)."""
    _check_path(path)
    try:
        return _connected(socket.AF_UNIX, path, ADDRESS_SECONDS)
    except OSError as error:
        raise _refused(path, login, error) from None


def listen_unix(path: bytes, login: str) -> Made:
    """Listen at a path that does not exist; not even a link may stand there. Raises like `connect_unix`."""
    _check_path(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(made.fileno(), 0o600)  # before it is bound: the file gets this mode (unix(7) is silent; Linux does)
        made.bind(path)
        own = os.lstat(path)
        made.listen(BACKLOG)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise _refused(path, login, error) from None
    return Made((made,), path=path, leaves=(lambda: remove_socket(path, own),))


def remove_socket(path: bytes, own: os.stat_result) -> None:
    """Remove a socket's file if it is still that file. Raises OSError."""
    found = os.lstat(path)
    if stat.S_ISSOCK(found.st_mode) and (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino):
        os.unlink(path)


def listen_agent(login: str, entropy: Entropy) -> Made:
    """Listen in a new folder that is the account's alone. Raises Unavailable (SSH-USER-SOCKET)."""
    folder = f"{AGENT_FOLDERS}/ssh-{entropy.token(8).hex()}".encode()
    try:
        os.mkdir(folder, 0o700)
    except OSError as error:
        raise _refused(folder, login, error) from None
    try:
        made = listen_unix(folder + b"/agent", login)
    except TeleportError:
        os.rmdir(folder)
        raise
    return Made(made.sockets, path=made.path, leaves=(*made.leaves, lambda: os.rmdir(folder)))


def shown(host: str, port: int) -> str:
    """Return an address as people write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_path(path: bytes) -> None:
    if not path.startswith(b"/") or b"\0" in path or len(path) > messages.PATH_BYTES:
        raise BadParameter("SSH-USER-PATH", path=_text(path), limit=messages.PATH_BYTES)


def _refused(path: bytes, login: str, error: OSError) -> TeleportError:
    return _kind(error)("SSH-USER-SOCKET", path=_text(path), login=login, problem=_said(error))


def _kind(error: OSError) -> type[TeleportError]:
    return _KINDS.get(error.errno or 0, Unavailable)


def _said(error: OSError) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else error.strerror or str(error)


def _text(path: bytes) -> str:
    return path.decode(errors="backslashreplace")[:200]
