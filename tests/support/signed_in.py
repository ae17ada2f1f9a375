"""A home of `tsh` on a real or a memory disk, and a proxy that signs with authorities of its own."""

from __future__ import annotations

import datetime as dt
from typing import Any

from cryptography.hazmat.primitives import serialization

from teleport.base.entropy import SeededEntropy
from teleport.client.profile import Profile
from teleport.pki import keys, x509
from tests.support import authorities
from tests.support.authorities import NOW

HOUR = dt.timedelta(hours=1)
SETTINGS = {"cluster_name": "example.com"}


def profile(**changes: Any) -> Profile:
    """Return a profile that is valid until an hour after NOW."""
    fields: dict[str, Any] = {
        "web_proxy_addr": "proxy.example.com:443", "user": "alice", "cluster": "example.com",
        "roles": ("access", "editor"), "logins": ("alice", "root"), "valid_until": NOW + HOUR,
        "extensions": ("login-ip", "permit-pty"),
    }  # fmt: skip
    return Profile(**{**fields, **changes})


class Proxy:
    """What `client.login` needs of a `WebApi`, answering as a proxy of a cluster does. It stands in for the
    network alone; the certificates are real. `changes` replace parts of the answer."""

    address = "proxy.example.com:443"

    def __init__(
        self, cluster: authorities.Cluster | None = None, *, now: dt.datetime = NOW, **changes: Any
    ) -> None:  # fmt: skip
        self.cluster = cluster or authorities.cluster()
        self.now = now
        self.changes = changes
        self.asked: dict[str, Any] = {}
        self.identity: dict[str, Any] = {}
        self.other_keys: dict[str, Any] = {}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Answer a sign-in."""
        assert path == "/webapi/ssh/certs"
        self.asked = body
        ssh_key = self.other_keys.get("ssh", keys.load_ssh_line(body["ssh_pub_key"]))
        tls_key = self.other_keys.get("tls", serialization.load_pem_public_key(body["tls_pub_key"].encode()))
        identity = self.cluster.identity(**self.identity)
        signer = {
            "domain_name": self.cluster.name,
            "checking_keys": [key.public_key for key in self.cluster.host.spec.active_keys.ssh],
            "tls_certs": [key.cert for key in self.cluster.host.spec.active_keys.tls],
        }
        answer = {
            "username": identity.name,
            "cert": self.cluster.ssh(identity, ssh_key, now=self.now).line(),
            "tls_cert": x509.pem(self.cluster.tls(identity, tls_key, now=self.now)),
            "host_signers": [signer],
        }
        return {**answer, **self.changes}


def other_keys(seed: int = 99) -> dict[str, Any]:
    """Return public keys that nobody asked for."""
    entropy = SeededEntropy(seed)
    return {"ssh": keys.ssh_blob(keys.make_ed25519(entropy).public_key()), "tls": keys.make_p256(entropy).public_key()}
