"""BACKUP-*: saving the data directory and bringing it back."""

from teleport.base.catalogue import Page

PAGES = {
    "BACKUP-NOTHING": Page(
        what="there is nothing to back up in {path}",
        why="no Auth Service has run with this data directory, so it has no store",
        fix="run it on the auth host, with -c for its configuration",
    ),
    "BACKUP-INSIDE": Page(
        what="{path} lies inside of the data directory {data_dir}",
        why="it would be lost together with what it is to save, and would be part of the next backup",
        fix="write it to another folder, best on another disk",
    ),
    "BACKUP-CHANGING": Page(
        what="the keys of the authorities do not fit the store: {problem}",
        why="keys are being replaced right now, or one was lost",
        fix="try again; if it stays, compare `tctl get cert_authorities` with the keys folder of the data directory",
    ),
    "BACKUP-NAME": Page(
        what="the file {name!r} cannot be part of a backup",
        why="its name or its size is beyond what the format of the archive holds",
        fix="move it out of the data directory",
    ),
    "BACKUP-ARCHIVE": Page(
        what="{path} is not a backup that can be used: {problem}",
        why="a backup is written and read whole; anything else is refused before a single file is touched",
        fix="use another backup; `sha256sum` shows whether a copy differs from its original",
    ),
    "BACKUP-DAMAGED": Page(
        what="the backup {path} is damaged: {problem}",
        why="what it holds is not what was saved; nothing was restored",
        fix="use another backup, or another copy of this one",
    ),
    "BACKUP-FORMAT": Page(
        what="{path} was written by version {version} in format {format}; this build reads format {known}",
        why="it may hold what this build would lose",
        fix="restore it with version {version} or a newer one",
    ),
    "BACKUP-NOT-EMPTY": Page(
        what="{path} is not empty",
        why="restoring replaces everything in it",
        fix="use --force to put the present content aside as {path}.replaced-TIME, or name another data directory",
    ),
    "BACKUP-MOUNT": Page(
        what="{path} is a mount point and not empty",
        why="its content cannot be exchanged in one step, so that an interruption could leave half of each",
        fix="move the content away yourself, then restore into the empty folder",
    ),
    "BACKUP-EXCHANGE": Page(
        what="the file system of {path} cannot exchange two folders: {problem}",
        why="without that, an interruption could leave no data directory at all",
        fix="move the present data directory away yourself, then restore without --force",
    ),
}
