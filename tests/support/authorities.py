"""A cluster's authorities for tests: made by a memory signer, repeatable from a seed."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass
from typing import Any

from teleport.base.entropy import SeededEntropy
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki import authority, issue, keys, ssh
from teleport.pki.signer import MemorySigner

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


@dataclass
class Cluster:
    """The host and user authority of one cluster, and what can sign with them."""

    name: str
    signer: MemorySigner
    host: CertAuthority
    user: CertAuthority
    entropy: SeededEntropy

    @property
    def both(self) -> list[CertAuthority]:
        """Both authorities."""
        return [self.host, self.user]

    def identity(self, **changes: Any) -> Identity:
        """Return a user of this cluster."""
        fields = {
            "name": "alice", "cluster": self.name, "roles": ("access",), "principals": ("root", "alice"),
            "expires": NOW + dt.timedelta(hours=1),
        }  # fmt: skip
        return Identity(**{**fields, **changes})

    def host_identity(self, **changes: Any) -> Identity:
        """Return a node of this cluster."""
        fields = {"name": f"id1.{self.name}", "kind": "host", "roles": ("Node",), "principals": ("node1", "127.0.0.1")}
        return self.identity(**{**fields, **changes})

    def ssh(self, identity: Identity, key: bytes, *, now: dt.datetime = NOW) -> ssh.SSHCertificate:
        """Issue an SSH certificate."""
        ca = self.host if identity.is_host else self.user
        return asyncio.run(issue.ssh_certificate(self.signer, ca, identity, key=key, now=now, entropy=self.entropy))

    def tls(self, identity: Identity, key: keys.PublicKey, *names: str, now: dt.datetime = NOW) -> bytes:
        """Issue an X.509 certificate, DER."""
        ca = self.host if identity.is_host else self.user
        spki = keys.spki(key)
        return asyncio.run(
            issue.tls_certificate(self.signer, ca, identity, spki=spki, now=now, entropy=self.entropy, names=names)
        )


def cluster(name: str = "example.com", seed: int = 1, now: dt.datetime = NOW) -> Cluster:
    """Make a cluster's authorities."""

    async def make() -> Cluster:
        entropy = SeededEntropy(seed)
        signer = MemorySigner(entropy)
        host = await authority.create(signer, "host", name, now=now, entropy=entropy)
        user = await authority.create(signer, "user", name, now=now, entropy=entropy)
        return Cluster(name, signer, host, user, entropy)

    return asyncio.run(make())
