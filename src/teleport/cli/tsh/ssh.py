"""tsh ssh, tsh proxy ssh: a shell or a command on a node, or on many, and the way there for stock OpenSSH."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import click

from teleport.base.clock import SystemClock
from teleport.base.errors import BadParameter, Unavailable
from teleport.base.escape import escape
from teleport.cli.common import FORMATS
from teleport.cli.tsh.quick import chosen_cluster, connect, credentials, resumes
from teleport.cli.tsh.ssh_line import Options, SshCommand
from teleport.cli.tsh.ssh_line import options as read_options
from teleport.cli.tsh.who import who_options
from teleport.client import ssh_targets
from teleport.client.credentials import Credentials, Wanted, locate
from teleport.client.forwards import Forward, parse
from teleport.client.ssh_targets import Filters, Target

if TYPE_CHECKING:
    from teleport.client.many import Outputs
    from teleport.client.ssh_client.connection import Connection


class Means(NamedTuple):
    """What a connection is for beside its session, and how it gets there."""

    forwards: tuple[Forward, ...] = ()
    agent: bool = False
    nothing: bool = False
    """Whether there is no session."""
    behind: bool = False
    """Whether it goes on in the background."""
    jump: str = ""
    """Address of the proxy to go through; empty for the profile's."""
    quiet: bool = False
    no_resume: bool = False


class Plan(NamedTuple):
    """What the words of a command line come to."""

    target: Target
    login: str
    port: int
    cluster: str
    command: str | None
    at_terminal: bool
    means: Means = Means()

    @property
    def one(self) -> bool:
        """Whether it can be for one node only: a shell, a terminal, ports, the background."""
        means = self.means
        return self.command is None or self.at_terminal or means.nothing or means.behind or bool(means.forwards)


