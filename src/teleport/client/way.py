"""Ways to a proxy that are not straight, for programs without an event loop: through HTTP CONNECT proxies and load
balancers that end TLS.

What is found on the way stands in `net.way`; a thread of its own drives it, and this side gets a socket. Imported only
where the environment or the sign-in says that it is needed, or something has failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import TypeVar

from teleport.base.entropy import Entropy, SystemEntropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.net.network import Network, SystemNetwork
from teleport.net.relay import Relay
from teleport.net.socket_stream import SocketStream
from teleport.net.stream import Stream
from teleport.net.way import Way

T = TypeVar("T")

_SIGNS = ("CLIENT-NO-WAY", "CLIENT-NOT-TLS", "NET-RESET", "NET-TLS-")


def way(
    address: str, between: Mapping[str, str], *, upgrade: bool | None = None, network: Network | None = None,
    entropy: Entropy | None = None,
) -> Way:  # fmt: skip
    """Return the way to a proxy of a cluster whose authorities are known: they prove who answers, not a load
    balancer's certificate. `between` are the variables of the environment (`client.profile.between`)."""
    return Way(
        address, network=network or SystemNetwork(), entropy=entropy or SystemEntropy(), environment=between,
        insecure=True, upgrade=upgrade,
    )  # fmt: skip


def carrier(address: str, between: Mapping[str, str], *, upgraded: bool) -> socket.socket:
    """Return a connection on which the proxy awaits the real TLS handshake. Raises what `Way.carrier` raises."""
    return _socket(way(address, between, upgrade=True if upgraded else None).carrier)


def straight(address: str, between: Mapping[str, str]) -> socket.socket:
    """Return a connection to what answers at an address, for HTTPS. Raises what `Way.reach` raises."""
    return _socket(way(address, between).reach)


def must_upgrade(address: str, between: Mapping[str, str]) -> bool:
    """Say whether TLS ends before the proxy. What cannot be found out now shows when it is needed."""
    try:
        return asyncio.run(way(address, between).find_out())
    except TeleportError:
        return False


def explained(error: TeleportError, address: str, between: Mapping[str, str]) -> TeleportError:
    """Return a better error for a connection to a proxy that failed, if a load balancer is why."""
    if not error.code.startswith(_SIGNS) or error.code.startswith("NET-TLS-REFUSED"):
        return error
    if not must_upgrade(address, between):
        return error
    better = Unavailable("CLIENT-BALANCER", address=address, problem=error.what)
    better.__cause__ = error
    return better


def _socket(open_stream: Callable[[], Awaitable[Stream]]) -> socket.socket:
    found: Future[socket.socket] = Future()
    threading.Thread(target=lambda: asyncio.run(_drive(open_stream, found)), name="way", daemon=True).start()
    return found.result()


async def _drive(open_stream: Callable[[], Awaitable[Stream]], found: Future[socket.socket]) -> None:
    """Hand over the socket of a plain connection; for any other one end of a pair, and copy until both have ended."""
    try:
        stream = await open_stream()
    except BaseException as error:
        found.set_exception(error)
        return
    if isinstance(stream, SocketStream):
        found.set_result(stream.detach())
        return
    ours, theirs = socket.socketpair()
    here = SocketStream(theirs)
    found.set_result(ours)
    with contextlib.suppress(TeleportError):
        await Relay(here, stream).run()
