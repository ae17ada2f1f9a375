"""tsh play: watch a recording, or read it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from teleport.base.disk import SystemDisk
from teleport.base.errors import NotFound
from teleport.cli.common import render
from teleport.cli.tsh.session import call
from teleport.cli.tsh.who import who_options
from teleport.client.credentials import Wanted

if TYPE_CHECKING:
    from teleport.api.client import AuthClient
    from teleport.wire.recording import Frame

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FORMATS = ("pty", "text", "json", "yaml", "asciicast")


def _speed(context: click.Context, option: click.Parameter, value: str) -> float:
    try:
        speed = float(value.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0.1 <= speed <= 100:
        raise click.BadParameter(f"{value!r} is no speed from 0.1x to 100x", context, option)
    return speed


@click.command("play")
@click.argument("name", metavar="ID|FILE")
@click.option("-f", "--format", "output_format", type=click.Choice(_FORMATS), default="pty", show_default=True,
              help="pty: on this terminal, as it was; the others are for reading and for programs.")  # fmt: skip
@click.option("--speed", callback=_speed, default="1x", show_default=True, help="0.1x to 100x.")
@click.option("--skip-idle-time", is_flag=True, help="Wait no longer than a second where nothing happened.")
@click.option("--from", "--seek", "start", default="0", metavar="TIME", help="Begin there: 83, 1m23s, 1:02:03.")
@who_options
def play(name: str, output_format: str, speed: float, skip_idle_time: bool, start: str, who: Wanted) -> None:
    """Play a recorded session.

    \b
    tsh play 0e8a6a1c-7a5c-4d0e-9d0e-3f6c2b1a0f5e
    tsh play session.cast --speed=4x --skip-idle-time
    Keys: blank pauses, left and right jump 10 s, up and down change the speed, q ends.
    """
    from teleport.client.recordings.facts import position

    begin = position(start)
    frames = _frames(name, who, "play" if output_format == "pty" else "download")
    if output_format == "pty":
        _watch(frames, speed, skip_idle_time, begin)
    else:
        for part in _written(frames, output_format, begin):
            sys.stdout.write(part)


def _frames(name: str, who: Wanted, purpose: str) -> list[Frame]:
    """Return the frames of a file, or of a recording of the cluster."""
    from teleport.client.recordings import source

    if os.path.exists(name):
        return source.from_file(SystemDisk(), os.path.abspath(name))
    if not _ID.fullmatch(name.lower()):
        raise NotFound("CLIENT-NO-RECORDING-FILE", name=name[:200])

    async def fetched(client: AuthClient) -> list[Frame]:
        from teleport.api.recording_calls import RecordingCalls

        _, frames = await source.fetch(RecordingCalls(client), name.lower(), purpose=purpose)
        return list(frames)

    return call(who, fetched)


def _written(frames: Iterable[Frame], output_format: str, start: int) -> Iterator[str]:
    from teleport.base.escape import escape
    from teleport.client.recordings import asciicast, transcript

    if output_format == "text":
        for line in transcript.text(frames, start=start):
            yield escape(line) + "\n"
    elif output_format == "asciicast":
        yield from asciicast.write(frames)
    elif output_format == "yaml":
        for number, event in enumerate(transcript.events(frames, start=start)):
            yield ("---\n" if number else "") + render(event, "yaml")
    else:
        before = "["
        for event in transcript.events(frames, start=start):
            yield f"{before}\n    {json.dumps(event)}"
            before = ","
        yield "\n]\n" if before == "," else "[]\n"


def _watch(frames: list[Frame], speed: float, skip_idle: bool, start: int) -> None:
    import shutil
    from time import monotonic

    from teleport.client.recordings.player import Player
    from teleport.client.recordings.theatre import Theatre, size_of
    from teleport.client.recordings.tty import raw

    target = sys.stdout.fileno()
    keyboard = sys.stdin.fileno() if sys.stdin.isatty() and os.isatty(target) else None
    if os.isatty(target):
        columns, rows = size_of(frames)
        here = shutil.get_terminal_size()
        if here.columns < columns or here.lines < rows:
            click.echo(
                f"The session's terminal had {columns}x{rows}, this one has {here.columns}x{here.lines}: "
                "enlarge it, or lines break elsewhere than they did.",
                err=True,
            )
    sys.stdout.flush()
    with raw(keyboard, target) as terminal:
        Theatre(Player(frames, speed=speed, skip_idle=skip_idle), terminal, monotonic).play(start)
