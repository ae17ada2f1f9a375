"""Recognises the command that a client of the old scp protocol runs on a node (scp(1), options -t and -f).

Whoever may run commands may run any program that copies; that this one needs `ssh_file_copy` keeps honest clients to
the rule and gives their copies an event. The whole command stands in the event, because more may follow in it.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

COMMAND_BYTES = 16 * 1024
"""Longest command that is looked at."""


@dataclass(frozen=True)
class ScpCommand:
    """A command that speaks the scp protocol on its standard input and output."""

    action: str
    """`upload`: files come to the node. `download`: they leave it."""
    path: str
    """Where to or from, as the client has written it: the user's shell expands it."""


def find_scp(command: bytes) -> ScpCommand | None:
    """Return what an exec request asks of scp; None if it is something else.

    `scp` may have a folder before it. Its options may stand one by one or together: `scp -r -p -d -v -t -- path`.
    """
    words = _words(command)
    if not words or words[0].rpartition("/")[2] != "scp":
        return None
    action = ""
    rest = words[1:]
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == "--":
            break
        action = action or ("upload" if "t" in word else "download" if "f" in word else "")
    return ScpCommand(action, os.fsencode(" ".join(rest)).decode(errors="backslashreplace")) if action else None


def _words(command: bytes) -> list[str]:
    text = os.fsdecode(command[:COMMAND_BYTES])
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
