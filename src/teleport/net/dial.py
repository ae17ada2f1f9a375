"""Addresses and dialling: TCP and unix sockets, with a named error for each way to fail.

What is here: `parse_address`, and `dial`, which tries several addresses of a name side by side (RFC 8305).
What is not: TLS (`net.tls`), proxies on the way, or listening (`net.network`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from teleport.base import tasks
from teleport.base.errors import AccessDenied, BadParameter, TeleportError, TimedOut, Unavailable
from teleport.net.socket_stream import SocketStream

ATTEMPT_DELAY = 0.25
"""Seconds before the next address is tried beside the last one (RFC 8305 section 5)."""
_ATTEMPTS = 8
_HOST = re.compile(r"[A-Za-z0-9_*]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_PATH_LIMIT = 107


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is: host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, default_port: int | None = None) -> Address:
    """Read `host:port`, `[IPv6]:port` or `unix:/path`; an empty host is every address of this machine.

    Raises BadParameter (NET-ADDRESS). Without a port `default_port` is used, if there is one.
    """
    if text.startswith("unix:"):
        return _unix_address(text)
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _bad(text, "the bracket after the IPv6 address is missing")
        port = rest[1:] if rest else None
        _check_ip6(text, host)
    else:
        host, colon, after = text.partition(":")
        port = after if colon else None
        if ":" in after:
            raise _bad(text, "an IPv6 address stands in brackets")
        if host and (len(host) > 253 or not _HOST.fullmatch(host)):
            raise _bad(text, "the host name has characters that no name has")
    return Address(host, _port(text, port, default_port))


def _bad(text: str, problem: str) -> BadParameter:
    return BadParameter("NET-ADDRESS", value=text[:100], problem=problem)


def _unix_address(text: str) -> Address:
    path = text.removeprefix("unix:")
    if not path.startswith("/"):
        raise _bad(text, "the path of a unix socket starts with /")
    if not path.isprintable() or len(path.encode()) > _PATH_LIMIT:
        raise _bad(text, f"the path of a unix socket has at most {_PATH_LIMIT} bytes, all of them printable")
    return Address(path=path)


def _check_ip6(text: str, host: str) -> None:
    number, percent, zone = host.partition("%")
    try:
        socket.inet_pton(socket.AF_INET6, number)
    except (OSError, ValueError):
        raise _bad(text, "what stands in brackets is not an IPv6 address") from None
    if percent and not _ZONE.fullmatch(zone):
        raise _bad(text, "the zone after % is not the name of a network interface")


def _port(text: str, port: str | None, default: int | None) -> int:
    if port is None:
        if default is None:
            raise _bad(text, "the port is missing")
        return default
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise _bad(text, "a port is a number from 0 to 65535")
    return int(port)


async def dial(address: str | Address, *, timeout: float = 10.0) -> SocketStream:
    """Connect within `timeout` seconds.

    Raises BadParameter (NET-ADDRESS), Unavailable (NET-REFUSED, NET-DNS, NET-UNREACHABLE), AccessDenied
    (NET-DENIED), TimedOut (NET-TIMEOUT).
    """
    where = parse_address(address) if isinstance(address, str) else address
    try:
        async with asyncio.timeout(timeout):
            targets: list[tuple[int, Any]]
            targets = [(socket.AF_UNIX, where.path)] if where.path else await resolve(where)
            return SocketStream(await _race(targets, where))
    except TimeoutError:
        raise TimedOut("NET-TIMEOUT", address=where, seconds=f"{timeout:g}") from None


async def resolve(where: Address, *, passive: bool = False) -> list[tuple[int, Any]]:
    """Return family and socket name of each address of a host, families alternating (RFC 8305 section 4).

    Raises Unavailable (NET-DNS).
    """
    if (literal := _literal(where)) is not None:
        return [literal]
    flags = socket.AI_PASSIVE if passive else 0
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            where.host or None, where.port, type=socket.SOCK_STREAM, flags=flags
        )
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unavailable("NET-DNS", host=where.host, reason=reason) from error
    names = list(dict.fromkeys((family, name) for family, _, _, _, name in found))
    first = [name for name in names if name[0] == names[0][0]]
    others = [name for name in names if name[0] != names[0][0]]
    pairs = itertools.zip_longest(first, others)
    return [name for pair in pairs for name in pair if name is not None]


def _literal(where: Address) -> tuple[int, Any] | None:
    """Return the socket name of an IP address: a thread for the resolver costs more than the connection."""
    for family, rest in ((socket.AF_INET, ()), (socket.AF_INET6, (0, 0))):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, where.host)
            return family, (where.host, where.port, *rest)
    return None


async def _race(targets: Iterable[tuple[int, Any]], where: Address) -> socket.socket:
    """Connect to the first target that answers; each gets a head start over the next."""
    waiting = list(targets)[:_ATTEMPTS]
    if len(waiting) == 1:
        try:
            return await _connect(*waiting[0])
        except OSError as error:
            raise dial_error(where, error) from error
    running: set[asyncio.Task[socket.socket]] = set()
    failures: list[OSError] = []
    try:
        while waiting or running:
            if waiting:
                connect = _connect(*waiting.pop(0))
                running.add(tasks.spawn(connect, name=f"dial {where}", on_error=lambda error: None))
            done, running = await asyncio.wait(
                running, timeout=ATTEMPT_DELAY if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            if winner := _winner(done, failures):
                return winner
    finally:
        for task in running:
            task.add_done_callback(_discard)
            task.cancel()
    raise dial_error(where, failures[0])


def _winner(done: set[asyncio.Task[socket.socket]], failures: list[OSError]) -> socket.socket | None:
    winner: socket.socket | None = None
    for task in done:
        error = task.exception()
        if isinstance(error, OSError):
            failures.append(error)
        elif error is not None:
            raise error
        elif winner is None:
            winner = task.result()
        else:
            task.result().close()
    return winner


def _discard(task: asyncio.Task[socket.socket]) -> None:
    """Close the socket of an attempt that succeeded after the race was over."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect(family: int, name: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, name)
    except BaseException:
        sock.close()
        raise
    return sock


def dial_error(where: Address, error: OSError) -> TeleportError:
    """Return the named error for a connection attempt that the system refused."""
    reason = error.strerror or type(error).__name__
    number = error.errno or 0
    if number == errno.ECONNREFUSED:
        return Unavailable("NET-REFUSED", address=where)
    if number in (errno.EACCES, errno.EPERM):
        return AccessDenied("NET-DENIED", address=where, reason=reason)
    return Unavailable("NET-UNREACHABLE", address=where, reason=reason)
