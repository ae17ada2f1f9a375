"""Identity: who is calling, as written into a certificate and read back from it.

The same object stands in an X.509 certificate and in an OpenSSH certificate (`pki.codec`); above
`pki` nothing else describes a caller.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

from teleport.base.struct import Struct

Traits = dict[str, tuple[str, ...]]
"""Attributes of a user: name to values, for example `{"logins": ("alice",)}`."""

UserKind = Literal["human", "bot", "host", "admin"]


class Identity(Struct, frozen=True, kw_only=True):
    """Who is calling, with every limit that was set when the certificate was issued."""

    name: str
    """User name; for a host `<uuid>.<cluster>`; for the local administrator `admin@<host>`."""
    cluster: str
    """Name of the cluster whose authority vouches for this identity."""
    kind: UserKind = "human"
    roles: tuple[str, ...] = ()
    """Names of roles; for a host its first system role, for example `Instance`."""
    system_roles: tuple[str, ...] = ()
    """Of a host: every system role it may act in (`Node`, `Proxy`, ...)."""
    principals: tuple[str, ...] = ()
    """Logins of the host operating system; never empty in an issued certificate."""
    traits: Traits = {}
    expires: dt.datetime
    """End of validity, aware, whole seconds."""
    route_to_cluster: str = ""
    login_ip: str = ""
    """Address the user signed in from."""
    pinned_ip: str = ""
    """If set, the only source address this identity may be used from."""
    mfa_verified: str = ""
    """Id of the device that confirmed a per-session check."""
    impersonator: str = ""
    renewable: bool = False
    disallow_reissue: bool = False
    generation: int = 0
    active_requests: tuple[str, ...] = ()
    private_key_policy: str = "none"
    bot_name: str = ""
    bot_instance_id: str = ""
    join_token: str = ""
    recorded_by: str = ""
    """Id of the proxy that ended the user's connection and records it; empty in what users themselves get."""
    only_at: str = ""
    """Id of the only node that such a certificate is for."""
    kubernetes_cluster: str = ""
    """The Kubernetes cluster that the certificate is for; empty: for none in particular."""
    kubernetes_users: tuple[str, ...] = ()
    """As whom its roles let it act in that cluster, when it was issued."""
    kubernetes_groups: tuple[str, ...] = ()
    app_name: str = ""
    """The application that the certificate is for; empty: for none in particular."""
    app_public_addr: str = ""
    app_cluster: str = ""
    """Name of the cluster that the application belongs to."""
    database_service: str = ""
    """The database that the certificate is for; empty: for none in particular."""
    database_protocol: str = ""
    database_user: str = ""
    """Account of the database."""
    database_name: str = ""
    """Part of the database; empty: any that the roles allow."""
    database_users: tuple[str, ...] = ()
    """Accounts that its roles allowed in that database when it was issued; `*` means every one."""
    database_names: tuple[str, ...] = ()
    permit_pty: bool = True
    permit_agent_forwarding: bool = False
    permit_port_forwarding: bool = False
    permit_x11_forwarding: bool = False

    @property
    def logins(self) -> tuple[str, ...]:
        """Principals that a person may log in as: internal ones start with a hyphen and are left out."""
        return tuple(p for p in self.principals if not p.startswith("-"))

    @property
    def is_host(self) -> bool:
        """Whether this is a service of the cluster rather than a person or a bot."""
        return self.kind == "host"
