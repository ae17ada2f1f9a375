"""Reach: a connection to a node through the proxy's one port, with the certificate of a profile.

Blocking, and quick to import, because `ssh` starts it for every connection. `client.ssh` asks the same on an
event loop.
"""

from __future__ import annotations

import _socket

from teleport.base.errors import TeleportError, Unavailable
from teleport.base.lean import TYPE_CHECKING, Iterator, contextmanager, ssl
from teleport.client.profile import MAX_FILE, Home, Profile
from teleport.client.stdio import BlockingTls
from teleport.pki import tls_client
from teleport.wire.reach import ALPN, Request, read_answer, write_request

if TYPE_CHECKING:
    import socket

CONNECT_TIMEOUT = 10.0
"""Seconds for the connection to the proxy."""
ANSWER_TIMEOUT = 45.0
"""Seconds for the handshake and for each step until the proxy has reached the node."""


def reach(home: Home, profile: Profile, request: Request, *, proxy: str = "") -> BlockingTls:
    """Return a connection whose next bytes are the node's, through the profile's proxy or another of its cluster.

    Raises what `knock`, `ask` and `enter` raise.
    """
    tls = knock(home, profile, proxy=proxy)
    ask(tls, request)
    return enter(tls)


def knock(home: Home, profile: Profile, *, proxy: str = "") -> BlockingTls:
    """Return a connection to the proxy on which the handshake has begun; `ask` goes on. After each of these steps the
    proxy is at work, and so can we be.

    Raises Unavailable (CLIENT-UNREACHABLE, NET-*), NotAuthenticated (NET-TLS-*), BadParameter (PKI-*).
    """
    address, context = proxy or profile.web_proxy_addr, context_of(home, profile)
    tls = BlockingTls(_carrier(home, profile, address), context, address)
    tls.between = home.between
    with _closed_by_errors(tls):
        tls.begin()
    return tls


def ask(tls: BlockingTls, request: Request) -> None:
    """Ask the proxy for a node on a connection of `knock`; `enter` waits for the answer.

    Raises Unavailable (CLIENT-NO-WAY, CLIENT-BALANCER, NET-*), NotAuthenticated (NET-TLS-*), BadParameter
    (WIRE-REACH); the connection is closed then.
    """
    with _closed_by_errors(tls):
        frame = write_request(request)
        try:
            tls.handshake()
            if tls.protocol != ALPN:
                raise Unavailable("CLIENT-NO-WAY", address=tls.address)
        except TeleportError as error:
            from teleport.client.way import explained  # what stands between is looked at only when something fails

            raise explained(error, tls.address, tls.between) from None
        tls.ask(frame)


def enter(tls: BlockingTls, first: bytes = b"") -> BlockingTls:
    """Return a connection on which `ask` has asked when its next bytes are the node's.

    `first` is what the node gets first; it does not wait for the proxy's answer. Raises Unavailable (NET-*),
    NotAuthenticated (NET-TLS-*) and whatever the proxy answers; the connection is closed then.
    """
    with _closed_by_errors(tls):
        if first:
            tls.ask(first)
        tls.answer(read_answer)
    return tls


@contextmanager
def _closed_by_errors(tls: BlockingTls) -> Iterator[None]:
    try:
        yield
    except BaseException:
        tls.sock.close()
        raise


def context_of(home: Home, profile: Profile) -> ssl.SSLContext:
    """Return the TLS settings of connections to nodes. Raises BadParameter (PKI-*, DISK-*): also for a key that
    others may read, which OpenSSL would not mind."""
    files, disk = home.files(profile), home.disk

    def text(path: str, *, private: bool = False) -> str:
        return disk.read(path, limit=MAX_FILE, private=private).decode(errors="replace")

    return tls_client.client_of_cluster(
        authorities=text(files.cluster_authorities), certificate=text(files.tls_certificate),
        key=text(files.tls_key, private=True), alpn=(ALPN,),
    )  # fmt: skip


def _carrier(home: Home, profile: Profile, address: str) -> socket.socket:
    """Return a connection on which the proxy awaits a handshake; straight, unless something is known to be between."""
    if not home.between and not profile.upgraded:
        return _connect(address)
    from teleport.client import way

    sock = way.carrier(address, home.between, upgraded=profile.upgraded and address == profile.web_proxy_addr)
    sock.settimeout(ANSWER_TIMEOUT)
    return sock


def _connect(address: str) -> socket.socket:
    """As `socket.create_connection`, without the module around it."""
    host, _, port = address.rpartition(":")
    try:
        found = _socket.getaddrinfo(host.strip("[]").encode(), int(port), 0, _socket.SOCK_STREAM)
    except (OSError, ValueError) as problem:
        raise Unavailable("CLIENT-UNREACHABLE", address=address, problem=problem) from None
    refused: object = None
    for family, kind, protocol, _, place in found:
        sock = _socket.socket(family, kind, protocol)
        try:
            sock.settimeout(CONNECT_TIMEOUT)
            sock.connect(place)
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            sock.settimeout(ANSWER_TIMEOUT)
            return sock  # type: ignore[return-value]  # all that is used of it is in the C half
        except OSError as problem:
            refused = problem
            sock.close()
    raise Unavailable("CLIENT-UNREACHABLE", address=address, problem=refused)
