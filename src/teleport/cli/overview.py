"""Help: the list of commands, the page of an error code, and what to say about an unknown command.

Summaries are the first lines of the commands' docstrings, read from their files without importing them.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import string
from pathlib import Path
from types import ModuleType
from typing import Any

from teleport.base import catalogue
from teleport.base.errors import BadParameter, NotFound
from teleport.base.text import did_you_mean
from teleport.cli.common import report

_CODE = re.compile(r"[A-Z]{2,}(-[A-Z0-9]+)+")
_OWN = {
    "completion": "Print a script that completes command lines in bash, zsh or fish.",
    "help [CODE]": "Show this list, a command's options, or what an error code means.",
    "version": "Show the version.",
}
MISUSE = 2
"""Exit status of a command line that cannot be understood."""


def is_code(word: str) -> bool:
    """Say whether `word` has the form of an error code, in any case: `POL-NO-LOGIN`."""
    return bool(_CODE.fullmatch(word.upper())) and "-" in word


def overview(program: str) -> int:
    """Print what the program is for, examples, and its commands."""
    package = importlib.import_module(f"teleport.cli.{program}")
    lines = [str(package.__doc__).strip(), ""]
    if package.EXAMPLES:
        lines += ["Examples:", *(f"  {example}" for example in package.EXAMPLES), ""]
    shown = [name for name in package.COMMANDS if name not in getattr(package, "HIDDEN", ())]
    summaries = {**{name: summary(package.COMMANDS[name]) for name in shown}, **_OWN}
    width = max(len(name) for name in summaries)
    lines += ["Commands:", *(f"  {name:<{width}}  {summaries[name]}".rstrip() for name in sorted(summaries)), ""]
    lines += [f"`{program} COMMAND --help` shows the options of a command; -d before or after it shows debug logs."]
    print("\n".join(lines))
    return 0


def summary(target: str) -> str:
    """Return the first line of the docstring of `module:function`. The module is read, not run."""
    module, _, name = target.partition(":")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


def page(program: str, code: str) -> int:
    """Print the page of an error code, its fields as <field>."""
    code = code.upper()
    try:
        found = catalogue.find(code)
    except catalogue.UnknownCode:
        report(NotFound("CLI-UNKNOWN-CODE", wanted=code[:60], hint=did_you_mean(code, catalogue.codes())))
        return 1
    lines = [f"{code}: {_general(found.what)}"]
    lines += [f"  {name}:  {_general(text)}" for name, text in (("why", found.why), ("fix", found.fix)) if text]
    print("\n".join(lines + (["", _general(found.more)] if found.more else [])))
    return 0


def unknown(program: str, leading: list[str], words: list[str]) -> int:
    """Report a command line that names no command."""
    package: ModuleType = importlib.import_module(f"teleport.cli.{program}")
    group = sorted(name for name in package.COMMANDS if words and name.startswith(words[0] + " "))
    if not words:
        report(BadParameter("CLI-NO-COMMAND", program=program, given=" ".join(leading)[:60]))
    elif group and len(words) == 1:
        report(BadParameter("CLI-GROUP", program=program, group=words[0], known=", ".join(group)))
    else:
        wanted = " ".join(words[:2])[:60] if group else words[0][:60]
        hint = _hint(words, [*package.COMMANDS, "help", "version"])
        report(BadParameter("CLI-UNKNOWN-COMMAND", program=program, wanted=wanted, hint=hint))
    return MISUSE


def _hint(words: list[str], commands: list[str]) -> str:
    """Compare two words with commands of two words first: `user add` means `users add`."""
    pairs = [name for name in commands if " " in name]
    singles = [name for name in commands if " " not in name] + [name.partition(" ")[0] for name in pairs]
    return did_you_mean(" ".join(words[:2]), pairs) or did_you_mean(words[0], singles)


def misused(program: str, command: str, given: str) -> int:
    """Report an argument that a command without click does not take."""
    report(BadParameter("CLI-USAGE", problem=f"no such argument: {given[:60]}", command=f"{program} {command}"))
    return MISUSE


class _Blank(str):
    """A field of a page that nobody has filled: `<name>`, however it is formatted."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def __format__(self, spec: str) -> str:
        return str(self)


class _Form(string.Formatter):
    def get_value(self, key: int | str, args: Any, kwargs: Any) -> _Blank:
        return _Blank(f"<{key}>")


def _general(template: str) -> str:
    return _Form().format(template)
