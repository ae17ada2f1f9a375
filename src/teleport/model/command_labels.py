"""Command labels: labels whose values are the output of a command, run by the agent."""

from __future__ import annotations

from collections.abc import Mapping

from teleport.base.errors import BadParameter
from teleport.base.struct import Duration, Struct
from teleport.model.naming import check_labels


class CommandLabel(Struct, frozen=True, kw_only=True):
    """A label whose value is the output of a command."""

    command: tuple[str, ...] = ()
    period: Duration = Duration(60)
    result: str = ""
    """The last output; decisions use this."""


def check_command_labels(kind: str, commands: Mapping[str, CommandLabel], fixed: Mapping[str, str]) -> None:
    """Raise BadParameter (KIND-LABEL) for a label out of grammar, or one that is fixed as well."""
    check_labels(kind, {name: label.result for name, label in commands.items()})
    for name in commands:
        if name in fixed:
            problem = "it is both a fixed label and the label of a command"
            raise BadParameter("KIND-LABEL", kind=kind, label=ascii(name), problem=problem)


def with_results(commands: Mapping[str, CommandLabel], fixed: Mapping[str, str]) -> Mapping[str, str]:
    """Return fixed labels and the last results of commands; no name is in both."""
    return {**{name: label.result for name, label in commands.items()}, **fixed}