@click.command("ssh", cls=SshCommand, context_settings={"allow_interspersed_args": False})
@click.option("-l", "--login", default="", envvar="TELEPORT_LOGIN", help="Login on the node.")
@click.option("-p", "--port", type=click.IntRange(1, 65535), default=None, help="Port of the node's SSH Service.")
@click.option(
    "-o", "--option", "options", multiple=True, help="An option of OpenSSH: User, Port, HostName, RequestTTY."
)
@click.option("-c", "--cluster", default="", help="Cluster of the node.")
@click.option("-t", "--tty", "with_terminal", count=True, help="Give the command a terminal.")
@click.option("-T", "--no-tty", "without_terminal", is_flag=True, help="Give it none, not even to a shell.")
@click.option("-L", "local", multiple=True, metavar="[ADDRESS:]PORT:HOST:PORT", help="A port here leads to there.")
@click.option("-R", "remote", multiple=True, metavar="[ADDRESS:]PORT:HOST:PORT", help="A port of the node leads here.")
@click.option("-D", "dynamic", multiple=True, metavar="[ADDRESS:]PORT", help="A port here is a SOCKS proxy.")
@click.option("-A", "--forward-agent", is_flag=True, help="Let the session use the SSH agent that runs here.")
@click.option("-N", "--no-remote-exec", "nothing", is_flag=True, help="Run nothing: for forwards alone.")
@click.option(
    "-f", "--fork-after-authentication", "behind", is_flag=True, help="Go on in the background once signed in."
)
@click.option("-J", "--jumphost", "jump", default="", metavar="PROXY", help="Go through another proxy of the cluster.")
@click.option(
    "-q",
    "--quiet",
    is_flag=True,
    help="Say nothing of connections resumed, and of those a forward could not open.",
)
@click.option("--no-resume", is_flag=True, help="Let the session end with its connection.")
@click.option("--no-holder", is_flag=True, expose_value=False, help="Use a connection of its own, and keep none.")
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
    local: tuple[str, ...],
    remote: tuple[str, ...],
    dynamic: tuple[str, ...],
    forward_agent: bool,
    nothing: bool,
    behind: bool,
    jump: str,
    quiet: bool,
    no_resume: bool,
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
    tsh ssh -N -L 8080:localhost:80 -D 1080 alice@node-1
    The exit status is that of the shell or command; on many nodes it is 1 if one of them has failed.
    """
    filters = Filters(tuple(word for word in search.split(",") if word), query)
    wanted, given = ssh_targets.parse(target, filters), read_options(options)
    line = " ".join(command) or None
    spelled = [("L", text) for text in local] + [("R", text) for text in remote] + [("D", text) for text in dynamic]
    forwards = (*(parse(option, text) for option, text in spelled), *given.forwards)
    plan = Plan(
        wanted if not given.host else wanted._replace(host=given.host, labels={}),
        wanted.login or login or given.user or getpass.getuser(),
        port or given.port,
        cluster or chosen_cluster(os.environ),
        line,
        not nothing and not behind and _at_terminal(given, line, with_terminal, without_terminal),
        Means(forwards, forward_agent or given.agent, nothing, behind, jump, quiet, no_resume),
    )
    if behind and not nothing and line is None:
        raise BadParameter("CLIENT-BEHIND")
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
    from teleport.client import ssh as client
    from teleport.model import node_lookup
    from teleport.wire.reach import Request

    wanted = node_lookup.parse(host)
    where = node_lookup.join(wanted.host, plan.port or wanted.port)
    request = Request(where, plan.cluster, plan.login)
    with chosen.in_use(plan.login):
        jump = locate(plan.means.jump) if plan.means.jump else ""
        tell = resumes(os.environ, off=plan.means.no_resume, quiet=plan.means.quiet)
        connection = client.connect(chosen.home, chosen.profile, request, host=wanted.host, proxy=jump, tell=tell)
        try:
            return _use(connection, plan, outputs)
        finally:
            connection.close()


def _use(connection: Connection, plan: Plan, outputs: Outputs | None) -> int:
    """Do what a connection is for."""
    from teleport.client import forwarding
    from teleport.client import ssh as client
    from teleport.client.ssh_client.session import Ends
    from teleport.client.ssh_client.session import Wanted as Session
    from teleport.client.terminal import Terminal

    with forwarding.Forwarding(connection, _warning(plan)) as forwards:
        for forward in plan.means.forwards:
            forwards.start(forward)
        if plan.means.behind:
            _go_behind()
        if plan.means.nothing:
            connection.run(lambda: False)
            raise connection.error or Unavailable(
                "CLIENT-SSH", host=connection.host, problem="the connection was ended"
            )
        path = os.environ.get("SSH_AUTH_SOCK", "") if plan.means.agent else ""
        wanted = Session(plan.command, agent=forwarding.agent(path) if path else None)
        ends = Ends(None, *outputs) if outputs else Ends(None if plan.means.behind else 0)
        return client.run_on(connection, wanted, ends, Terminal(0, os.environ) if plan.at_terminal else None)


def _go_behind() -> None:
    """Go on as a process of its own, and end the one that somebody waits for. Here is one thread."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        os._exit(0)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _warning(plan: Plan) -> Callable[[str], None]:
    """Return what tells of a connection that failed; at a raw terminal a line needs its beginning said as well."""

    def warn(text: str) -> None:
        if not plan.means.quiet:
            print(escape(text), end="\r\n" if plan.at_terminal else "\n", file=sys.stderr)

    return warn


@click.command("proxy ssh")
@click.option("--cluster", default="", help="Cluster of the node.")
@click.option("--no-resume", is_flag=True, help="Let the session end with its connection.")
@who_options
@click.argument("target", metavar="[LOGIN@]HOST[:PORT]")
def proxy_ssh(cluster: str, no_resume: bool, who: Wanted, target: str) -> None:
    """Connect standard input and output with a node's SSH Service, as ProxyCommand of stock OpenSSH.

    \b
    ssh -o ProxyCommand='tsh proxy ssh %r@%h:%p' alice@node-1.example.com
    `tsh config` prints a configuration that does this.
    """
    connect(target, who, cluster=cluster, resume=not no_resume)
