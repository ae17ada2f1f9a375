"""tctl recordings: recorded sessions, their files, and the keys that they are sealed to."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import click

from teleport.base.text import table
from teleport.cli.common import format_option, show
from teleport.cli.recordings import free_path, print_recordings, write_recording
from teleport.cli.tctl.session import Where, call, collect, where_options

if TYPE_CHECKING:
    from teleport.api.client import AuthClient
    from teleport.api.recording_messages import RecordingKey

_LIMIT = 50


@click.command("recordings ls")
@click.option("--user", default="", help="Only sessions of this user.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=_LIMIT, show_default=True, help="Most results.")
@format_option
@where_options
def ls(user: str, limit: int, output_format: str, where: Where) -> None:
    """List recorded sessions, newest first."""
    from teleport.api.recording_calls import RecordingCalls
    from teleport.api.recording_messages import RecordingQuery

    query = RecordingQuery(user=user, limit=limit)
    found = call(where, lambda client: collect(RecordingCalls(client).list(query)))
    print_recordings(found, output_format)


@click.command("recordings download")
@click.argument("session_id", metavar="ID")
@click.option("-o", "--output", "folder", default=".", metavar="DIR", help="Where to [the current directory].")
@where_options
def download(session_id: str, folder: str, where: Where) -> None:
    """Write a recording to a file (asciicast, version 2) that `tsh play` and other players read."""
    from teleport.api.recording_calls import RecordingCalls
    from teleport.client.recordings import asciicast, source

    path = free_path(folder, session_id, "cast")

    async def fetched(client: AuthClient) -> bytes:
        _, frames = await source.fetch(RecordingCalls(client), session_id, purpose="download")
        return "".join(asciicast.write(frames)).encode()

    write_recording(path, call(where, fetched))


@click.command("recordings encryption status")
@format_option
@where_options
def encryption_status(output_format: str, where: Where) -> None:
    """List the keys that recordings are sealed to; the active one seals new recordings."""
    from teleport.api.recording_calls import RecordingCalls

    _print_keys(call(where, lambda client: RecordingCalls(client).keys()), output_format)


@click.command("recordings encryption rotate")
@format_option
@where_options
def encryption_rotate(output_format: str, where: Where) -> None:
    """Seal recordings to a new key from now on. Those made before stay readable."""
    from teleport.api.recording_calls import RecordingCalls

    _print_keys(call(where, lambda client: RecordingCalls(client).rotate_key()), output_format)


def _print_keys(keys: tuple[RecordingKey, ...], output_format: str) -> None:
    if output_format != "text":
        show(
            [
                {
                    "id": key.id, "active": key.active, "created": key.created.isoformat(),
                    "public_key": base64.b64encode(key.public_key).decode(),
                }
                for key in keys
            ],
            output_format,
        )  # fmt: skip
        return
    rows = [[key.id, "active" if key.active else "opens only", f"{key.created:%Y-%m-%d %H:%M:%S} UTC"] for key in keys]
    for line in table(["Key", "State", "Created"], rows):
        click.echo(line)
