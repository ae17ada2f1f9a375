"""The configuration of stock OpenSSH: one block per server that is dialled directly, one for all of them.

Host keys are checked against the host authority of the cluster under the server's cluster name
(`HostKeyAlias`), whatever address was dialled; a changed or unknown key is never accepted.

What a server says of itself stands in a file that decides what `ssh` runs: a name or address that is not
plainly one is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from teleport.base.errors import BadParameter
from teleport.client.profile import Files, Profile
from teleport.model.address import parse_addr
from teleport.model.kinds.node import SSH_PORT, Node, public_address

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


def render(profile: Profile, files: Files, nodes: Sequence[Node]) -> str:
    """Return the text of an `ssh_config`(5) for the given servers.

    Where several servers have one name, each is reached by its UUID alone.
    """
    named = Counter(node.spec.hostname for node in nodes)
    lines = [f"# Begin generated Teleport configuration for {profile.proxy_host} by tsh", ""]
    for node in sorted(nodes, key=lambda n: (n.spec.hostname, n.name)):
        hostname = node.spec.hostname
        lines += _block(profile.cluster, hostname if named[hostname] == 1 else node.name, node)
    lines += [
        f"Host *.{profile.cluster} {profile.proxy_host}",
        f"    UserKnownHostsFile {_quote(files.own_known_hosts)}",
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


def _block(cluster: str, name: str, node: Node) -> list[str]:
    try:
        host, port = parse_addr(public_address(node), SSH_PORT)
    except BadParameter:
        return []
    if not _HOST.fullmatch(name) or not port:
        return []
    alias = f"{name}.{cluster}"
    return [
        f"Host {alias}",
        f"    HostName {host}",
        f"    Port {port}",
        f"    HostKeyAlias {alias}",
        "",
    ]


def _quote(path: str) -> str:
    """Quote a path for ssh_config(5): `%` doubles, blanks need double quotes."""
    return '"' + path.replace("%", "%%") + '"'
