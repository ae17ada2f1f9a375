"""Restore: a backup becomes a data directory, all of it or none.

Everything is unpacked beside the data directory and checked there: digests of all files, the database, the
chain of every audit log, and that each authority has its key. Then the two folders change places in one
step. What was there before is kept under another name. Not here: writing backups (`process.backup`).
"""

from __future__ import annotations

import ctypes
import datetime as dt
import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from teleport.base.clock import Clock
from teleport.base.disk import map_errors
from teleport.base.entropy import Entropy
from teleport.base.errors import AlreadyExists, BadParameter, NotSupported
from teleport.base.struct import decode
from teleport.process import archive, staging
from teleport.process.backup import (
    FORMAT,
    KEYS,
    MANIFEST,
    MANIFEST_LIMIT,
    STORE,
    Manifest,
    digest,
    heads_of,
    key_problem,
    survey,
)
from teleport.process.preflight import UNFINISHED
from teleport.store import sqlite_schema
from teleport.store.audit import verify
from teleport.store.sqlite_copy import SqliteCopy

_EXCHANGE = 2  # RENAME_EXCHANGE of linux/fs.h
_AT_FDCWD = -100
_IGNORED = frozenset({"lost+found"})
"""What a file system itself puts into an empty mount point."""


@dataclass(frozen=True)
class Restored:
    """What was brought back."""

    created: dt.datetime
    """When the backup was made."""
    version: str
    files: int
    records: int
    former: Path | None
    """Where the former content lies; None where there was none."""


async def restore(backup: Path, data_dir: Path, *, force: bool, clock: Clock, entropy: Entropy) -> Restored:
    """Replace `data_dir` by the content of `backup`.

    Raises BadParameter (BACKUP-ARCHIVE, BACKUP-DAMAGED), AlreadyExists (BACKUP-NOT-EMPTY), NotSupported
    (BACKUP-FORMAT, BACKUP-MOUNT, BACKUP-EXCHANGE), Unavailable (STORE-LOCKED: a process runs there), and
    STORE-*, PKI-* and DISK-* errors. Whatever it raises, `data_dir` is as it was.
    """
    data_dir = data_dir.absolute()
    resumed = (data_dir / UNFINISHED).exists()
    full = _is_full(data_dir) and not resumed
    if full and not force:
        raise AlreadyExists("BACKUP-NOT-EMPTY", path=data_dir)
    inside = data_dir.is_dir() and _is_mount(data_dir)
    if inside and full:
        raise NotSupported("BACKUP-MOUNT", path=data_dir)
    with map_errors(str(data_dir.parent)):
        data_dir.parent.mkdir(parents=True, exist_ok=True)
    held = _hold(data_dir)
    try:
        place = (data_dir, ".restore") if inside else (data_dir.parent, f".{data_dir.name}.restore")
        with staging.folder(*place, entropy) as work:
            manifest = await _unpack(backup, work / "new")
            _give_to_owner(work / "new", data_dir)
            former = _switch(work / "new", data_dir, full=full, inside=inside, clock=clock)
    finally:
        if held >= 0:
            os.close(held)
    records = sum(head.sequence for head in manifest.logs)
    return Restored(manifest.created, manifest.version, len(manifest.files), records, former)


def _is_full(path: Path) -> bool:
    with map_errors(str(path)):
        if not os.path.lexists(path):
            return False
        names = set(os.listdir(path)) - _IGNORED
    return any(not name.startswith(".restore-") for name in names)


def _is_mount(path: Path) -> bool:
    """Say whether something is mounted there; a bind mount of the same file system shows in the table alone."""
    if os.path.ismount(path):
        return True
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return False
    places = {line.split()[4] for line in lines}
    return str(path).replace(" ", r"\040") in places


def _hold(data_dir: Path) -> int:
    """Keep processes away from the present store. Raises Unavailable (STORE-LOCKED) when one is there."""
    directory = (data_dir / STORE).parent
    if not directory.is_dir():
        return -1
    with sqlite_schema.mapped(directory):
        return sqlite_schema.lock(directory)


# Unpacking


