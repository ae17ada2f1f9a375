"""What calls take and give, in plain terms: the words of `api.client` and of the features behind it.

No generated message is named above this package; here is what takes their place.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from teleport.model.resource import Resource


@dataclass(frozen=True, slots=True)
class Name:
    """Which resource is meant."""

    kind: str
    name: str
    sub_kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which resources of a kind are listed. Every given condition must hold."""

    kind: str
    sub_kind: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    search: tuple[str, ...] = ()
    """Words that occur in the name or the labels."""
    query: str = ""
    """Predicate."""
    after: str = ""
    """`Page.next` of the page before."""
    limit: int = 0
    """Most resources of one page; 0: the server's choice."""
    with_secrets: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list."""

    resources: tuple[Resource[Any], ...]
    next: str = ""
    """Where the next page begins; empty on the last one."""


def cursor_of(resource: Resource[Any]) -> str:
    """Return what stands for a resource in `Selection.after` and `Page.next` of a list of its whole kind."""
    return f"{resource.sub_kind}/{resource.name}" if resource.info.by_sub_kind else resource.name


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a watch."""

    type: Literal["init", "put", "delete"]
    resource: Resource[Any] | None = None
    """What was written."""
    gone: Name | None = None
    """What was deleted."""


@dataclass(frozen=True, slots=True)
class Invite:
    """A link made for a user. The token is shown once."""

    user: str
    token: str
    path: str
    """Path below the public address."""
    expires: dt.datetime


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Secret of an authenticator app that is not enrolled yet."""

    secret: str = field(repr=False)
    """Base 32, as people type it."""
    uri: str = field(repr=False)
    """`otpauth:` address for a QR code."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the holder of a link may know of it."""

    user: str
    purpose: Literal["invite", "reset"]
    expires: dt.datetime
    enrolment: Enrolment | None = None
    """What is enrolled beside the password; None where no second factor is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp:
    """What the holder of a link sends to use it up."""

    token: str = field(repr=False)
    password: str = field(repr=False)
    browser: str = field(default="", repr=False)
    """Secret that the browser keeps; each browser is offered a device secret of its own."""
    code: str = field(default="", repr=False)
    device_name: str = ""
    client_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a person types to sign in, and where."""

    user: str
    password: str = field(repr=False)
    code: str = field(default="", repr=False)
    """Code of an authenticator app."""
    client_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest(Credentials):
    """Credentials against certificates for two public keys."""

    ssh_public_key: str
    """OpenSSH form."""
    tls_public_key: str
    """SubjectPublicKeyInfo, PEM."""
    ttl: float = 0
    """Wished seconds of validity; 0: what the cluster gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSession:
    """A browser's session: whose it is, until when."""

    user: str
    roles: tuple[str, ...] = ()
    expires: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Public half of a certificate authority."""

    cluster: str
    type: str
    ssh_keys: tuple[str, ...] = ()
    """OpenSSH form."""
    tls_certificates: tuple[str, ...] = ()
    """PEM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Certificates of a user, and the authority that vouches for the cluster's hosts."""

    username: str
    ssh_certificate: str
    tls_certificate: str
    expires: dt.datetime
    hosts: Authority

    @property
    def cluster(self) -> str:
        """Name of the cluster."""
        return self.hosts.cluster

    @property
    def host_ssh_keys(self) -> tuple[str, ...]:
        """Keys that sign host certificates, OpenSSH form."""
        return self.hosts.ssh_keys

    @property
    def host_tls_certificates(self) -> tuple[str, ...]:
        """Certificates that sign the services' certificates, PEM."""
        return self.hosts.tls_certificates


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRequest:
    """A service that wants certificates."""

    host_uuid: str
    node_name: str
    roles: tuple[str, ...]
    ssh_public_key: str
    tls_public_key: str
    principals: tuple[str, ...] = ()
    """Further names and addresses under which it is reached."""
    dns_names: tuple[str, ...] = ()
    """Names for TLS alone, which services that serve TLS get."""
    ttl: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseRequest:
    """A database that is to have a certificate of its own."""

    hosts: tuple[str, ...]
    """Names and addresses under which it is reached."""
    tls_public_key: str
    """PEM."""
    ttl: float = 0
    """Seconds; 0: twelve hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRequest:
    """A user in whose name somebody wants certificates."""

    user: str
    ssh_public_key: str
    tls_public_key: str
    ttl: float = 0
    """Seconds; 0 for what a sign-in gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCertificates:
    """Certificates of a service or a user that do not come from a sign-in, and every authority to trust."""

    ssh_certificate: str
    tls_certificate: str
    expires: dt.datetime
    authorities: tuple[Authority, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which audit events are wanted."""

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    types: tuple[str, ...] = ()
    user: str = ""
    text: str = ""
    """Found anywhere in the event, in upper or lower case."""
    limit: int = 0
    after: str = ""
    descending: bool = False


@dataclass(frozen=True, slots=True)
class EventPage:
    """A part of the audit log: events as plain documents."""

    events: tuple[dict[str, Any], ...]
    next: str = ""


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The newest checkpoint of the audit log."""

    copy: Mapping[str, Any]
    """number, time, digest, key, signature, checkpoint; empty before the first."""
    public_key: bytes
    """Ed25519, 32 bytes."""


@dataclass(frozen=True, slots=True)
class PrunedLog:
    """First and last record that were removed from a log."""

    log: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a pruning removed."""

    logs: tuple[PrunedLog, ...]
    checkpoint: int
    """Number of the checkpoint that was the limit; 0 when there is none so old."""


@dataclass(frozen=True, slots=True)
class LogReport:
    """The outcome of checking one hash chain."""

    log: str
    records: int
    digest: bytes
    problem: str = ""
    """Empty: the chain holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A recorded denial."""

    id: str
    denial: dict[str, Any]
    count: int
    first_seen: dt.datetime
    last_seen: dt.datetime
    reporter: str
    """Who decided: name of a service, or of the Auth Service itself."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would be decided now, with the reasons."""

    granted: bool
    decision: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuthorityStatus:
    """Where an authority stands in its rotation."""

    type: str
    state: str
    phase: str
    last_rotated: str


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """Facts about the cluster."""

    cluster: str
    version: str
    ca_pins: tuple[str, ...]
    authorities: tuple[AuthorityStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """What the Auth Service's configuration decides for services of the cluster wherever they run."""

    cluster: str
    second_factor: str
    """`otp` or `off`."""
    keep_alive_interval: float
    """Seconds; 0: silent clients are not asked."""
    keep_alive_count_max: int
    client_idle_timeout: float
    """Seconds; 0: sessions do not end for that."""
    client_idle_timeout_message: str
    disconnect_expired_cert: bool
    proxy_listener_mode: str
    """`multiplex` or `separate`."""
    agent_connections: int
    """To how many proxies an agent keeps tunnels, while proxies reach agents over each other; 0: to every one."""
