"""What the two sides of a join say, in plain terms.

The steps of the conversation stand in proto/teleport/v1/join.proto, what each join method puts into them in
`api.join_proofs`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from teleport.api.messages import MadeCertificates

INSTANCE = "Instance"
"""As what the process of an agent joins, whatever services it runs: the token says which they may be."""
BOT = "Bot"
SUITE = "balanced-v1"
"""Keys of this cluster: P-256 for TLS, Ed25519 for SSH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who wants to join, as what, with which keys."""

    token: str = field(repr=False)
    """Name of the token; for the method `token` it is the secret."""
    ssh_public_key: str
    """A line of authorized_keys."""
    tls_public_key: str
    """PEM."""
    system_role: str = INSTANCE
    """`Instance` or `Bot`."""
    host_name: str = ""
    """Node name."""
    services: tuple[str, ...] = ()
    """System roles that the host cannot do without."""
    join_method: str = ""
    """Empty: the one of the token."""
    additional_principals: tuple[str, ...] = ()
    """Further names and addresses under which the host is reached."""
    dns_names: tuple[str, ...] = ()
    """Names for TLS alone."""
    expires: dt.datetime | None = None
    """Bots only: when the certificates shall end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Init:
    """First words, as the server hears them."""

    token: str = field(repr=False)
    system_role: str
    join_method: str = ""
    host_name: str = ""
    client_version: str = ""
    services: tuple[str, ...] = ()
    """System roles that the host cannot do without."""
    forwarded: str | None = None
    """Address of who asks, where a proxy passes it on; None: whoever is connected asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The server knows the token and waits for the proof."""

    join_method: str
    suite: str
    cluster: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Keys and names to certify, and the first part of the proof."""

    ssh_public_key: str
    tls_public_key: str
    additional_principals: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    expires: dt.datetime | None = None
    proof: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What who joins gets."""

    host_id: str
    """Empty for bots."""
    cluster: str
    system_roles: tuple[str, ...]
    """What it may run, `Instance` among them."""
    certificates: MadeCertificates
    keepsake: bytes = field(default=b"", repr=False)
    """What the join method wants to see the next time; to be stored with the keys."""


@dataclass(frozen=True, slots=True)
class ClusterCA:
    """The certificates that sign those of the cluster's services, as the server says: not to be believed unchecked."""

    cluster: str
    certificates: tuple[str, ...]
    """PEM."""
