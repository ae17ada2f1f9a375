"""Files of accounts that are made for logins: their homes, and their lines for sudo.

As root, in folders of root; what a user could have put there before is looked at without following links.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

SUDOERS_PREFIX = "teleport-"
UNFINISHED = ".new"
"""sudo(8) ignores files whose names have a dot."""
SKELETON_BYTES = 1 << 20


def sudoers_file(folder: Path, login: str) -> Path:
    """Return the file of a login: dots, which sudo does not take in names of files, are written as `%2e`."""
    return folder / f"{SUDOERS_PREFIX}{login.replace('.', '%2e')}"


def login_of(file: Path) -> str:
    """Return whose file it is, by its name."""
    return file.name.removeprefix(SUDOERS_PREFIX).replace("%2e", ".")


def write_sudoers(folder: Path, login: str, lines: Iterable[str], check: Callable[[Path], None]) -> None:
    """Write the lines of a login, each with the login before it, after `check` has found no fault in them. Without
    any line the file goes. Raises what `check` raises, and OSError."""
    path = sudoers_file(folder, login)
    text = "".join(f"{login} {line}\n" for line in lines)
    if not text:
        path.unlink(missing_ok=True)
        return
    unfinished = path.with_name(path.name + UNFINISHED)
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o440)
    try:
        with open(descriptor, "w") as file:
            os.fchmod(descriptor, 0o440)
            os.fchown(descriptor, 0, 0)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        check(unfinished)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def make_home(home: Path, uid: int, gid: int, skeleton: Path) -> None:
    """Make a home with what the skeleton has, given to the user at last. One that is there stays as it is: whose it is
    was decided when it was made. Raises OSError."""
    try:
        home.mkdir(mode=0o700)
    except FileExistsError:
        return
    for entry in sorted(skeleton.glob("*")) + sorted(skeleton.glob(".*")) if skeleton.is_dir() else ():
        found = entry.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_size <= SKELETON_BYTES:
            copy = home / entry.name
            shutil.copyfile(entry, copy, follow_symlinks=False)
            os.chown(copy, uid, gid, follow_symlinks=False)
            copy.chmod(stat.S_IMODE(found.st_mode) & 0o755)
    os.chown(home, uid, gid, follow_symlinks=False)
