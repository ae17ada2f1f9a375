"""tctl db ls, tctl apps ls, tctl kube ls: what agents serve now."""

from __future__ import annotations

from collections.abc import Sequence

import click

from teleport.base.text import label_text, parse_labels, table, terminal_width
from teleport.cli.common import format_option, show
from teleport.cli.tctl.session import Where, call, collect, where_options
from teleport.model import resource
from teleport.model.kinds.app_server import AppServer
from teleport.model.kinds.db_server import DbServer
from teleport.model.kinds.kube_server import KubeServer
from teleport.model.resource import Column, KindInfo

_KUBE = (
    Column("Kube Cluster Name", lambda server: str(server.name)),
    Column("Version", lambda server: str(server.spec.version)),
    Column("Labels", lambda server: label_text(server.labels_now())),
)


def _command(name: str, info: KindInfo, columns: Sequence[Column], title: str) -> click.Command:
    """Return the command that lists heartbeats of a kind."""

    @click.command(name, help=f"List the {title} that agents serve now.\n\n\b\ntctl {name} env=dev")
    @click.argument("selector", metavar="[LABELS]", default="")
    @click.option("--search", default="", help="Words, separated by commas, that must occur in name or labels.")
    @click.option("--query", default="", help='A predicate, for example \'labels["env"] == "prod"\'.')
    @click.option("-v", "--verbose", is_flag=True, help="Show whole labels.")
    @format_option
    @where_options
    def ls(selector: str, search: str, query: str, verbose: bool, output_format: str, where: Where) -> None:
        wanted, words = parse_labels(selector), tuple(word for word in search.split(",") if word)
        found = call(where, lambda client: collect(client.list(info.name, labels=wanted, search=words, query=query)))
        if output_format != "text":
            show([resource.dump(server) for server in found], output_format)
            return
        rows = [[column.cell(server) for column in columns] for server in found]
        for line in table([column.heading for column in columns], rows, width=0 if verbose else terminal_width()):
            click.echo(line)

    return ls


databases = _command("db ls", DbServer.info, DbServer.info.columns, "databases")
applications = _command("apps ls", AppServer.info, AppServer.info.columns, "applications")
kubernetes_clusters = _command("kube ls", KubeServer.info, _KUBE, "Kubernetes clusters")
