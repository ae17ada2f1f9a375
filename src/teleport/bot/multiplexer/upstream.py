"""The way from a client of the multiplexer to a node: through the proxy, as the output's identity of that moment.

Each connection has a thread of its own, which does what `tsh proxy ssh` does: the same code, blocking, and resumed when
the way is lost. What a connection began with stays its own: a renewal changes neither the certificate with which it was
signed in, nor the connection. Only a new way, after a loss, is dialled with the newest certificates.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.base.log import logger
from teleport.bot.parts import Held, ProxyFacts
from teleport.client import identity_file
from teleport.client.identity_file import IdentityFile
from teleport.client.profile import Home, Profile
from teleport.client.reach import reach
from teleport.client.resumption import Means, ResumableCarrier
from teleport.client.ssh_client.ciphers import Plain
from teleport.client.ssh_client.trust import UserKey, user_key
from teleport.client.stdio import BlockingTls, join
from teleport.version import VERSION
from teleport.wire import ssh
from teleport.wire.reach import Request

log = logger("TBOT:MUX")

_BY_APPLICATION = 11
"""SSH_DISCONNECT_BY_APPLICATION (RFC 4253 section 11.1)."""
_TIME_TO_READ, _MOST_READS = 5.0, 16
_SAID = 380
"""Bytes of a reason that OpenSSH shows."""


class Acting(NamedTuple):
    """As whom connections are made."""

    home: Home
    profile: Profile


def acting(held: Held, proxy: ProxyFacts, between: Mapping[str, str]) -> Acting:
    """Return how to act as an output; `between` are the variables of `profile.between`."""
    cluster = held.identity.cluster
    hosts = [each for each in held.authorities if each.type == "host" and each.cluster == cluster]
    parts = IdentityFile(
        key=held.key, ssh_certificate=held.ssh_certificate, tls_certificate=held.tls_certificate,
        ssh_authorities=tuple(key for each in hosts for key in each.ssh_keys),
        tls_authorities="".join(text for each in hosts for text in each.tls_certificates),
    )  # fmt: skip
    home, profile = identity_file.open_unread(parts, proxy.address, cluster)
    home.between = between
    return Acting(home, profile._replace(upgraded=proxy.upgrade))


class Upstream:
    """Carries clients' connections."""

    def __init__(self, *, resume: bool, entropy: Entropy) -> None:
        self._resume = resume
        self._entropy = entropy
        self._acting: Acting | None = None
        self._open = set[socket.socket]()
        self._lock = threading.Lock()

    def take(self, acting: Acting) -> None:
        """Dial as this from now on."""
        self._acting = acting

    def start(
        self, sock: socket.socket, target: str, cluster: str, first: bytes, ended: Callable[[], None]
    ) -> None:  # fmt: skip
        """Connect a client with `target` (`host:port`) of a cluster, empty for the bot's own, in a thread; `first` is
        what it has sent already. `ended` is called, in that thread, when it is over. Raises OSError for want of
        threads."""
        with self._lock:
            self._open.add(sock)

        def run() -> None:
            try:
                self._carry(sock, target, cluster, first)
            except (TeleportError, OSError) as error:
                log.debug("A connection to a node has ended", target=target, error=error)
            finally:
                with self._lock:
                    self._open.discard(sock)
                sock.close()
                ended()

        try:
            threading.Thread(target=run, name="multiplexed", daemon=True).start()
        except RuntimeError as error:
            with self._lock:
                self._open.discard(sock)
            raise OSError(errno.EAGAIN, str(error)) from error

    def close(self) -> None:
        """Let every connection end."""
        with self._lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def _carry(self, sock: socket.socket, target: str, cluster: str, first: bytes) -> None:
        try:
            now = self._now()
            request = Request(target, cluster or now.profile.cluster)
            way = reach(now.home, now.profile, request)
        except TeleportError as error:
            log.warn("A node cannot be reached", target=target, error=error)
            _say(sock, refusal(error, self._entropy))
            return
        carrier = self._resumable(way, now, request) if self._resume else way
        try:
            if first:
                carrier.give(first)
            join(carrier, sock.fileno(), sock.fileno())
        except OSError:  # the client is gone: the node must not wait for its return
            carrier.give_end()
            carrier.flush()
            raise
        finally:
            carrier.sock.close()

    def _resumable(self, way: BlockingTls, then: Acting, request: Request) -> ResumableCarrier:
        def again(node: str) -> BlockingTls:
            now = self._now()
            return reach(now.home, now.profile, request._replace(target=node))

        def key() -> UserKey:
            return user_key(then.home, then.profile)

        return ResumableCarrier(way, b"", Means(again, key, request.target, log.info))

    def _now(self) -> Acting:
        if self._acting is None:
            raise Unavailable("MUX-NOT-READY")
        return self._acting


def _say(sock: socket.socket, reason: bytes) -> None:
    """Say why there is no node, and let the client read it: what it has sent is taken until it goes. Raises OSError."""
    sock.settimeout(_TIME_TO_READ)
    sock.sendall(reason)
    sock.shutdown(socket.SHUT_WR)
    for _ in range(_MOST_READS):
        if not sock.recv(65536):
            return


def refusal(error: TeleportError, entropy: Entropy) -> bytes:
    """Return what tells an SSH client why it gets no node: a version line, and a message that ends the connection,
    which OpenSSH shows (RFC 4253 sections 4.2 and 11.1)."""
    parts = [error.what, f"({error.why})" if error.why else "", f"id {error.id}" if error.id else ""]
    said = " ".join(filter(None, parts)).encode()[:_SAID].decode(errors="ignore")
    packet = Plain(entropy.token).seal(ssh.write_disconnect(_BY_APPLICATION, said), 0)
    return f"SSH-2.0-Teleport_{VERSION}\r\n".encode() + packet
