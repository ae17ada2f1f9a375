"""Running commands as an ordinary user of this machine, also when only root can reach the interpreter.

A clone or an interpreter below a home directory that others may not enter is shown to the user in a mount
namespace of the command's own; nothing of the machine changes.
"""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
import sys
from pathlib import Path

SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh"})
_ROOT = Path(__file__).parents[2]
_NEEDED = (Path(sys.base_prefix), Path(sys.prefix), _ROOT)


class NotPossible(Exception):
    """This machine does not let us do it; the text says why."""


def with_shell() -> pwd.struct_passwd | None:
    """Return an account other than root that a command can be started as."""
    return next((e for e in pwd.getpwall() if e.pw_uid and os.path.basename(e.pw_shell) in SHELLS), None)


def wrapper(account: pwd.struct_passwd, stage: Path) -> list[str]:
    """Return what to put in front of a command so that `account` runs it; `stage` is an empty directory.

    The command keeps the process id of the wrapper. Raises NotPossible.
    """
    if account.pw_uid == os.geteuid():
        return []
    drop = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    if not any(_closed_above(path) for path in _NEEDED):
        return drop
    enter = ["unshare", "--mount", "--propagation", "private", "sh", "-ceu", _script(stage), "sh"]
    if not _works([*enter, *drop]):
        raise NotPossible(f"{account.pw_name} cannot reach {sys.executable}, and a mount namespace does not help")
    return [*enter, *drop]


def _works(prefix: list[str]) -> bool:
    # Through `env`: setpriv itself still has root's way to the file that it executes first.
    probe = [*prefix, "env", sys.executable, "-I", "-c", "import teleport"]
    return subprocess.run(probe, capture_output=True, cwd="/").returncode == 0


def _script(stage: Path) -> str:
    """Return a script that puts empty, open directories over the closed ones, with what is needed inside."""
    closed = {path: top for path in _NEEDED if (top := _closed_above(path)) is not None}
    places = {path: stage / str(number) for number, path in enumerate(closed)}
    lines = [f"mkdir -p {_q(place)}; mount --bind {_q(path)} {_q(place)}" for path, place in places.items()]
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {_q(top)}" for top in dict.fromkeys(closed.values())]
    lines += [f"mkdir -p {_q(path)}; mount --bind {_q(place)} {_q(path)}" for path, place in places.items()]
    return "\n".join([*lines, 'exec "$@"'])


def _closed_above(path: Path) -> Path | None:
    """Return the outermost directory on the way that others may not enter."""
    return next((top for top in [*reversed(path.parents), path] if not top.stat().st_mode & 0o001), None)


def _q(path: Path) -> str:
    return shlex.quote(str(path))
