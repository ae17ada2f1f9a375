"""tsh recordings: which sessions were recorded, their files, and what stood on their screens."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from teleport.base.clock import SystemClock
from teleport.base.struct import Duration
from teleport.base.text import table, terminal_width
from teleport.cli.common import format_option, show
from teleport.cli.recordings import as_document, free_path, print_recordings, write_recording
from teleport.cli.tsh.session import call, collect
from teleport.cli.tsh.who import who_options
from teleport.client.credentials import Wanted

if TYPE_CHECKING:
    from teleport.api.client import AuthClient
    from teleport.api.recording_messages import ScreenHit, ScreenPage

_LIMIT = 50
_WIDTH = 200
"""Columns of a table that goes to a file or a pipe."""
_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]

_RANGE = (
    click.option("--from-utc", type=click.DateTime(_TIMES), default=None, help="Sessions that began then or later."),
    click.option("--to-utc", type=click.DateTime(_TIMES), default=None, help="Sessions that began before then."),
    click.option("--last", default="", help="How far back instead, for example 12h or 7d."),
    click.option("--limit", type=click.IntRange(1, 10_000), default=_LIMIT, show_default=True, help="Most results."),
)


def _range_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_RANGE):
        function = option(function)
    return function


def _range(from_utc: dt.datetime | None, to_utc: dt.datetime | None, last: str) -> dict[str, Any]:
    since = from_utc.replace(tzinfo=dt.UTC) if from_utc else None
    if last:
        since = SystemClock().now() - Duration.parse(last).delta
    return {"since": since, "until": to_utc.replace(tzinfo=dt.UTC) if to_utc else None}


@click.command("recordings ls")
@_range_options
@format_option
@who_options
def ls(
    from_utc: dt.datetime | None, to_utc: dt.datetime | None, last: str, limit: int, output_format: str, who: Wanted
) -> None:
    """List recorded sessions, newest first.

    \b
    tsh recordings ls --last=7d
    """
    from teleport.api.recording_calls import RecordingCalls
    from teleport.api.recording_messages import RecordingQuery

    query = RecordingQuery(limit=limit, **_range(from_utc, to_utc, last))
    found = call(who, lambda client: collect(RecordingCalls(client).list(query)))
    print_recordings(found, output_format)


@click.command("recordings download")
@click.argument("session_id", metavar="ID")
@click.option("-o", "--output", "folder", default=".", metavar="DIR", help="Where to [the current directory].")
@click.option(
    "--format", "file_format", type=click.Choice(["asciicast", "frames"]), default="asciicast", show_default=True,
    help="asciicast: version 2, for other players; frames: every byte as it was.",
)  # fmt: skip
@who_options
def download(session_id: str, folder: str, file_format: str, who: Wanted) -> None:
    """Write a recording to a file that `tsh play` and other players read."""
    from teleport.api.recording_calls import RecordingCalls
    from teleport.client.recordings import asciicast, source
    from teleport.wire import recording

    path = free_path(folder, session_id, "cast" if file_format == "asciicast" else "frames")

    async def fetched(client: AuthClient) -> bytes:
        _, frames = await source.fetch(RecordingCalls(client), session_id, purpose="download")
        return recording.encode(frames) if file_format == "frames" else "".join(asciicast.write(frames)).encode()

    write_recording(path, call(who, fetched))


@click.command("recordings search")
@click.argument("text")
@click.option("--participant", default="", metavar="USER", help="Only sessions in which this user was.")
@_range_options
@format_option
@who_options
def search(
    text: str, participant: str, from_utc: dt.datetime | None, to_utc: dt.datetime | None, last: str, limit: int,
    output_format: str, who: Wanted,
) -> None:  # fmt: skip
    """Find where a text stood on the screen of a recorded session; upper and lower case are the same.

    \b
    tsh recordings search "permission denied" --last=30d
    """
    from teleport.api.recording_messages import ScreenQuery

    query = ScreenQuery(text=text, user=participant, limit=limit, **_range(from_utc, to_utc, last))
    found, unindexed = call(who, lambda client: _search(client, query, limit))
    if output_format == "text":
        _print_hits(found)
    else:
        show([_plain_hit(hit) for hit in found], output_format)
    if unindexed:
        click.echo(f"{unindexed} recordings have no index yet and were not searched.", err=True)


async def _search(client: AuthClient, query: Any, limit: int) -> tuple[list[ScreenHit], int]:
    """Return hits of several pages: a page ends early where looking further would take long."""
    from dataclasses import replace

    from teleport.api.recording_calls import RecordingCalls

    hits: list[ScreenHit] = []
    while True:
        page: ScreenPage = await RecordingCalls(client).search(query)
        hits += page.hits
        if not page.next or len(hits) >= limit:
            return hits[:limit], page.unindexed
        query = replace(query, after=page.next, limit=limit - len(hits))


def _print_hits(found: list[ScreenHit]) -> None:
    from teleport.client.recordings.facts import position_text

    rows = [
        [f"tsh play {hit.recording.session_id} --from={position_text(hit.at)}", hit.recording.user,
         f"{hit.recording.start:%Y-%m-%d %H:%M:%S}", hit.line.strip()]
        for hit in found
    ]  # fmt: skip
    for line in table(["To watch it", "User", "Began (UTC)", "Line"], rows, width=terminal_width(_WIDTH), wide="Line"):
        click.echo(line)


def _plain_hit(hit: ScreenHit) -> dict[str, Any]:
    from teleport.client.recordings.facts import position_text

    return {
        "session_id": hit.recording.session_id, "at_ms": hit.at, "last_ms": hit.last, "line": hit.line,
        "play": f"tsh play {hit.recording.session_id} --from={position_text(hit.at)}",
        "recording": as_document(hit.recording),
    }  # fmt: skip
