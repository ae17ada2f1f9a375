"""Identity files of users of a cluster: real certificates of authorities that tests own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from teleport.base.entropy import SeededEntropy
from teleport.client import identity_file
from teleport.client.identity_file import IdentityFile
from teleport.pki import keys, x509
from tests.support import authorities


def parts(cluster: authorities.Cluster, **changes: Any) -> IdentityFile:
    """Return the parts of an identity file; `changes` are of the identity."""
    identity = cluster.host_identity(**changes) if changes.get("kind") == "host" else cluster.identity(**changes)
    key = keys.make_p256(SeededEntropy(4))
    return IdentityFile(
        key=keys.private_pem(key).decode(),
        ssh_certificate=cluster.ssh(identity, keys.ssh_blob(key.public_key())).line(),
        tls_certificate=x509.pem(cluster.tls(identity, key.public_key())),
        ssh_authorities=tuple(entry.public_key for entry in cluster.host.spec.active_keys.ssh),
        tls_authorities="".join(entry.cert for entry in cluster.host.spec.active_keys.tls),
    )


def data(cluster: authorities.Cluster | None = None, **changes: Any) -> bytes:
    """Return the content of an identity file."""
    cluster = cluster or authorities.cluster()
    return identity_file.write(parts(cluster, **changes), cluster.name)


def output(folder: Path, **changes: Any) -> Path:
    """Write what an output of `tbot` has of an identity; return its identity file."""
    cluster = authorities.cluster()
    made = parts(cluster, **changes)
    files = {
        "identity": identity_file.write(made, cluster.name), "key": made.key.encode(),
        "key-cert.pub": made.ssh_certificate.encode(), "tlscert": made.tls_certificate.encode(),
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    return folder / "identity"


def data_of(parts: IdentityFile, cluster: str, **changes: Any) -> bytes:
    """Return the content of an identity file of these parts, some of them replaced."""
    return identity_file.write(parts._replace(**changes), cluster)
