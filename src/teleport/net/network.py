"""Network: dialling and listening, injected, so that simulations run on memory instead.

What is here: the protocol and the system's network (TCP and unix sockets). What is not: the memory network
(`net.memory_network`), name resolution (`net.dial`), TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator, MutableMapping
from typing import Any, Protocol

from teleport.base import log
from teleport.base.errors import AccessDenied, BadParameter, TeleportError, Unavailable
from teleport.net.dial import Address, dial, parse_address, resolve
from teleport.net.listen import ErrorSink, Handler, Limits, Listener, SocketListener
from teleport.net.socket_stream import SocketStream, format_address
from teleport.net.stream import Stream


class Network(Protocol):
    """Where connections come from."""

    async def dial(self, address: str) -> Stream:
        """Connect to `host:port` or `unix:/path`. Raises what `net.dial.dial` raises."""
        ...

    async def listen(self, address: str, handler: Handler, *, limits: Limits | None = None) -> Listener:
        """Serve connections to `address`; port 0 takes a free one. See `SystemNetwork.listen`."""
        ...


def _log_error(error: BaseException) -> None:
    log.logger("NET").warn("connection failed", error=error)


class SystemNetwork:
    """The machine's network."""

    def __init__(
        self, *, timeout: float = 10.0, on_error: ErrorSink = _log_error,
        inherited: MutableMapping[str, socket.socket] | None = None,
    ) -> None:  # fmt: skip
        """`timeout`: seconds to connect. `on_error`: is told of failed handlers and of pauses in accepting.
        `inherited`: sockets that listen already, by address; each is used, and taken out, by who listens there."""
        self._timeout = timeout
        self._on_error = on_error
        self._inherited = inherited if inherited is not None else {}
        self._listening: dict[str, socket.socket] = {}
        self.given_away = False
        """Whether another process has these sockets now: paths of unix sockets are its own to remove."""

    def listening(self) -> dict[str, socket.socket]:
        """Return the sockets on which this network listens, by the address that was asked for."""
        return dict(self._listening)

    async def dial(self, address: str) -> SocketStream:
        """See Network.dial."""
        return await dial(address, timeout=self._timeout)

    async def listen(self, address: str, handler: Handler, *, limits: Limits | None = None) -> SocketListener:
        """Listen on `host:port`, `:port` (every address) or `unix:/path` (mode 0600).

        A unix socket that nobody answers is replaced. Raises BadParameter (NET-ADDRESS, NET-NOT-A-SOCKET,
        NET-LISTEN), Unavailable (NET-IN-USE, NET-DNS), AccessDenied (NET-DENIED).
        """
        where, bounds = parse_address(address), limits or Limits()
        sock = self._inherited.pop(address, None)
        if sock is None:
            sock = await _opened(where, bounds)
        sock.setblocking(False)
        name = str(where) if where.path else format_address(sock.getsockname())
        inode = _inode(where.path) if where.path else None
        self._listening[address] = sock

        def closed() -> None:
            if self._listening.get(address) is sock:
                del self._listening[address]
            if inode is not None and not self.given_away:
                _unlink_own(where.path, inode)

        return SocketListener(sock, name, handler, bounds, on_error=self._on_error, cleanup=closed)


async def _opened(where: Address, bounds: Limits) -> socket.socket:
    try:
        sock = await _open_unix(where) if where.path else await _open_tcp(where)
    except OSError as error:
        raise _listen_error(where, error) from error
    try:
        sock.listen(bounds.backlog)
    except OSError as error:
        sock.close()
        raise _listen_error(where, error) from error
    return sock


async def _open_tcp(where: Address) -> socket.socket:
    family, name = (await resolve(where, passive=True))[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # [::] serves IPv4 as well, whatever the host's default is
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(name)
    except BaseException:
        sock.close()
        raise
    return sock


async def _open_unix(where: Address) -> socket.socket:
    with await _lock_directory(os.path.dirname(where.path), where):
        _remove_stale(where)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)  # the socket must not be open to others even for a moment
        try:
            sock.bind(where.path)
        except BaseException:
            sock.close()
            raise
        finally:
            os.umask(mask)
        return sock


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


async def _lock_directory(path: str, where: Address) -> contextlib.AbstractContextManager[None]:
    """Lock the directory of a socket: two starting processes must not both replace a stale one."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(100):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(0.02)
        else:
            return _closing(descriptor)
    os.close(descriptor)
    raise Unavailable("NET-IN-USE", address=where)


def _remove_stale(where: Address) -> None:
    """Remove a socket at the path if nobody listens on it; never anything else."""
    try:
        status = os.lstat(where.path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise BadParameter("NET-NOT-A-SOCKET", address=where)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(where.path)
        except ConnectionRefusedError:
            os.unlink(where.path)
            return
        except BlockingIOError:  # its queue is full, so somebody owns it
            pass
    raise Unavailable("NET-IN-USE", address=where)


def _inode(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _unlink_own(path: str, inode: tuple[int, int]) -> None:
    """Remove the socket at `path` if it is still the one that was made here."""
    with contextlib.suppress(OSError):
        if _inode(path) == inode:
            os.unlink(path)


def _listen_error(where: Address, error: OSError) -> TeleportError:
    reason: Any = error.strerror or type(error).__name__
    if error.errno == errno.EADDRINUSE:
        return Unavailable("NET-IN-USE", address=where)
    if error.errno in (errno.EACCES, errno.EPERM):
        return AccessDenied("NET-DENIED", address=where, reason=reason)
    return BadParameter("NET-LISTEN", address=where, reason=reason)
