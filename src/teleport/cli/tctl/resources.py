"""tctl get, create, edit, rm, api-resources: all kinds through the same four commands."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from teleport.api.client import AuthClient
from teleport.base.errors import AlreadyExists, BadParameter, NotFound, NotSupported
from teleport.base.text import table, terminal_width
from teleport.cli.common import format_option, show
from teleport.cli.tctl.session import Where, call, collect, messages, where_options
from teleport.model import document, resource
from teleport.model.ref import Ref, refs
from teleport.model.resource import KindInfo, Resource

LARGEST_INPUT = 1_000_000
"""Bytes of a file of resources."""
NO_PROGRAM = 127
"""Status by which shells say that a program cannot be started."""


@click.command("get")
@click.argument("words", nargs=-1, required=True, metavar="KIND[/NAME][,...]")
@click.option("--format", "output_format", type=click.Choice(["yaml", "json", "text"]), default="yaml")
@click.option("--with-secrets", is_flag=True, help="Include secret fields, for backups.")
@click.option("-v", "--verbose", is_flag=True, help="Do not shorten tables.")
@where_options
def get(words: tuple[str, ...], output_format: str, with_secrets: bool, verbose: bool, where: Where) -> None:
    """Print resources.

    \b
    tctl get users
    tctl get role/dev > dev.yaml
    tctl get roles,locks
    tctl get bot_instance/example/5cee949f-5203-4f3b-9805-dac35d798a16
    tctl get all > backup.yaml      # with secrets
    """
    wanted = refs(words)
    with_secrets = with_secrets or [word.lower() for word in words] == ["all"]
    if output_format != "yaml" and len({ref.info.name for ref in wanted}) > 1:
        raise BadParameter("CLI-MIXED-KINDS")

    async def work(client: AuthClient) -> list[Resource[Any]]:
        return [found for ref in wanted for found in await _fetch(client, ref, with_secrets)]

    found = call(where, work)
    if output_format == "yaml":
        click.echo(document.dump_yaml(found, secrets=with_secrets), nl=False)
    elif output_format == "json":
        show([resource.dump(entry, secrets=with_secrets) for entry in found], "json")
    else:
        _print_table(wanted[0].info, found, verbose)


async def _fetch(client: AuthClient, ref: Ref, with_secrets: bool) -> Sequence[Resource[Any]]:
    info = ref.info
    if ref.name:
        found = await client.get(info.name, ref.name, sub_kind=ref.sub_kind, with_secrets=with_secrets)
        if not ref.belongs(found):
            raise NotFound("CLI-OTHER-OWNER", kind=info.name, name=ref.name[:80], owner=ref.owner[:80])
        return [found]
    every = await collect(client.list(info.name, sub_kind=ref.sub_kind, with_secrets=with_secrets))
    return [each for each in every if ref.belongs(each)]


def _print_table(info: KindInfo, found: Sequence[Resource[Any]], verbose: bool) -> None:
    headings = [column.heading for column in info.columns]
    rows = [[column.cell(entry) for column in info.columns] for entry in found]
    for line in table(headings, rows, width=0 if verbose else terminal_width()):
        click.echo(line)


@click.command("create")
@click.argument("file", required=False, default="-")
@click.option("-f", "--force", is_flag=True, help="Overwrite what exists.")
@where_options
def create(file: str, force: bool, where: Where) -> None:
    """Create resources from a YAML file of one or more documents, or from standard input.

    \b
    tctl create dev.yaml
    tctl get role/dev | tctl create -f
    """
    found = document.read(_read(file), "<stdin>" if file == "-" else file)
    for entry in found:
        if "create" not in type(entry).info.writable:
            raise NotSupported("CLI-CREATE-KIND", kind=type(entry).info.name)

    async def work(client: AuthClient) -> None:
        for entry in found:
            click.echo(await _create(client, entry, force))

    call(where, work)


async def _create(client: AuthClient, entry: Resource[Any], force: bool) -> str:
    info = type(entry).info
    if not force:
        written = await client.create(entry)
        return messages(info, written.name, "create")
    try:
        written = await client.create(entry)
        return messages(info, written.name, "create")
    except AlreadyExists:
        written = await client.upsert(entry)
        return messages(info, written.name, "update")


def _read(file: str) -> str:
    try:
        if file == "-":
            raw = sys.stdin.buffer.read(LARGEST_INPUT + 1)
        else:
            with Path(file).open("rb") as source:
                raw = source.read(LARGEST_INPUT + 1)
        if len(raw) > LARGEST_INPUT:
            raise BadParameter("CLI-FILE", path=file, problem=f"it has more than {LARGEST_INPUT} bytes")
        return raw.decode()
    except FileNotFoundError:
        raise NotFound("CLI-NO-FILE", path=file) from None
    except OSError as problem:
        raise BadParameter("CLI-FILE", path=file, problem=problem.strerror) from None
    except UnicodeDecodeError:
        raise BadParameter("CLI-FILE", path=file, problem="it is not UTF-8 text") from None


@click.command("rm")
@click.argument("word", nargs=-1, required=True, metavar="KIND/NAME")
@where_options
def rm(word: tuple[str, ...], where: Where) -> None:
    """Delete resources.

    \b
    tctl rm role/dev
    tctl rm lock/5cee949f-5203-4f3b-9805-dac35d798a16
    """
    wanted = refs(word)
    for ref in wanted:
        if "rm" not in ref.info.writable:
            raise NotSupported("CLI-RM-KIND", kind=ref.info.name)
        if not ref.name:
            raise BadParameter("CLI-RM-NAME", kind=ref.info.name)

    async def work(client: AuthClient) -> None:
        for ref in wanted:
            if ref.owner:
                await _fetch(client, ref, False)
            await client.delete(ref.info.name, ref.name, sub_kind=ref.sub_kind)
            click.echo(messages(ref.info, ref.title, "delete", sub_kind=ref.sub_kind))

    call(where, work)


@click.command("edit")
@click.argument("word", nargs=-1, required=True, metavar="KIND/NAME")
@where_options
def edit(word: tuple[str, ...], where: Where) -> None:
    """Open a resource in an editor and store it when it was changed.

    The editor is TELEPORT_EDITOR, VISUAL or EDITOR, else vi.
    """
    wanted = refs(word)
    if len(wanted) != 1:
        raise BadParameter("CLI-EDIT-ONE")
    ref = wanted[0]

    async def fetch(client: AuthClient) -> Sequence[Resource[Any]]:
        return await _fetch(client, ref, True)

    found = call(where, fetch)
    before = found[0] if len(found) == 1 else None
    if before is None or not ref.name:
        raise BadParameter("CLI-EDIT-ONE")
    if "edit" not in type(before).info.writable:
        raise NotSupported("CLI-EDIT-KIND", kind=type(before).info.name)
    after = _edited(before)
    if after is None:
        click.echo("nothing was changed", err=True)
        return
    if (after.name, after.sub_kind, type(after)) != (before.name, before.sub_kind, type(before)):
        raise BadParameter("CLI-EDIT-RENAME", kind=type(before).info.name, name=before.name)
    changed = after.with_metadata(revision=before.metadata.revision)
    written = call(where, lambda client: client.update(changed))
    click.echo(messages(type(before).info, written.name, "update"))


def _edited(before: Resource[Any]) -> Resource[Any] | None:
    """Let the editor run on a private copy; None when it was left as it is."""
    text = document.dump_yaml([before], secrets=True)
    editor = next((os.environ[v] for v in ("TELEPORT_EDITOR", "VISUAL", "EDITOR") if os.environ.get(v)), "vi")
    with tempfile.TemporaryDirectory(prefix="tctl-edit-") as folder:
        path = Path(folder) / f"{type(before).info.name}.yaml"
        path.touch(mode=0o600)
        path.write_text(text)
        try:
            status = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode
        except (OSError, ValueError):  # there is no such program, or its words cannot be told apart
            status = NO_PROGRAM
        if status != 0:
            raise BadParameter("CLI-EDITOR", editor=editor, status=status)
        changed = path.read_text()
    if changed == text:
        return None
    found = document.read(changed, path.name)
    if len(found) != 1:
        raise BadParameter("CLI-EDIT-ONE")
    return found[0]


@click.command("api-resources")
@format_option
@where_options
def api_resources(output_format: str, where: Where) -> None:
    """List the kinds of resources with their aliases and versions. No cluster is asked."""
    kinds = [
        {
            "kind": info.name,
            "aliases": list(info.aliases[1:]),
            "versions": list(info.versions),
            "commands": sorted(info.writable),
        }
        for info in resource.every()
    ]
    if output_format != "text":
        show(kinds, output_format)
        return
    rows = [
        [kind["kind"], *(",".join(kind[column]) for column in ("aliases", "versions", "commands"))] for kind in kinds
    ]
    for line in table(["Kind", "Aliases", "Versions", "Commands"], rows):
        click.echo(line)
