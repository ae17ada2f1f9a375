"""The command line of `tsh ssh`, as OpenSSH's: options before the target or behind it, `--`, and `-o`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import click

from teleport.base.errors import BadParameter
from teleport.client.forwards import Forward, parse

_OFF = frozenset(
    {"forwardx11", "forwardx11trusted", "permitlocalcommand", "tunnel", "compression", "gssapiauthentication"}
)
"""Options of OpenSSH that tsh has no use for; being told `no` is fine."""
_ON = frozenset({"stricthostkeychecking", "batchmode", "identitiesonly", "exitonforwardfailure"})
"""What tsh always does; being told `yes` is fine."""
_OPTION = re.compile(r"(\w+)(?:\s*=\s*|\s+)(.+)", re.DOTALL)
_FORWARDS = {"localforward": "L", "remoteforward": "R", "dynamicforward": "D"}


class SshCommand(click.Command):
    """A command whose options may stand behind its first argument, until the second begins."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put options that stand behind the target before it; `--` between target and command goes."""
        at = self._end_of_options(args)
        before, rest = args[:at], args[at:]
        if len(rest) > 1 and before[-1:] != ["--"] and rest[1].startswith("-") and rest[1] != "-":
            more = self._end_of_options(rest[1:]) + 1
            behind = rest[1:more]
            closing = [] if behind[-1] == "--" else ["--"]
            args = [*before, *behind, *closing, rest[0], *rest[more:]]
        return super().parse_args(ctx, args)

    def _end_of_options(self, words: list[str]) -> int:
        """Return where the first word stands that is neither an option nor the value of one."""
        valued = {
            name
            for parameter in self.params
            if isinstance(parameter, click.Option) and not (parameter.is_flag or parameter.count)
            for name in parameter.opts
        }
        at = 0
        while at < len(words) and words[at].startswith("-") and words[at] != "-":
            word = words[at]
            at += 1
            if word == "--":
                break
            if word.startswith("--"):
                at += word in valued
            else:
                first = next((place for place, char in enumerate(word[1:], 2) if f"-{char}" in valued), 0)
                at += first == len(word)
        return min(at, len(words))


class Options(NamedTuple):
    """What `-o` may say."""

    user: str = ""
    port: int = 0
    host: str = ""
    agent: bool = False
    terminal: str = ""
    """`yes`, `no`, `force`, or empty for what is usual."""
    forwards: tuple[Forward, ...] = ()


def options(given: Iterable[str]) -> Options:
    """Read `Name=value` and `Name value`. Raises BadParameter (CLIENT-SSH-OPTION, CLIENT-FORWARD)."""
    found: dict[str, Any] = {}
    forwards: list[Forward] = []
    for text in given:
        match = _OPTION.fullmatch(text.strip())
        name, value = (match[1].lower(), match[2]) if match else ("", "")
        if name in _FORWARDS:
            forwards.append(parse(_FORWARDS[name], ":".join(value.split())))
        elif (one := _one(name, value)) is not None:
            found.update(one)
        else:
            raise BadParameter("CLIENT-SSH-OPTION", option=text[:100])
    return Options(**found, forwards=tuple(forwards))


def _one(name: str, value: str) -> dict[str, Any] | None:
    """Return what an option sets; None for one that is not known."""
    lower = value.lower()
    if name in ("user", "hostname"):
        return {"user" if name == "user" else "host": value}
    if name == "port" and value.isascii() and value.isdigit() and len(value) < 6 and 0 < int(value) < 65536:
        return {"port": int(value)}
    if name == "forwardagent" and lower in ("yes", "no"):
        return {"agent": lower == "yes"}
    if name == "requesttty" and lower in ("yes", "no", "force", "auto"):
        return {"terminal": "" if lower == "auto" else lower}
    return {} if (name in _OFF and lower == "no") or (name in _ON and lower == "yes") else None
