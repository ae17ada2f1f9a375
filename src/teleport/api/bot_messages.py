"""What bots ask of the Auth Service once they have joined, in plain terms."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """New keys for the bot's own certificates. Who asks again, because no answer came, names the same keys."""

    ssh_public_key: str
    """A line of authorized_keys."""
    tls_public_key: str
    """PEM."""
    expires: dt.datetime | None = None
    """When they shall end; None: after an hour."""
    hostname: str = ""
    """Where the bot says that it runs."""
    host_id: str = ""
    """Which machine it says that is."""
    told: int = 0
    """The last generation that the bot was told of, by whom it asks now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseRoute:
    """A database, and as whom to be in which part of it."""

    service: str
    """Name of the database in the cluster."""
    name: str = ""
    """Part of the database; empty: the only one that the roles allow, otherwise any."""
    username: str = ""
    """Account of the database; empty: the only one that the roles allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Certificates for somebody to use, with roles that the bot was given."""

    ssh_public_key: str
    tls_public_key: str
    roles: tuple[str, ...] = ()
    """Empty: every role that the bot may have."""
    expires: dt.datetime | None = None
    allow_reissue: bool = False
    """Whether who holds them may have them made out for a database, an application or a Kubernetes cluster."""
    database: DatabaseRoute | None = None
    """With a database the TLS certificate is one that databases trust: of the authority `db_client`, its common name
    the account. The SSH certificate and those of the two others are of the user authority, as without any."""
    app: str = ""
    """Name of an application; at most one of these three."""
    kubernetes_cluster: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an instance was last given."""

    generation: int
    public_key: str
    """SubjectPublicKeyInfo, DER in base64."""
    authenticated_at: dt.datetime | None
    address: str
    """Where it went."""
    hostname: str
