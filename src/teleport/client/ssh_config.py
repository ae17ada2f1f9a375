"""The configuration of stock OpenSSH: every node of the cluster through the proxy's one port.

Host keys are checked against the host authority of the cluster under the name that was typed; a changed or
unknown key is never accepted. Nodes are not listed: the proxy knows them when `ssh` asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from teleport.client.profile import Files, Profile
from teleport.model.kinds.node import SSH_PORT

_END = "# End generated Teleport configuration"
_PLAIN = re.compile(r"[A-Za-z0-9_./:@+,=-]+")


class SshFiles(NamedTuple):
    """Files that `ssh` reads."""

    key: str
    certificate: str
    known_hosts: str
    identity: str = ""
    """Identity file that `tsh` acts with; empty for the profile."""
    agent: str = ""
    """Socket of the agent that has key and certificate, in the place of the files; empty for the files."""

    @classmethod
    def of(cls, files: Files) -> SshFiles:
        """Return those of a profile."""
        return cls(files.ssh_key, files.ssh_certificate, files.own_known_hosts)


class Hosts(NamedTuple):
    """The nodes of one cluster: as whom they are reached, and through what."""

    cluster: str
    files: SshFiles
    command: str
    """The ProxyCommand."""
    hands_over: bool = False
    """Whether the command does not carry the bytes, but hands a socket over and ends."""


def render(profile: Profile, files: SshFiles, tsh: str) -> str:
    """Return the text of an `ssh_config`(5); `tsh` is the path of the command that `ssh` is to start."""
    hosts = Hosts(profile.cluster, files, proxy_command(profile, files, tsh))
    return document("tsh", profile.proxy_host, [hosts])


def document(writer: str, proxy: str, clusters: Sequence[Hosts]) -> str:
    """Return the text of an `ssh_config`(5) for the nodes of several clusters behind the proxy on a host; `writer` is
    the program that writes it."""
    blocks = [line for hosts in clusters for line in _blocks(proxy, hosts)]
    begin, end = f"# Begin generated Teleport configuration for {proxy} by {writer}", _END
    return "\n".join((begin, "", *blocks, end, ""))


def _blocks(proxy: str, hosts: Hosts) -> list[str]:
    suffix = f"*.{hosts.cluster}"
    way = [f"Port {SSH_PORT}", f"ProxyCommand {hosts.command}", *(["ProxyUseFdpass yes"] if hosts.hands_over else [])]
    return [
        f"Host {suffix} {proxy}", *(f"    {line}" for line in _identity(hosts.files)), "",
        f"Host {suffix} !{proxy}", *(f"    {line}" for line in way), "",
    ]  # fmt: skip


def options_for(profile: Profile, files: SshFiles, tsh: str, host: str) -> list[str]:
    """Return lines of ssh_config(5) for one connection to `host`, as values of `-o`. The name that the node proves is
    the one in the cluster, which is what the known hosts are about."""
    suffix = f".{profile.cluster}"
    alias = host if host.endswith(suffix) else host + suffix
    return [*_identity(files), f"HostKeyAlias {alias}", f"ProxyCommand {proxy_command(profile, files, tsh)}"]


def proxy_command(profile: Profile, files: SshFiles, tsh: str) -> str:
    """Return the command that connects `ssh` with a node."""
    words = ["proxy", "ssh", f"--cluster={profile.cluster}", f"--proxy={profile.web_proxy_addr}"]
    if files.identity:
        words.append(f"--identity={files.identity}")
    return command_line(tsh, words, "%r@%h:%p")


def command_line(program: str, words: Sequence[str], *patterns: str) -> str:
    """Return a ProxyCommand: a program with words that mean themselves, and then such in which `%` means something to
    `ssh`."""
    called = f'"{program}"' if _PLAIN.fullmatch(program) else _word(program)
    return " ".join((called, *map(_option, words), *patterns))


def _identity(files: SshFiles) -> list[str]:
    """Return who connects, and whom is believed to be a node."""
    if files.agent:
        who = [f"IdentityAgent {_quote(files.agent)}", "IdentityFile none"]
    else:
        key, certificate = _quote(files.key), _quote(files.certificate)
        who = [f"IdentityFile {key}", f"CertificateFile {certificate}", "IdentitiesOnly yes"]
    return [
        f"UserKnownHostsFile {_quote(files.known_hosts)}",
        *who,
        "StrictHostKeyChecking yes",
        "HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com",
    ]


def _quote(path: str) -> str:
    """Quote a path for ssh_config(5): `%` doubles, blanks need double quotes."""
    return '"' + path.replace("%", "%%") + '"'


def _option(text: str) -> str:
    """Quote what follows `=` in an option, or the whole of any other word."""
    name, equals, value = text.partition("=")
    return f"{name}={_word(value)}" if equals and name.startswith("--") else _word(text)


def _word(text: str) -> str:
    """Quote one word for the shell that runs a ProxyCommand, where `%` doubles."""
    return shell_word(text).replace("%", "%%")


def shell_word(text: str) -> str:
    """Quote one word for a shell."""
    return text if _PLAIN.fullmatch(text) else "'" + text.replace("'", "'\"'\"'") + "'"
