"""Entry of the four commands: finds the module of a command word and runs it.

Here: dispatch, the exit status. Not here: texts of help (`cli.overview`), `version` (`cli.version`), reports of errors
and formats (`cli.common`), the commands themselves (one module each).

Nothing heavy is imported before it is known to be needed: `ssh` starts `tsh` for every connection. Each
program's package holds a table of command words and the functions that serve them; a module is imported
when its command is called, and click only there.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # type checkers take it for true; importing `typing` for it would be a third of our own start
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType
    from typing import NoReturn

    import click

INTERRUPTED, BROKEN_PIPE = 130, 141
"""Exit statuses of a command that SIGINT or a reader's disappearance ended, as shells count them."""


class _Quick(int):
    """Exit status of a quick command: nothing is left to tidy up, so the interpreter need not (a tenth of its time)."""


def teleport() -> NoReturn:
    """The server."""
    sys.exit(main("teleport", sys.argv[1:]))


def tctl() -> NoReturn:
    """The administrator's command."""
    sys.exit(main("tctl", sys.argv[1:]))


def tsh() -> NoReturn:
    """The user's command."""
    _leave(main("tsh", sys.argv[1:]))


def tbot() -> NoReturn:
    """The robot's command."""
    _leave(main("tbot", sys.argv[1:]))


def _leave(status: int) -> NoReturn:
    if isinstance(status, _Quick):
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def main(program: str, arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status: 0, 1 for an error, 2 for a wrong command line."""
    debug = os.environ.get("TELEPORT_DEBUG", "").lower() in ("1", "true", "yes")
    try:
        status = _dispatch(program, list(arguments), debug)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE


def _dispatch(program: str, arguments: list[str], debug: bool) -> int:
    package = _package(program)
    leading, words = _split(arguments, package.GLOBALS)
    debug = debug or bool({"-d", "--debug"} & set(leading))
    leading = [option for option in leading if option not in ("-d", "--debug")]
    if words[:1] == ["version"]:
        return _version(program, words[1:])
    if words[:1] == ["completion"]:
        from teleport.cli import completion

        return completion.run(program, words[1:])
    for count in (3, 2, 1):
        name = " ".join(words[:count])
        if len(words) >= count and name in package.COMMANDS:
            given, quick = [*leading, *words[count:]], getattr(package, "QUICK", {}).get(name, "")
            if quick and not debug and (status := _run_quickly(quick, given)) is not None:
                return status
            return _run(program, name, package.COMMANDS[name], given, debug)
    if words and (meant := getattr(package, "ALIASES", {}).get(words[0])):
        return _run(program, meant, package.COMMANDS[meant], [*leading, *words[1:]], debug)
    return _help(program, leading, words, debug)


def _help(program: str, leading: list[str], words: list[str], debug: bool) -> int:
    """Everything that is not a command: questions and mistakes."""
    from teleport.cli import overview

    match words:
        case ["help", code] if overview.is_code(code) and code not in _package(program).COMMANDS:
            return overview.page(program, code)
        case ["help", word, *rest] if word != "help":
            return _dispatch(program, [word, *rest, "--help"], debug)
    if words[:1] == ["help"] or (not words and leading[:1] in ([], ["-h"], ["--help"])):
        return overview.overview(program)
    return overview.unknown(program, leading, words)


def _split(arguments: list[str], options: Mapping[str, bool]) -> tuple[list[str], list[str]]:
    """Separate options that stand before the command word; `options` says which of them take a value."""
    end = 0
    while end < len(arguments) and arguments[end].startswith("-"):
        end += 2 if options.get(arguments[end]) else 1
    return arguments[:end], arguments[end:]


def _run(program: str, name: str, target: str, arguments: list[str], debug: bool) -> int:
    """Import the command and call it."""
    _complete_start()
    from teleport.base import log
    from teleport.cli import common

    log.setup(level="DEBUG" if debug else "WARN")
    try:
        module, _, attribute = target.partition(":")
        command: click.Command = getattr(_module(module), attribute)
        return common.invoke(command, f"{program} {name}", arguments)
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:
        return common.failure(error)


def _complete_start() -> None:
    """Do what Python does at its start and `bin/tsh` leaves out: whatever is installed may count on it."""
    if sys.flags.no_site:
        import site

        site.main()


def _run_quickly(target: str, arguments: list[str]) -> int | None:
    """Call a command that needs no click; None: it leaves the call to the full one."""
    module, _, attribute = target.partition(":")
    try:
        status: int | None = getattr(_module(module), attribute)(arguments)
        return None if status is None else _Quick(status)
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:
        from teleport.cli import common

        return common.failure(error)


def _version(program: str, arguments: list[str]) -> int:
    """Print `Teleport v<semver> git:<ref> <runtime>`; `--raw` prints the number alone, `--format` the parts."""
    from teleport.cli import version

    return version.run(program, arguments)


def _package(program: str) -> ModuleType:
    return _module(f"teleport.cli.{program}")


def _module(name: str) -> ModuleType:
    """As `importlib.import_module`; importing that takes as long as all that a held connection needs of us."""
    found: ModuleType = __import__(name, fromlist=("",))
    return found
