"""The files of an output with which stock OpenSSH goes to the nodes of the cluster and of its leaves.

`known_hosts` says whom to believe, wherever the files go; an `ssh_config` names files, so only a folder can have one.
Besides the two that cover every cluster there is a pair for each of them: `<cluster>.ssh_config` can be included where
only that one is meant.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from teleport.bot.parts import Held, ProxyFacts
from teleport.client import known_hosts
from teleport.client.profile import host_of
from teleport.client.ssh_config import Hosts, SshFiles, command_line, document

CONFIG, KNOWN_HOSTS = "ssh_config", "known_hosts"
KEY, CERTIFICATE = "key", "key-cert.pub"


def files(
    folder: str, proxy: ProxyFacts, cluster: str, leaves: Sequence[str], held: Held, tbot: str
) -> dict[str, bytes]:  # fmt: skip
    """Return the files by name. `folder` is the absolute path where they will be, empty where files have no path;
    `tbot` is the path of the command that `ssh` is to start."""
    clusters = (cluster, *leaves)
    found = {KNOWN_HOSTS: trusted(proxy, cluster, held, clusters)}
    if not folder:
        return found
    hosts = {
        name: Hosts(name, _read(folder, KNOWN_HOSTS), proxy_command(folder, proxy, name, tbot)) for name in clusters
    }
    found[CONFIG] = written(proxy, hosts.values())
    for name, one in hosts.items():
        alone = f"{name}.{KNOWN_HOSTS}"
        found[alone] = trusted(proxy, cluster, held, [name])
        found[f"{name}.{CONFIG}"] = written(proxy, [one._replace(files=_read(folder, alone))])
    return found


def names(cluster: str, leaves: Sequence[str] = ()) -> list[str]:
    """Return the names of all files."""
    return [KNOWN_HOSTS, CONFIG, *(f"{name}.{kind}" for name in (cluster, *leaves) for kind in (KNOWN_HOSTS, CONFIG))]


def proxy_command(folder: str, proxy: ProxyFacts, cluster: str, tbot: str) -> str:
    """Return the command that connects `ssh` with a node of a cluster, as whom the files in the folder name."""
    words = [
        "ssh-proxy-command", f"--destination-dir={folder}", f"--proxy-server={proxy.address}", f"--cluster={cluster}",
        "--tls-routing" if proxy.tls_routing else "--no-tls-routing",
        *(["--connection-upgrade"] if proxy.upgrade else []), "--resume",
    ]  # fmt: skip
    return command_line(tbot, words, "--user=%r", "--host=%h", "--port=%p")


def trusted(proxy: ProxyFacts, root: str, held: Held, clusters: Iterable[str]) -> bytes:
    """Return `known_hosts`: who vouches for the hosts of clusters. The proxy is one of the `root` cluster."""
    lines = list[str]()
    for cluster in clusters:
        host = host_of(proxy.address) if cluster == root else ""
        mine = (entry for entry in held.authorities if entry.type == "host" and entry.cluster == cluster)
        lines += known_hosts.lines(host, cluster, [key for entry in mine for key in entry.ssh_keys])
    return "".join(f"{line}\n" for line in lines).encode()


def written(proxy: ProxyFacts, hosts: Iterable[Hosts]) -> bytes:
    """Return an `ssh_config`."""
    return document("tbot", host_of(proxy.address), list(hosts)).encode()


def _read(folder: str, known: str) -> SshFiles:
    return SshFiles(*(os.path.join(folder, name) for name in (KEY, CERTIFICATE, known)))
