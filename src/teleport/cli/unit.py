"""What units of systemd have in common: paths that mean themselves in them, and which program they start."""

from __future__ import annotations

import os
import re
import shutil
import sys

from teleport.base.errors import BadParameter

_PLAIN = re.compile(r"/[A-Za-z0-9_./@:+,=-]*")
"""Paths that mean themselves in a unit and in a shell (systemd.syntax(7))."""


def check_path(option: str, path: str) -> None:
    """Raise BadParameter (CLI-UNIT-PATH) for a path that a unit would read as something else."""
    if not _PLAIN.fullmatch(path):
        raise BadParameter("CLI-UNIT-PATH", option=option, path=ascii(path[:200])[1:-1])


def own_path() -> str:
    """Return the path of the program that is running, without the links that lead to it."""
    return os.path.abspath(shutil.which(sys.argv[0]) or sys.argv[0])
