"""The configuration of stock OpenSSH: one block per server that is dialled directly, one for all of them.

Host keys are checked against the host authority of the cluster under the server's cluster name
(`HostKeyAlias`), whatever address was dialled; a changed or unknown key is never accepted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from teleport.client.profile import Files, Profile
from teleport.model.kinds.node import Node

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


def render(profile: Profile, files: Files, nodes: Sequence[Node]) -> str:
    """Return the text of an `ssh_config`(5) for the given servers."""
    lines = [f"# Begin generated Teleport configuration for {profile.proxy_host} by tsh", ""]
    for node in sorted(nodes, key=lambda n: (n.spec.hostname, n.name)):
        lines += _block(profile, node)
    lines += [
        f"Host *.{profile.cluster} {profile.proxy_host}",
        f"    UserKnownHostsFile {_quote(files.known_hosts)}",
        f"    IdentityFile {_quote(files.ssh_key)}",
        f"    CertificateFile {_quote(files.ssh_certificate)}",
        "    IdentitiesOnly yes",
        "    StrictHostKeyChecking yes",
        "    HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "",
        "# End generated Teleport configuration",
        "",
    ]
    return "\n".join(lines)


def _block(profile: Profile, node: Node) -> list[str]:
    hostname = node.spec.hostname
    if not _HOST.fullmatch(hostname):
        return []  # a name that ssh_config would read as a pattern or an option stays out
    host, _, port = node.spec.addr.rpartition(":")
    alias = f"{hostname}.{profile.cluster}"
    return [
        f"Host {alias}",
        f"    HostName {host.strip('[]')}",
        f"    Port {port}",
        f"    HostKeyAlias {alias}",
        "",
    ]


def _quote(path: str) -> str:
    """Quote a path for ssh_config(5): `%` doubles, blanks need double quotes."""
    return '"' + path.replace("%", "%%") + '"'
