"""Reach: a connection to a node through the proxy's one port, with the certificate of a profile.

Blocking, and quick to import, because `ssh` starts it for every connection. `client.ssh` asks the same on an
event loop.
"""

from __future__ import annotations

import socket

from teleport.base.clock import Clock
from teleport.base.errors import NotAuthenticated, Unavailable
from teleport.client.profile import Home, Profile
from teleport.client.stdio import BlockingTls
from teleport.pki import tls_settings
from teleport.wire.reach import ALPN, Request, read_answer, write_request

CONNECT_TIMEOUT = 10.0
"""Seconds for the connection to the proxy."""
ANSWER_TIMEOUT = 45.0
"""Seconds for the handshake and for each step until the proxy has reached the node."""


def check_valid(profile: Profile, clock: Clock) -> None:
    """Raise NotAuthenticated (CLIENT-EXPIRED) when the certificates of the profile have ended."""
    if profile.valid_until <= clock.now():
        until = profile.valid_until.isoformat()
        raise NotAuthenticated("CLIENT-EXPIRED", user=profile.user, proxy=profile.proxy_host, until=until)


def reach(home: Home, profile: Profile, request: Request) -> BlockingTls:
    """Return a connection whose next bytes are the node's.

    Raises Unavailable (CLIENT-UNREACHABLE, CLIENT-NO-WAY, NET-*), NotAuthenticated (NET-TLS-*), BadParameter
    (WIRE-REACH, PKI-*) and whatever the proxy answers.
    """
    files, address = home.files(profile), profile.web_proxy_addr
    home.disk.read(files.tls_key, private=True)  # OpenSSL would not mind a key that everybody can read
    context = tls_settings.from_files(
        authorities=files.cluster_authorities, certificate=files.tls_certificate, key=files.tls_key, alpn=(ALPN,)
    )
    frame = write_request(request)
    tls = BlockingTls(_connect(address), context, address)
    try:
        tls.handshake()
        if tls.protocol != ALPN:
            raise Unavailable("CLIENT-NO-WAY", address=address)
        tls.ask(frame, read_answer)
        return tls
    except BaseException:
        tls.sock.close()
        raise


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        sock = socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT)
    except (OSError, ValueError) as problem:
        raise Unavailable("CLIENT-UNREACHABLE", address=address, problem=problem) from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(ANSWER_TIMEOUT)
    return sock
