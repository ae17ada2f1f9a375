"""tsh ssh, tsh proxy ssh: a shell or a command on a node, or on many, and the way there for stock OpenSSH."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, NamedTuple

import click

from teleport.base.clock import SystemClock
from teleport.base.errors import BadParameter
from teleport.cli.common import FORMATS
from teleport.cli.tsh.quick import chosen_cluster, connect, credentials
from teleport.cli.tsh.ssh_line import Options, SshCommand
from teleport.cli.tsh.ssh_line import options as read_options
from teleport.cli.tsh.who import who_options
from teleport.client import ssh_targets
from teleport.client.credentials import Credentials, Wanted
from teleport.client.ssh_targets import Filters, Target

if TYPE_CHECKING:
    from teleport.client.many import Outputs
    from teleport.client.terminal import Terminal


class Plan(NamedTuple):
    """What the words of a command line come to."""

    target: Target
    login: str
    port: int
    cluster: str
    command: str | None
    at_terminal: bool

    @property
    def one(self) -> bool:
        """Whether it can be for one node only: a shell, or a terminal."""
        return self.command is None or self.at_terminal


@click.command("ssh", cls=SshCommand, context_settings={"allow_interspersed_args": False})
@click.option("-l", "--login", default="", envvar="TELEPORT_LOGIN", help="Login on the node.")
@click.option("-p", "--port", type=click.IntRange(1, 65535), default=None, help="Port of the node's SSH Service.")
@click.option(
    "-o", "--option", "options", multiple=True, help="An option of OpenSSH: User, Port, HostName, RequestTTY."
)
@click.option("-c", "--cluster", default="", help="Cluster of the node.")
@click.option("-t", "--tty", "with_terminal", count=True, help="Give the command a terminal.")
@click.option("-T", "--no-tty", "without_terminal", is_flag=True, help="Give it none, not even to a shell.")
@click.option("--search", default="", help="Nodes with these words, separated by commas, in name or labels.")
@click.option("--query", default="", help='Nodes that a predicate is true of, for example \'labels["env"] == "prod"\'.')
@click.option(
    "--parallel", type=click.IntRange(1, 100), default=20, show_default=True, help="On how many nodes at a time."
)
@click.option("--log-dir", default="", metavar="DIR", help="Write NODE.stdout and NODE.stderr there as well.")
@click.option(
    "--format", "output_format", type=click.Choice(FORMATS), default="text", show_default=True,
    help="How to print what a command on many nodes came to.",
)  # fmt: skip
@who_options
@click.argument("target", metavar="[LOGIN@]HOST[:PORT] | [LOGIN@]LABELS")
@click.argument("command", nargs=-1)
def ssh(
    login: str,
    port: int | None,
    options: tuple[str, ...],
    cluster: str,
    with_terminal: int,
    without_terminal: bool,
    search: str,
    query: str,
    parallel: int,
    log_dir: str,
    output_format: str,
    who: Wanted,
    target: str,
    command: tuple[str, ...],
) -> int:
    """Open a shell on a node, or run a command there; on all nodes with LABELS, `--search` or `--query`.

    \b
    tsh ssh alice@node-1
    tsh ssh alice@node-1 uptime
    tsh ssh -t alice@node-1 top
    tsh ssh -l alice node-1 'tar c /etc' > etc.tar
    tsh ssh alice@env=prod,role=db 'systemctl is-active postgresql'
    tsh ssh --query 'labels["env"] == "prod"' alice@ uptime
    The exit status is that of the shell or command; on many nodes it is 1 if one of them has failed.
    """
    filters = Filters(tuple(word for word in search.split(",") if word), query)
    wanted, given = ssh_targets.parse(target, filters), read_options(options)
    line = " ".join(command) or None
    plan = Plan(
        wanted if not given.host else wanted._replace(host=given.host, labels={}),
        wanted.login or login or given.user or getpass.getuser(),
        port or given.port,
        cluster or chosen_cluster(os.environ),
        line,
        _at_terminal(given, line, with_terminal, without_terminal),
    )
    chosen = credentials(who)
    chosen.check_valid(SystemClock())
    if not (plan.target.listed or log_dir or output_format != "text"):
        return _on_named(chosen, plan)
    # Listing speaks to the cluster: who names a node by its name does not wait for importing that.
    from teleport.cli.tsh import ssh_many

    nodes = ssh_many.find(chosen, plan.target, plan.cluster)
    output = ssh_many.Output(output_format, log_dir, parallel)
    if plan.one or (len(nodes) == 1 and not output.asked_for):
        return _on_one(chosen, plan, ssh_targets.only(nodes, plan.target.text).name)

    def run(id: str, ends: Outputs) -> int:
        return _on_one(chosen, plan, id, ends)

    return ssh_many.run(nodes, run, output)


def _at_terminal(given: Options, line: str | None, wanted: int, unwanted: bool) -> bool:
    if unwanted or given.terminal == "no":
        return False
    return wanted > 0 or given.terminal in ("yes", "force") or (line is None and os.isatty(0))


def _on_named(chosen: Credentials, plan: Plan) -> int:
    """Let the proxy find the node. Raises BadParameter (CLIENT-AMBIGUOUS) with what a name may mean."""
    try:
        return _on_one(chosen, plan, plan.target.host)
    except BadParameter as error:
        if not ssh_targets.is_ambiguity(error):
            raise
    from teleport.cli.tsh import ssh_many

    raise ssh_targets.ambiguous(ssh_many.find(chosen, plan.target, plan.cluster), plan.target.text)


def _on_one(chosen: Credentials, plan: Plan, host: str, outputs: Outputs | None = None) -> int:
    """Run the shell or command on one node."""
    # What follows imports an SSH client: a mistake above should not have to wait for that.
    import asyncio

    from teleport.client import ssh as client
    from teleport.model import node_lookup
    from teleport.net.network import SystemNetwork
    from teleport.wire.reach import Request

    wanted = node_lookup.parse(host)
    where = node_lookup.join(wanted.host, plan.port or wanted.port)
    work = client.run(
        chosen.home, chosen.profile, SystemNetwork(), Request(where, plan.cluster, plan.login), host=wanted.host,
        command=plan.command, ends=client.Ends(*outputs) if outputs else client.Ends(), terminal=_terminal(plan),
    )  # fmt: skip
    with chosen.in_use(plan.login):
        return asyncio.run(work)


def _terminal(plan: Plan) -> Terminal | None:
    from teleport.client.terminal import Terminal

    return Terminal(0, os.environ) if plan.at_terminal else None


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
