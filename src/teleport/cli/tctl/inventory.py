"""tctl inventory: the processes of the cluster - their versions, what keeps them up to date, which are connected."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from teleport.api.inventory_calls import InventoryCalls
from teleport.api.inventory_messages import Connected
from teleport.base.text import table
from teleport.base.version_order import ordered
from teleport.cli.common import format_option, show
from teleport.cli.tctl.session import Where, call, collect, where_options
from teleport.model import resource
from teleport.model.kinds.instance import NO_UPGRADER, Instance, version_cell

OLDEST = "0.0.0-0"
UPGRADERS = ("unit", "kube", "binary", NO_UPGRADER)


@click.command("inventory ls")
@click.option("--older-than", default="", metavar="VERSION", help="Only versions before this one.")
@click.option("--newer-than", default="", metavar="VERSION", help="Only versions after this one.")
@click.option("--exact-version", default="", metavar="VERSION", help="Only this version.")
@click.option("--services", default="", help="Only processes with all of these services, separated by commas.")
@click.option("--upgrader", type=click.Choice(UPGRADERS), default=None, help="Only what is kept up to date by this.")
@format_option
@where_options
def ls(
    older_than: str, newer_than: str, exact_version: str, services: str, upgrader: str | None, output_format: str,
    where: Where,
) -> None:  # fmt: skip
    """List the processes of the cluster, connected or heard of in the last twenty minutes.

    \b
    tctl inventory ls --upgrader=none
    tctl inventory ls --older-than=v16.0.0 --services=node
    """
    older, newer, exact = (ordered(text) if text else None for text in (older_than, newer_than, exact_version))
    wanted = {service.strip().lower() for service in services.split(",") if service.strip()}

    def fits(one: resource.Resource[Any]) -> bool:
        version = ordered(one.spec.version or OLDEST)
        return (
            (older is None or version < older)
            and (newer is None or version > newer)
            and (exact is None or version == exact)
            and wanted <= {service.lower() for service in one.spec.services}
            and upgrader in (None, one.spec.external_upgrader or NO_UPGRADER)
        )

    found = [one for one in call(where, lambda client: collect(client.list("instance"))) if fits(one)]
    if output_format != "text":
        show([resource.dump(one) for one in found], output_format)
        return
    columns = Instance.info.columns
    for line in table([column.heading for column in columns], [[c.cell(one) for c in columns] for one in found]):
        click.echo(line)
    for one in found:
        if one.spec.clones:
            click.echo(f"warning[INV-CLONE]: {one.name} is also the id of a process at "
                       f"{', '.join(one.spec.clones)}; see `tctl help INV-CLONE`", err=True)  # fmt: skip


@click.command("inventory status")
@click.option("--connected", is_flag=True, help="List what is connected to the Auth Service right now.")
@format_option
@where_options
def status(connected: bool, output_format: str, where: Where) -> None:
    """Count the processes of the cluster, or list those that are connected."""
    if connected:
        _show_connected(call(where, lambda client: InventoryCalls(client).connected()), output_format)
        return
    every = call(where, lambda client: collect(client.list("instance")))
    counts = {
        "Versions": Counter(version_cell(one.spec.version) for one in every),
        "Upgraders": Counter(one.spec.external_upgrader or NO_UPGRADER for one in every),
        "Services": Counter(service for one in every for service in one.spec.services),
    }
    if output_format != "text":
        tree: dict[str, Any] = {name.lower(): dict(sorted(found.items())) for name, found in counts.items()}
        show({**tree, "total_instances": len(every)}, output_format)
        return
    for name, found in counts.items():
        click.echo(f"{name}:")
        for value, count in sorted(found.items()):
            click.echo(f"  {value}: {count}")
    click.echo(f"Total Instances: {len(every)}")


def _show_connected(found: list[Connected], output_format: str) -> None:
    found = sorted(found, key=lambda one: (one.hello.hostname, one.server_id))
    if output_format != "text":
        show(
            [
                {
                    "server_id": one.server_id, "hostname": one.hello.hostname, "services": sorted(one.hello.services),
                    "version": one.hello.version, "external_upgrader": one.hello.external_upgrader,
                    "address": one.address, "since": one.since.isoformat(),
                }
                for one in found
            ],
            output_format,
        )  # fmt: skip
        return
    rows = [
        [one.server_id, ",".join(sorted(one.hello.services)), version_cell(one.hello.version),
         one.hello.external_upgrader or NO_UPGRADER]
        for one in found
    ]  # fmt: skip
    for line in table(["Server ID", "Services", "Version", "Upgrader"], rows):
        click.echo(line)


@click.command("inventory ping")
@click.argument("server_id")
@format_option
@where_options
def ping(server_id: str, output_format: str, where: Where) -> None:
    """Ask a connected process for an answer."""
    seconds = call(where, lambda client: InventoryCalls(client).ping(server_id))
    if output_format != "text":
        show({"server_id": server_id, "seconds": seconds}, output_format)
        return
    click.echo(f'Successfully pinged server "{server_id}" (~{max(1, round(seconds * 1000))}ms).')
