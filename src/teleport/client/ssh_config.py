"""The configuration of stock OpenSSH: every node of the cluster through the proxy's one port.

Host keys are checked against the host authority of the cluster under the name that was typed; a changed or
unknown key is never accepted. Nodes are not listed: the proxy knows them when `ssh` asks.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from teleport.client.profile import Files, Profile
from teleport.model.kinds.node import SSH_PORT

_PLAIN = re.compile(r"[A-Za-z0-9_./:@+,=-]+")


class SshFiles(NamedTuple):
    """Files that `ssh` reads."""

    key: str
    certificate: str
    known_hosts: str
    identity: str = ""
    """Identity file that `tsh` acts with; empty for the profile."""

    @classmethod
    def of(cls, files: Files) -> SshFiles:
        """Return those of a profile."""
        return cls(files.ssh_key, files.ssh_certificate, files.own_known_hosts)


def render(profile: Profile, files: SshFiles, tsh: str) -> str:
    """Return the text of an `ssh_config`(5); `tsh` is the path of the command that `ssh` is to start."""
    proxy, cluster = profile.proxy_host, profile.cluster
    command = proxy_command(profile, files, tsh)
    lines = (
        f"# Begin generated Teleport configuration for {proxy} by tsh",
        "",
        f"Host *.{cluster} {proxy}",
        *(f"    {line}" for line in _identity(files)),
        "",
        f"Host *.{cluster} !{proxy}",
        f"    Port {SSH_PORT}",
        f"    ProxyCommand {command}",
        "",
        "# End generated Teleport configuration",
        "",
    )
    return "\n".join(lines)


def options_for(profile: Profile, files: SshFiles, tsh: str, host: str) -> list[str]:
    """Return lines of ssh_config(5) for one connection to `host`, as values of `-o`. The name that the node proves is
    the one in the cluster, which is what the known hosts are about."""
    suffix = f".{profile.cluster}"
    alias = host if host.endswith(suffix) else host + suffix
    return [*_identity(files), f"HostKeyAlias {alias}", f"ProxyCommand {proxy_command(profile, files, tsh)}"]


def proxy_command(profile: Profile, files: SshFiles, tsh: str) -> str:
    """Return the command that connects `ssh` with a node."""
    program = f'"{tsh}"' if _PLAIN.fullmatch(tsh) else _word(tsh)
    options = f"--cluster={_word(profile.cluster)} --proxy={_word(profile.web_proxy_addr)}"
    if files.identity:
        options += f" --identity={_word(files.identity)}"
    return f"{program} proxy ssh {options} %r@%h:%p"


def _identity(files: SshFiles) -> list[str]:
    """Return who connects, and whom is believed to be a node."""
    return [
        f"UserKnownHostsFile {_quote(files.known_hosts)}",
        f"IdentityFile {_quote(files.key)}",
        f"CertificateFile {_quote(files.certificate)}",
        "IdentitiesOnly yes",
        "StrictHostKeyChecking yes",
        "HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com",
    ]


def _quote(path: str) -> str:
    """Quote a path for ssh_config(5): `%` doubles, blanks need double quotes."""
    return '"' + path.replace("%", "%%") + '"'


def _word(text: str) -> str:
    """Quote one word for the shell that runs a ProxyCommand, where `%` doubles."""
    return shell_word(text).replace("%", "%%")


def shell_word(text: str) -> str:
    """Quote one word for a shell."""
    return text if _PLAIN.fullmatch(text) else "'" + text.replace("'", "'\"'\"'") + "'"
