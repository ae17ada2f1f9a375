"""tsh scp: files to a node, and from one."""

from __future__ import annotations

import getpass
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import BadParameter, TeleportError, Unavailable
from teleport.cli.common import report
from teleport.cli.tsh.quick import chosen_cluster, credentials, resumes
from teleport.cli.tsh.who import who_options
from teleport.client import ssh_targets
from teleport.client.credentials import Credentials, Wanted
from teleport.client.sftp.names import Place, parse_place
from teleport.client.ssh_targets import Target

if TYPE_CHECKING:
    from teleport.client.sftp.session import Session


@click.command("scp")
@click.option("-r", "--recursive", is_flag=True, help="Copy folders with all that is in them.")
@click.option("-p", "--preserve", is_flag=True, help="Keep times and permissions.")
@click.option("-P", "--port", type=click.IntRange(1, 65535), default=None, help="Port of the node's SSH Service.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("-c", "--cluster", default="", help="Cluster of the node.")
@click.option("--no-resume", is_flag=True, help="Let the copy end with its connection.")
@who_options
@click.argument("places", nargs=-1, required=True, metavar="SOURCE... TARGET")
def scp(
    recursive: bool, preserve: bool, port: int | None, quiet: bool, cluster: str, no_resume: bool, who: Wanted,
    places: tuple[str, ...],
) -> int:  # fmt: skip
    """Copy files to a node, or from one.

    \b
    tsh scp notes.txt alice@node-1:
    tsh scp -r alice@node-1:/var/log/app logs
    tsh scp -p 'alice@node-1:*.conf' ./confs/
    tsh scp notes.txt alice@env=dev,role=web:/tmp/
    A path on a node without a slash in front begins in the login's home; labels must mean one node. A file appears
    under its name when it is whole. The exit status is 0 if everything was copied.
    """
    sources, target = [parse_place(text) for text in places[:-1]], parse_place(places[-1])
    host = _only_host(sources, target)
    chosen = credentials(who)
    chosen.check_valid(SystemClock())
    # What follows imports an SSH client: a mistake above should not have to wait for that.
    from teleport.client.sftp.files import Manner
    from teleport.client.sftp.progress import Line, Silent
    from teleport.client.sftp.tree import Copier

    failures: list[TeleportError] = []

    def failed(error: TeleportError) -> None:
        failures.append(error)
        report(error)

    manner = Manner(preserve=preserve, mark=f"tsh-{SystemEntropy().token(6).hex()}")
    progress = Silent() if quiet or not sys.stderr.isatty() else Line(sys.stderr)
    tell = resumes(os.environ, off=no_resume, quiet=quiet)
    with _session(chosen, host, port, cluster or chosen_cluster(os.environ), tell) as session:
        copier = Copier(session, manner, progress, failed, recursive=recursive)
        paths = [source.path for source in sources]
        (copier.upload if target.host else copier.download)(paths, target.path)
    if len(failures) > 1:
        raise Unavailable("CLIENT-COPY-FAILED", count=len(failures))
    return 1 if failures else 0


def _only_host(sources: list[Place], target: Place) -> str:
    """Return the node of a copy. Raises BadParameter (CLIENT-COPY-SIDES)."""
    hosts = {source.host for source in sources}
    if len(hosts) != 1 or bool(target.host) is bool(*hosts):
        raise BadParameter("CLIENT-COPY-SIDES", source=", ".join(map(str, sources)) or "nothing", target=target)
    return target.host or hosts.pop()


@contextmanager
def _session(
    chosen: Credentials, where: str, port: int | None, cluster: str, tell: Callable[[str], None] | None
) -> Iterator[Session]:  # fmt: skip
    """Open the file service of a node."""
    from teleport.client import ssh as client
    from teleport.client.sftp.session import Session
    from teleport.model import node_lookup
    from teleport.wire.reach import Request

    target = ssh_targets.parse(where)
    login = target.login or getpass.getuser()
    wanted = node_lookup.parse(named(chosen, target, cluster))
    request = Request(node_lookup.join(wanted.host, port or wanted.port), cluster, login)
    with chosen.in_use(login), explained(chosen, target, cluster):
        connection = client.connect(chosen.home, chosen.profile, request, host=wanted.host, tell=tell)
    try:
        session = Session(connection.open_stream(subsystem="sftp"))
        with _stopped_by_signals(session):
            yield session
    finally:
        connection.close()


@contextmanager
def _stopped_by_signals(session: Session) -> Iterator[None]:
    """Let a signal end a copy between two requests, so that what is half done can be removed; a second one ends it
    wherever it is."""

    def stop(number: int, frame: object) -> None:
        if session.stopping:
            raise KeyboardInterrupt
        session.stopping = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def named(chosen: Credentials, target: Target, cluster: str) -> str:
    """Return the name of the one node that a target means, with its port if one was given. Labels are looked up.

    Raises NotFound (CLIENT-NO-MATCH), BadParameter (CLIENT-AMBIGUOUS)."""
    if not target.listed:
        return target.host
    # Listing speaks to the cluster: who names a node by its name does not wait for importing that.
    from teleport.cli.tsh import ssh_many

    return ssh_targets.only(ssh_many.find(chosen, target, cluster), target.text).name


@contextmanager
def explained(chosen: Credentials, target: Target, cluster: str) -> Iterator[None]:
    """List the nodes when a proxy says that a name means several. Raises BadParameter (CLIENT-AMBIGUOUS)."""
    try:
        yield
    except BadParameter as error:
        if not ssh_targets.is_ambiguity(error):
            raise
        from teleport.cli.tsh import ssh_many

        raise ssh_targets.ambiguous(ssh_many.find(chosen, target, cluster), target.text) from None
