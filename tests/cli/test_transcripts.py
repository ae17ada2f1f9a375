"""Runs the stories in this folder: each `$ command` must print what stands below it.

`{version}` and `{python}` stand for this build's, `{any}` for the rest of a line, a line `...` for any lines,
`? N` for the exit status where it is not 0. A blank line or a comment (`# ...`) ends the expectation.
stdout and stderr are one text, as on a terminal.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from teleport.version import VERSION

STORIES = sorted(Path(__file__).parent.glob("*.txt"))
VALUES = {"version": re.escape(VERSION), "python": re.escape(platform.python_version()), "any": "[^\n]+"}


class Step(NamedTuple):
    """A command of a story, what it prints (as a pattern) and its exit status."""

    command: str
    lines: list[str]
    status: int


def steps(text: str) -> list[Step]:
    """Read a story. Comments and the blank lines before a command belong to no expectation."""
    found: list[Step] = []
    for block in re.split(r"(?m)^(?=\$ )", text)[1:]:
        head, *lines = block.splitlines()
        while lines and (not lines[-1] or lines[-1].startswith("# ")):
            lines.pop()
        status = int(lines.pop()[2:]) if lines and lines[-1].startswith("? ") else 0
        found.append(Step(head[2:], lines, status))
    return found


def pattern(lines: list[str]) -> str:
    """Turn expected lines into a regular expression of the whole output."""
    parts = []
    for line in lines:
        if line == "...":
            parts.append("(?:[^\n]*\n)*?")
        else:
            pieces = re.split(r"\{(version|python|any)\}", line)
            shown = "".join(VALUES[p] if n % 2 else re.escape(p) for n, p in enumerate(pieces))
            parts.append(f"{shown}\n")
    return "".join(parts)


def run(command: str, home: Path) -> tuple[str, int]:
    """Run one command as a user would, with an empty home."""
    program, *arguments = shlex.split(command)
    code = f"from teleport.cli.entry import {program}; {program}()"
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        env=environment, cwd=home, check=False, timeout=60,
    )  # fmt: skip
    return done.stdout, done.returncode


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_story(story: Path, tmp_path: Path) -> None:
    told = steps(story.read_text(encoding="utf-8"))
    assert told
    for step in told:
        output, status = run(step.command, tmp_path)
        assert re.fullmatch(pattern(step.lines), output), f"$ {step.command}\n{output}"
        assert status == step.status, f"$ {step.command}\n{output}"
