"""Status: name, version, authorities and pins of the cluster."""

from __future__ import annotations

from teleport.api.caller import Caller
from teleport.api.messages import AuthorityStatus, ClusterSettings, ClusterStatus
from teleport.auth.authorities import Authorities
from teleport.auth.authorize import Authorizer
from teleport.model.kinds.cert_authority import CA_TYPES, CertAuthority
from teleport.pki.authority import pins
from teleport.version import VERSION

_NOT_SHOWN = ("audit", "openssh", "bound_keypair", "db", "db_client")
"""Authorities of no one who signs in here: one signs checkpoints, one is for servers without an agent, one signs what
joining clients keep, two are for databases. `tctl get cert_authorities` has them."""


class Status:
    """Implements `api.services.status.Status`."""

    def __init__(
        self, authorizer: Authorizer, authorities: Authorities, cluster: str, settings: ClusterSettings | None = None
    ) -> None:
        """Without `settings` services elsewhere hear what a configuration without a word says."""
        self._authorizer = authorizer
        self._authorities = authorities
        self._cluster = cluster
        self._settings = settings or ClusterSettings(
            cluster=cluster, second_factor="otp", keep_alive_interval=300.0, keep_alive_count_max=3,
            client_idle_timeout=0.0, client_idle_timeout_message="", disconnect_expired_cert=False,
            proxy_listener_mode="multiplex", agent_connections=0,
        )  # fmt: skip

    async def ping(self) -> tuple[str, str]:
        return self._cluster, VERSION

    async def status(self, caller: Caller) -> ClusterStatus:
        await self._authorizer.require(caller, "readnosecrets", CertAuthority.info.name)
        every = [entry for entry in await self._authorities.every() if entry.name == self._cluster]
        shown = [entry for entry in every if entry.spec.type not in _NOT_SHOWN]
        found = sorted(shown, key=lambda entry: CA_TYPES.index(entry.spec.type))
        own_pins = [pin for entry in found if entry.spec.type == "host" for pin in pins(entry)]
        return ClusterStatus(self._cluster, VERSION, tuple(own_pins), tuple(_status(entry) for entry in found))

    async def settings(self) -> ClusterSettings:
        return self._settings


def _status(authority: CertAuthority) -> AuthorityStatus:
    rotation = authority.spec.rotation
    last = rotation.last_rotated.isoformat() if rotation and rotation.last_rotated else ""
    state, phase = (rotation.state, rotation.phase) if rotation else ("", "")
    return AuthorityStatus(authority.spec.type, state or "standby", phase or "standby", last)
