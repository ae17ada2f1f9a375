"""What all commands share: how they are run, how errors are reported, and the formats of their output.

Data goes to stdout, talk to stderr. Exit status 1 is an error that was reported, 2 a command line that
could not be understood.
"""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import click

from teleport.base import log
from teleport.base.errors import BadParameter, Internal, TeleportError
from teleport.base.escape import escape
from teleport.base.struct import plain

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("text", "json", "yaml")
_UNSAFE = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")
_CONTINUED = "\n       "
"""Further lines stand under the first one's text: a value with a line break cannot pose as `fix:`."""

format_option: Callable[[F], F] = click.option(
    "-f", "--format", "output_format", type=click.Choice(FORMATS), default="text", show_default=True,
    help="How to print the result.",
)  # fmt: skip
"""Gives a command the option `--format`; the function receives it as `output_format`."""


def invoke(command: click.Command, name: str, arguments: list[str]) -> int:
    """Run a click command and return its exit status. Raises what it raises, except click's own errors."""
    _accept_debug(command)
    try:
        with command.make_context(name, arguments) as context:
            result = command.invoke(context)
    except click.exceptions.Exit as ended:
        return int(ended.exit_code)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.UsageError as error:
        return _misuse(error, name)
    except click.ClickException as error:
        raise BadParameter("CLI-USAGE", problem=error.format_message(), command=name) from error
    return result if isinstance(result, int) else 0


def _accept_debug(command: click.Command) -> None:
    """Add `-d` to a command that does not use it otherwise."""
    taken = {option for parameter in command.params for option in parameter.opts}
    free = [option for option in ("-d", "--debug") if option not in taken]
    if "--debug" in free:
        option = click.Option(free, is_flag=True, expose_value=False, callback=_debug, help="Show debug logs.")
        command.params.append(option)


def _debug(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        log.set_level("DEBUG")


def _misuse(error: click.UsageError, name: str) -> int:
    if error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
    report(BadParameter("CLI-USAGE", problem=error.format_message().rstrip("."), command=name))
    return 2


def failure(error: Exception) -> int:
    """Report whatever a command failed with and return the exit status. Traces are for `--debug` only."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if log.get_level() in ("DEBUG", "TRACE"):
        traceback.print_exception(error, file=sys.stderr)
    if not isinstance(error, TeleportError):
        problem = str(error) or "no details"
        error = Internal("CLI-INTERNAL", kind=type(error).__name__, problem=problem)
    report(error)
    return 1


def report(error: TeleportError) -> None:
    """Tell the user: what happened, and on further lines its code, why, how to fix it, and the id to quote."""
    lines = [f"ERROR: {_safe(error.what)}"]
    parts = (("code", error.code), ("why", error.why), ("fix", error.fix), ("id", error.id))
    lines += [f"  {name + ':':<6}{_safe(text)}" for name, text in parts if text]
    print("\n".join(lines), file=sys.stderr)


def _safe(text: str) -> str:
    return _CONTINUED.join(escape(line) for line in text.splitlines())


def show(value: object, output_format: str) -> None:
    """Print plain data, Structs or lists of them as `json` (4 blanks of indent) or `yaml` (sorted keys).

    A list becomes an array of JSON, or one YAML document for each entry.
    """
    print(render(value, output_format), end="")


def render(value: object, output_format: str) -> str:
    """Return what `show` prints."""
    data = plain(value)
    if output_format == "yaml":
        return "---\n".join(_yaml(entry) for entry in (data if isinstance(data, list) else [data]))
    text = json.dumps(data, indent=4, ensure_ascii=False)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def _yaml(data: object) -> str:
    import yaml  # costs more to import than most commands take

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(data, Dumper=dumper, sort_keys=True, allow_unicode=True, default_flow_style=False)
    return text.removesuffix("...\n")