async def _unpack(backup: Path, target: Path) -> Manifest:
    """Unpack a backup to the new folder `target` and check everything in it."""
    with map_errors(str(backup)):
        file = os.open(backup, os.O_RDONLY | os.O_NONBLOCK)
    try:
        found = archive.members(file, str(backup))
        manifest = _manifest(file, found, backup)
        _compare(file, found, manifest, backup)
        with map_errors(str(target)):
            os.mkdir(target, 0o700)
        for name in manifest.files:
            with map_errors(str(target)):
                (target / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            archive.extract(file, found[name], target / name)
    finally:
        os.close(file)
    await _check_content(target, manifest, backup)
    for folder, _, _ in os.walk(target):
        staging.sync(Path(folder))
    return manifest


def _manifest(file: int, found: dict[str, archive.Member], backup: Path) -> Manifest:
    member = found.get(MANIFEST)
    if member is None or member.size > MANIFEST_LIMIT:
        raise BadParameter("BACKUP-ARCHIVE", path=backup, problem="it has no manifest")
    data = b"".join(archive.read(file, member))
    try:
        told = msgspec.json.decode(data, type=dict[str, object])
        if told.get("format") != FORMAT:
            version, form = ascii(told.get("version"))[:40], ascii(told.get("format"))[:20]
            raise NotSupported("BACKUP-FORMAT", path=backup, version=version, format=form, known=FORMAT)
        return decode(data, Manifest)
    except msgspec.MsgspecError as error:
        raise BadParameter("BACKUP-ARCHIVE", path=backup, problem=f"its manifest cannot be read: {error}") from None


def _compare(file: int, found: dict[str, archive.Member], manifest: Manifest, backup: Path) -> None:
    """Check that the archive has what the manifest says; keys are checked by their own program later."""
    if set(found) != {MANIFEST, *manifest.files} or STORE not in manifest.files:
        raise BadParameter("BACKUP-ARCHIVE", path=backup, problem="its manifest names other files than it holds")
    for name, facts in manifest.files.items():
        wrong_size = found[name].size != facts.size
        if wrong_size or (not name.startswith(f"{KEYS}/") and digest(file, found[name]) != facts.sha256):
            raise BadParameter("BACKUP-DAMAGED", path=backup, problem=f"{name} is not what was saved")


async def _check_content(target: Path, manifest: Manifest, backup: Path) -> None:
    """Check keys, the database, the chain of every log, and that they belong together."""
    known = survey(target / KEYS)
    saved = {
        name.partition("/")[2]: facts.sha256 for name, facts in manifest.files.items() if name.startswith(f"{KEYS}/")
    }
    if {key_id: facts["sha256"] for key_id, facts in known.items()} != saved:
        raise BadParameter("BACKUP-DAMAGED", path=backup, problem="a key of an authority is not what was saved")
    with SqliteCopy(target / STORE) as store:
        store.check()
        if problem := key_problem(store, known):
            raise BadParameter("BACKUP-DAMAGED", path=backup, problem=problem)
        if heads_of(store) != manifest.logs:
            raise BadParameter("BACKUP-DAMAGED", path=backup, problem="an audit log does not end where it ended")
        for found in verify.check(store.reader()).findings:
            problem = f"the chain of {found['log']} is broken at {found['sequence']}: {found['what']}"
            raise BadParameter("BACKUP-DAMAGED", path=backup, problem=problem)


def _give_to_owner(new: Path, data_dir: Path) -> None:
    """Give the files to whom the data directory belongs, where root restores for another user."""
    if os.geteuid() != 0 or not data_dir.is_dir():
        return
    owner = data_dir.stat()
    with map_errors(str(new)):
        for folder, _, names in os.walk(new):
            for path in (Path(folder), *(Path(folder) / name for name in names)):
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


# Switching


def _switch(new: Path, data_dir: Path, *, full: bool, inside: bool, clock: Clock) -> Path | None:
    """Put the new content in place; return where the former one is."""
    if inside:
        _move_in(new, data_dir)
        return None
    former = None
    with map_errors(str(data_dir)):
        if full:
            # Under its later name already before: an interruption after the exchange leaves it where it belongs.
            former = _free_name(f"{data_dir}.replaced-{clock.now():%Y%m%dT%H%M%SZ}")
            os.rename(new, former)
            _exchange(former, data_dir)
        else:
            if data_dir.is_dir():
                _empty(data_dir)
                for name in os.listdir(data_dir):
                    os.rmdir(data_dir / name)  # an empty `lost+found`, or nothing
            os.rename(new, data_dir)
    staging.sync(data_dir.parent)
    return former


def _free_name(wanted: str) -> Path:
    """Return the path, or with a number where something stands there already."""
    names = (wanted, *(f"{wanted}-{number}" for number in range(2, 1000)))
    return Path(next(name for name in names if not os.path.lexists(name)))


def _exchange(new: Path, old: Path) -> None:
    """Let two folders change places in one step. Raises NotSupported (BACKUP-EXCHANGE), `new` is removed then."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        failed = libc.renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _EXCHANGE)
        number = ctypes.get_errno()
    except AttributeError:
        failed, number = -1, errno.ENOSYS
    if failed:
        shutil.rmtree(new)
        raise NotSupported("BACKUP-EXCHANGE", path=old, problem=os.strerror(number).lower())


def _move_in(new: Path, data_dir: Path) -> None:
    """Move the content into an empty mount point, the store last. A marker keeps processes from starting with
    a part of it, and lets the next restore begin anew."""
    marker = data_dir / UNFINISHED
    with map_errors(str(data_dir)):
        marker.touch(mode=0o600)
        staging.sync(data_dir)
        _empty(data_dir)
        for name in sorted(os.listdir(new), key=lambda name: name == "backend"):
            os.rename(new / name, data_dir / name)
        staging.sync(data_dir)
        marker.unlink()
    staging.sync(data_dir)


def _empty(data_dir: Path) -> None:
    """Remove what an interrupted restore left behind."""
    if not (data_dir / UNFINISHED).exists():
        return
    for entry in data_dir.iterdir():
        if entry.name in (UNFINISHED, *_IGNORED) or entry.name.startswith(".restore-"):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
