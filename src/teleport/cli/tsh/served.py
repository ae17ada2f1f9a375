"""tsh db ls, tsh apps ls, tsh kube ls: what you may reach beside servers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import click

from teleport.api.client import AuthClient
from teleport.base.text import label_text, parse_labels, table, terminal_width
from teleport.cli.common import format_option, show
from teleport.cli.tsh.session import call, call_as
from teleport.cli.tsh.who import who_options
from teleport.client import served
from teleport.client.credentials import Wanted
from teleport.client.profile import Profile
from teleport.model import resource
from teleport.model.kinds.app import app_type
from teleport.model.kinds.db import Db

SELF_HOSTED = "self-hosted"
"""Type of a database that no cloud runs."""


def choosing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a listing; the function receives them as `chosen`, ready for a client."""

    @click.argument("selector", metavar="[LABELS]", default="")
    @click.option("--search", default="", help="Words, separated by commas, that must occur in name or labels.")
    @click.option("--query", default="", help='A predicate, for example \'labels["env"] == "prod"\'.')
    @functools.wraps(function)
    def called(*args: Any, selector: str, search: str, query: str, **rest: Any) -> Any:
        words = tuple(word for word in search.split(",") if word)
        return function(*args, chosen={"labels": parse_labels(selector), "search": words, "query": query}, **rest)

    return called


@click.command("db ls")
@choosing
@click.option("-v", "--verbose", is_flag=True, help="Show protocol, type and address, and whole labels.")
@format_option
@who_options
def databases(chosen: dict[str, Any], verbose: bool, output_format: str, who: Wanted) -> None:
    """List the databases that you may reach, and the accounts that your roles allow there.

    \b
    tsh db ls
    tsh db ls env=dev --format=json
    """

    async def ask(client: AuthClient, profile: Profile) -> list[tuple[Db, Any]]:
        found, roles = await served.databases(client, **chosen), await served.roles_of(client, profile)
        return [(database, served.accounts(roles, profile, database)) for database in found]

    found = call_as(who, ask)
    if output_format != "text":
        show([{**resource.dump(database), "users": _users(accounts)} for database, accounts in found], output_format)
        return
    headings = ["Name", "Description", "Allowed Users", "Labels", "Connect"]
    rows = [
        [database.name, database.metadata.description, served.accounts_text(accounts),
         label_text(database.labels_now()), ""]
        for database, accounts in found
    ]  # fmt: skip
    if verbose:
        headings[2:2] = ["Protocol", "Type", "URI"]
        for row, (database, _) in zip(rows, found, strict=True):
            row[2:2] = [database.spec.protocol, SELF_HOSTED, database.spec.uri]
    _print(headings, rows, verbose)


def _users(accounts: Any) -> dict[str, list[str]]:
    return {"allowed": list(accounts.allowed), "denied": list(accounts.denied)} if accounts else {}


@click.command("apps ls")
@choosing
@click.option("-v", "--verbose", is_flag=True, help="Show the address behind it, and whole labels.")
@format_option
@who_options
def applications(chosen: dict[str, Any], verbose: bool, output_format: str, who: Wanted) -> None:
    """List the applications that you may reach.

    \b
    tsh apps ls
    tsh apps ls --search=grafana
    """
    found = call(who, lambda client: served.applications(client, **chosen))
    if output_format != "text":
        show([resource.dump(app) for app in found], output_format)
        return
    headings = ["Application", "Description", "Type", "Public Address", "Labels"]
    rows = [
        [app.name, app.metadata.description, app_type(app), app.spec.public_addr, label_text(app.labels_now())]
        for app in found
    ]
    if verbose:
        headings.insert(4, "URI")
        for row, app in zip(rows, found, strict=True):
            row.insert(4, app.spec.uri)
    _print(headings, rows, verbose)


@click.command("kube ls")
@choosing
@click.option("-v", "--verbose", is_flag=True, help="Show whole labels.")
@click.option("-q", "--quiet", is_flag=True, help="Without the line of headings.")
@format_option
@who_options
def kubernetes_clusters(chosen: dict[str, Any], verbose: bool, quiet: bool, output_format: str, who: Wanted) -> None:
    """List the Kubernetes clusters that you may reach.

    \b
    tsh kube ls
    tsh kube ls env=dev
    """
    found = call(who, lambda client: served.kubernetes_clusters(client, **chosen))
    if output_format != "text":
        show([resource.dump(cluster) for cluster in found], output_format)
        return
    rows = [[cluster.name, label_text(cluster.labels_now()), ""] for cluster in found]
    _print(["Kube Cluster Name", "Labels", "Selected"], rows, verbose, skip=2 if quiet else 0)


def _print(headings: Sequence[str], rows: Sequence[Sequence[str]], verbose: bool, skip: int = 0) -> None:
    for line in table(headings, rows, width=0 if verbose else terminal_width())[skip:]:
        click.echo(line)
