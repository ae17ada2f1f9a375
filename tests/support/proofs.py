"""Logins that the spawner can check: a cluster's authorities, and clients that sign (RFC 4252 §7)."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from typing import Any

from teleport.agents.ssh.spawner import Spawner
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.net.ssh import Proof
from teleport.pki import issue, keys
from teleport.pki.authority import trusted_ssh
from teleport.pki.ssh_wire import string
from tests.support.authorities import Cluster

SUFFIX = b"-cert-v01@openssh.com"


def lines(cluster: Cluster) -> Mapping[str, str]:
    """Return the user authorities of a cluster as the service tells them."""
    return {keys.ssh_line(blob): owner for blob, owner in trusted_ssh([cluster.user], "user").items()}


def request(
    login: str, certificate: bytes, algorithm: bytes = b"ssh-ed25519" + SUFFIX, /, **changes: bytes
) -> bytes:  # fmt: skip
    """Return what a client signs besides the session id."""
    parts = {
        "number": b"\x32", "user": string(login.encode()), "service": string(b"ssh-connection"),
        "method": string(b"publickey"), "signed": b"\1", "algorithm": string(algorithm),
        "certificate": string(certificate), "rest": b"", **changes,
    }  # fmt: skip
    return b"".join(parts.values())


async def prove(
    cluster: Cluster, login: str, *, session_id: bytes = b"", now: dt.datetime | None = None, **identity: Any
) -> Proof:  # fmt: skip
    """Return the proof of a login by a new key with a new certificate, made now or at another time."""
    now = now or SystemClock().now().replace(microsecond=0)
    key = keys.make_ed25519(SystemEntropy())
    who = cluster.identity(**{"principals": (login,), "expires": now + dt.timedelta(hours=1), **identity})
    certificate = await issue.ssh_certificate(
        cluster.signer, cluster.user, who, key=keys.ssh_blob(key.public_key()), now=now, entropy=cluster.entropy
    )
    return sign(key, certificate.blob, login, session_id or os.urandom(32))


def sign(
    key: keys.PrivateKey, certificate: bytes, login: str, session_id: bytes, message: bytes | None = None
) -> Proof:
    """Return the proof that the holder of `key` asked for `login`, or whatever `message` says."""
    message = request(login, certificate) if message is None else message
    signature = keys.ssh_signature(key.public_key(), keys.sign(key, string(session_id) + message))
    return Proof(session_id, message, signature, certificate, login)


async def admitted(spawner: Spawner, cluster: Cluster, login: str) -> int:
    """Have a spawner admit a login; return the id of the admission."""
    await spawner.trust(cluster.name, lines(cluster), host_users=True)
    return await spawner.admit(await prove(cluster, login), source="")
