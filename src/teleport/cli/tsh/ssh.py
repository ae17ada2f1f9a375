"""tsh ssh, tsh proxy ssh: a shell or a command on a node, and the way there for stock OpenSSH."""

from __future__ import annotations

import getpass
import os

import click

from teleport.base.clock import SystemClock
from teleport.base.errors import BadParameter
from teleport.cli.tsh.quick import chosen_cluster, connect, credentials, parse_target
from teleport.cli.tsh.who import who_options
from teleport.client.credentials import Wanted

_OFF = frozenset(
    {"forwardagent", "forwardx11", "forwardx11trusted", "permitlocalcommand", "tunnel", "requesttty", "compression"}
)
"""Options of OpenSSH that tsh has no use for; being told `no` is fine."""


@click.command("ssh", context_settings={"allow_interspersed_args": False})
@click.option("-l", "--login", default="", envvar="TELEPORT_LOGIN", help="Login on the node.")
@click.option("-p", "--port", type=click.IntRange(1, 65535), default=None, help="Port of the node's SSH Service.")
@click.option("-o", "--option", "options", multiple=True, help="An option of OpenSSH: User, Port, HostName.")
@click.option("-c", "--cluster", default="", help="Cluster of the node.")
@click.option("-t", "--tty", "with_terminal", count=True, help="Give the command a terminal.")
@click.option("-T", "--no-tty", "without_terminal", is_flag=True, help="Give it none, not even to a shell.")
@who_options
@click.argument("target", metavar="[LOGIN@]HOST[:PORT]")
@click.argument("command", nargs=-1)
def ssh(
    login: str,
    port: int | None,
    options: tuple[str, ...],
    cluster: str,
    with_terminal: int,
    without_terminal: bool,
    who: Wanted,
    target: str,
    command: tuple[str, ...],
) -> int:
    """Open a shell on a node, or run a command there.

    \b
    tsh ssh alice@node-1
    tsh ssh alice@node-1 uptime
    tsh ssh -t alice@node-1 top
    tsh ssh -l alice node-1 'tar c /etc' > etc.tar
    The exit status is that of the shell or command.
    """
    given = _options(options)
    named, host = parse_target(target)
    host, number = given.get("hostname", host), port or int(given.get("port", "0"))
    login = named or login or given.get("user") or getpass.getuser()
    chosen = credentials(who)
    chosen.check_valid(SystemClock())
    # What follows imports an SSH client: a mistake above should not have to wait for that.
    from teleport.client import ssh as client
    from teleport.client.terminal import Terminal
    from teleport.model import node_lookup
    from teleport.wire.reach import Request

    wanted = node_lookup.parse(host)
    where = node_lookup.join(wanted.host, number or wanted.port)
    line = " ".join(command) or None
    request = Request(where, cluster or chosen_cluster(os.environ), login)
    at_terminal = not without_terminal and (with_terminal > 0 or (line is None and os.isatty(0)))
    with chosen.in_use():
        return client.run(
            chosen.home, chosen.profile, request, host=wanted.host, command=line, ends=client.Ends(),
            terminal=Terminal(0, os.environ) if at_terminal else None,
        )  # fmt: skip


@click.command("proxy ssh")
@click.option("--cluster", default="", help="Cluster of the node.")
@who_options
@click.argument("target", metavar="[LOGIN@]HOST[:PORT]")
def proxy_ssh(cluster: str, who: Wanted, target: str) -> None:
    """Connect standard input and output with a node's SSH Service, as ProxyCommand of stock OpenSSH.

    \b
    ssh -o ProxyCommand='tsh proxy ssh %r@%h:%p' alice@node-1.example.com
    `tsh config` prints a configuration that does this.
    """
    connect(target, who, cluster=cluster)


def _options(given: tuple[str, ...]) -> dict[str, str]:
    """Read `Name=value` and `Name value`. Raises BadParameter (CLIENT-SSH-OPTION)."""
    found: dict[str, str] = {}
    for text in given:
        name, _, value = text.replace(" ", "=", 1).partition("=")
        name, value = name.strip().lower(), value.strip().strip("=").strip()
        number = int(value) if name == "port" and value.isascii() and value.isdigit() else 0
        if (name in ("user", "hostname") and value) or 0 < number < 65536:
            found[name] = value
        elif not (name in _OFF and value.lower() == "no"):
            raise BadParameter("CLIENT-SSH-OPTION", option=text[:100])
    return found
