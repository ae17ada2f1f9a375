"""`known_hosts`: the host authorities of clusters as OpenSSH reads them (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

One line for each key of an authority; the comment at its end says which cluster it belongs to.
"""

from __future__ import annotations

from teleport.base.disk import Disk
from teleport.base.lean import Sequence

MAX_FILE = 1 << 20
"""Bytes that are read of an existing file."""


def lines(proxy_host: str, cluster: str, keys: Sequence[str]) -> list[str]:
    """Return the lines that let `keys` (in the form of public key files) vouch for the hosts of a cluster.

    `proxy_host` may be empty: where the proxy is, is not known yet."""
    hosts = ",".join(host for host in (proxy_host, cluster, f"*.{cluster}") if host)
    return [f"@cert-authority {hosts} {' '.join(key.split()[:2])}{_mark(cluster)}" for key in keys]


def replace(disk: Disk, path: str, cluster: str, new: Sequence[str]) -> None:
    """Put `new` in place of the cluster's lines in a file that other clusters and the user may share."""
    kept = _others(disk, path, cluster)
    disk.write(path, "".join(f"{line}\n" for line in [*kept, *new]).encode("utf-8", "surrogateescape"), mode=0o600)


def remove(disk: Disk, path: str, cluster: str) -> None:
    """Take the cluster's lines away."""
    if disk.exists(path):
        replace(disk, path, cluster, [])


def _others(disk: Disk, path: str, cluster: str) -> list[str]:
    if not disk.exists(path):
        return []
    text = disk.read(path, limit=MAX_FILE).decode("utf-8", "surrogateescape")
    return [line for line in text.splitlines() if not line.endswith(_mark(cluster))]


def _mark(cluster: str) -> str:
    return f" type=host&clustername={cluster}"
