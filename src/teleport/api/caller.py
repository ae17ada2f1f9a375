"""Caller: who is at the other end of a call, and the words with which a method says who may call it.

What a caller may do with a resource is decided later, by roles (`auth.authorize`). This file is about
which kind of peer may try at all.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Set
from dataclasses import dataclass

from teleport.base.clock import Clock
from teleport.base.errors import AccessDenied, NotAuthenticated, TeleportError
from teleport.model.identity import Identity
from teleport.net.stream import Peer

NOBODY = "nobody"
USER = "user"
BOT = "bot"
ADMIN = "admin"
PROXY = "Proxy"
NODE = "Node"
AUTH = "Auth"
INSTANCE = "Instance"

PEOPLE = frozenset({USER, BOT, ADMIN})
"""Those whose roles decide what they may do."""
SERVICES = frozenset({PROXY, NODE, AUTH, INSTANCE})
"""Services of the cluster, by system role."""
EVERYONE = PEOPLE | SERVICES
"""Whoever holds a certificate of the cluster."""

_ADMIN_LIFE = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity behind a connection and where it comes from."""

    identity: Identity | None
    """None: nothing was proven."""
    address: str = ""
    """`host:port`, or words for what is not a network."""
    refusal: TeleportError | None = None
    """Why the peer was not accepted: every call gets this answer, so that it is told and not just cut off."""

    @property
    def words(self) -> frozenset[str]:
        """What this caller is, in the words that methods use: one of nobody, user, bot, admin, or system roles."""
        if self.identity is None:
            return frozenset({NOBODY})
        if self.identity.kind == "host":
            return frozenset(self.identity.roles) | frozenset(self.identity.system_roles)
        return frozenset({{"human": USER, "bot": BOT, "admin": ADMIN}[self.identity.kind]})

    @property
    def name(self) -> str:
        """Name for logs; empty when nothing was proven."""
        return self.identity.name if self.identity else ""

    @property
    def ip(self) -> str:
        """IP address of the caller; empty where there is none."""
        try:
            return str(ipaddress.ip_address(self.address.rpartition(":")[0].strip("[]").partition("%")[0]))
        except ValueError:
            return ""

    def known(self) -> Identity:
        """Return the identity. Raises NotAuthenticated (API-NO-CERTIFICATE)."""
        if self.identity is None:
            raise NotAuthenticated("API-NO-CERTIFICATE")
        return self.identity


def admit(caller: Caller, audience: Set[str], method: str, clock: Clock) -> None:
    """Let `caller` try a method that declares `audience`.

    Raises NotAuthenticated (API-NO-CERTIFICATE, API-EXPIRED) and AccessDenied (API-AUDIENCE). The end of
    validity is looked at on each call, because a connection may outlive the certificate that opened it.
    """
    if caller.refusal is not None:
        raise caller.refusal
    if NOBODY in audience:
        return
    check_validity(caller.known(), clock)
    if not caller.words & audience:
        raise AccessDenied("API-AUDIENCE", method=method, caller=", ".join(sorted(caller.words)) or "no role")


def check_validity(identity: Identity, clock: Clock) -> None:
    """Raise NotAuthenticated (API-EXPIRED) when the certificate is over; local administrators have none."""
    if identity.kind != "admin" and identity.expires <= clock.now():
        raise NotAuthenticated("API-EXPIRED", name=identity.name, expired=identity.expires.isoformat())


def local_administrator(peer: Peer, *, owner: int, host: str, cluster: str, clock: Clock) -> Caller:
    """Return the caller at the other end of the admin socket: root, or the owner of the data directory.

    The kernel says who it is (unix(7), SO_PEERCRED). Any other user gets AccessDenied (API-SOCKET-PEER) as
    the answer to every call.
    """
    address = f"local:uid={peer.uid},pid={peer.pid}"
    if peer.uid not in (0, owner) or peer.uid < 0:
        return Caller(None, address, AccessDenied("API-SOCKET-PEER", uid=peer.uid, owner=owner))
    identity = Identity(
        name=f"admin@{host}", cluster=cluster, kind="admin", roles=("Admin",),
        expires=clock.now().replace(microsecond=0) + _ADMIN_LIFE,
    )  # fmt: skip
    return Caller(identity, address)
