"""Writes the reference pages under docs/reference/ from the code: kinds, events, errors, commands, configuration.

`--check` writes nothing and fails when a page is not what the code says.
"""

from __future__ import annotations

import importlib
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import config_page
import msgspec
import tbot_page

from teleport.base import catalogue
from teleport.cli import overview
from teleport.model import resource
from teleport.model.events import base as events
from teleport.model.later import Later

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
PROGRAMS = ("teleport", "tctl", "tsh", "tbot")


def kinds() -> Iterator[str]:
    """The page of kinds: names, versions, fields."""
    yield "# Kinds of resources\n"
    for info in resource.every():
        yield f"## {info.name}\n"
        yield f"{(info.cls.__doc__ or '').strip().splitlines()[0]}\n"
        yield f"- aliases: {', '.join(info.aliases)}\n- versions: {', '.join(info.versions)}"
        yield f"- selected by the role field: {info.selector or 'none; rules alone decide'}"
        yield f"- commands: {', '.join(sorted(info.writable)) or 'none'}\n"
        spec = next(field.type for field in msgspec.structs.fields(info.cls) if field.name == "spec")
        yield "| field of `spec` | type |\n|---|---|"
        for field in msgspec.structs.fields(spec):
            yield f"| `{field.encode_name}` | {_type(field.type)} |"
        yield ""


def _type(hint: object) -> str:
    if any(isinstance(note, Later) for note in getattr(hint, "__metadata__", ())):
        return "known, not acted on yet: refused unless it changes nothing"
    text = str(hint) if typing.get_args(hint) else str(getattr(hint, "__name__", hint))
    return re.sub(r"(teleport\.)?[a-z_.]+\.(?=[A-Z])|typing\.|[<>]", "", text).replace("|", "or")[:80]


def event_page() -> Iterator[str]:
    """The page of audit events: codes and the class of each field."""
    yield "# Audit events\n"
    for name, cls in events.every().items():
        if name == "unknown":
            continue
        yield f"## {name}\n\n{(cls.__doc__ or '').strip().splitlines()[0]}\n\nCodes: {', '.join(cls.CODES)}\n"
        yield "| field | class |\n|---|---|"
        hints = typing.get_type_hints(cls, include_extras=True)
        for field in msgspec.structs.fields(cls):
            level = next(
                (m for m in getattr(hints[field.name], "__metadata__", ()) if isinstance(m, events.Level)), None
            )
            yield f"| `{field.encode_name}` | {level.name.lower() if level is not None else 'public'} |"
        yield ""


def errors() -> Iterator[str]:
    """The page of error codes."""
    yield "# Error codes\n\nThe same texts are printed by `tctl help CODE`.\n"
    for code in catalogue.codes():
        page = catalogue.find(code)
        yield f"## {code}\n\n{_fields(page.what)}\n"
        yield "\n".join(f"- {name}: {_fields(text)}" for name, text in (("why", page.why), ("fix", page.fix)) if text)
        yield ""


def _fields(text: str) -> str:
    return text.replace("{", "<").replace("}", ">").replace("!r>", ">").replace("<", "&lt;").replace("\n", " ")


def commands() -> Iterator[str]:
    """The page of commands."""
    yield "# Commands\n\n`COMMAND --help` shows the options.\n"
    for program in PROGRAMS:
        package = importlib.import_module(f"teleport.cli.{program}")
        yield f"## {program}\n\n{(package.__doc__ or '').strip()}\n"
        if package.COMMANDS:
            yield "| command | |\n|---|---|"
        for name in sorted(package.COMMANDS):
            yield f"| `{program} {name}` | {overview.summary(package.COMMANDS[name])} |"
        yield ""


PAGES = {"kinds.md": kinds, "events.md": event_page, "errors.md": errors, "commands.md": commands,
         "config.md": config_page.page, "tbot.md": tbot_page.page}  # fmt: skip


def main(arguments: list[str]) -> int:
    """Write or check every page."""
    stale = []
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        text = "\n".join(make()).rstrip() + "\n"
        path = FOLDER / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(text)
    if stale and "--check" in arguments:
        print(f"docs: {', '.join(stale)} no longer say what the code says; run `make docs`")
        return 1
    print(f"docs: {len(PAGES)} pages are current")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
