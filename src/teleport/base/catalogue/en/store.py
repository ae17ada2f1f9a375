"""STORE-*: bytes at rest, resources and the audit log."""

from teleport.base.catalogue import Page

PAGES = {
    "STORE-NOT-FOUND": Page(
        what="nothing is stored at {key}",
        why="it was never written, was removed, or has expired",
    ),
    "STORE-EXISTS": Page(
        what="something is already stored at {key}",
        why="the change demands that the place is free",
        fix="read what stands there and decide whether to replace it",
    ),
    "STORE-COMPARE": Page(
        what="resource has been modified since it was read: {key}",
        why="somebody else changed it in between; saving now would undo that change unseen",
        fix="read it again, repeat your change on the new version, and save that",
    ),
    "STORE-KEY": Page(
        what="{key!r} cannot be a storage key",
        why="a key starts with a slash, is valid text, and has no control characters",
        fix="this is a defect of the program that made the key; please report it",
    ),
    "STORE-VALUE": Page(
        what="the change cannot be stored: {problem}",
        why="the storage accepts values of at most one gigabyte and expiry times with a time zone",
        fix="make the value smaller, or give the time zone",
    ),
    "STORE-UNAVAILABLE": Page(
        what="the storage does not work: {problem}",
        why="the file system refused a read or a write; nothing of this change was kept",
        fix="look for I/O errors in `dmesg` and check the rights on the data directory, then try again",
    ),
    "STORE-DISK-FULL": Page(
        what="the disk that holds {path} is full",
        why="the change needs space; nothing of it was kept, and what was stored before is intact",
        fix="free space on that file system (see `df -h {path}`) and try again; no restart is needed",
    ),
    "STORE-NO-FILE": Page(
        what="there is no store at {path}",
        why="that file is the database of the Auth Service; it is made at the first start",
        fix="check teleport.data_dir in the configuration",
    ),
    "STORE-LOCKED": Page(
        what="{path} is in use by the process {pid}",
        why="only one process may open the storage; two would damage each other's data",
        fix="stop that process (see `ps -p {pid}`), or give this one another data directory",
    ),
    "STORE-SCHEMA": Page(
        what="{path} was written by a newer version (schema {found}, this build knows {known})",
        why="an older build would lose what it does not know",
        fix="start the newer version again, or restore the backup made before the update",
    ),
    "STORE-JOURNAL-FULL": Page(
        what="the spool of audit events is full ({limit} bytes)",
        why="the Auth Service could not be reached for so long that no more events can be kept, and nothing is done "
        "that cannot be recorded",
        fix="bring the connection to the Auth Service back (`tctl status` there); events are then sent by themselves",
    ),
    "STORE-CLOSED": Page(
        what="the storage is closed",
        why="the process is stopping",
        fix="try again when it has started again",
    ),
    "STORE-WATCH-BEHIND": Page(
        what="this watch fell more than {bound} events behind",
        why="events came faster than they were read, and keeping all of them would fill the memory",
        fix="open a new watch and read the present state again",
    ),
    "STORE-RESOURCE-NOT-FOUND": Page(
        what='{kind} "{name}" not found',
        why="it does not exist, or it has expired",
        fix="list what there is with `tctl get {kind}`",
    ),
    "STORE-RESOURCE-EXISTS": Page(
        what='{kind} "{name}" already exists',
        why="creating never replaces what is there",
        fix="use -f or --force flag to overwrite",
    ),
    "STORE-RESOURCE-NAME": Page(
        what="{name!r} is not a valid name for a {kind}",
        why=(
            "a name has 1 to 256 visible characters, no slash, no space at its ends, "
            "and is not a dot or two; it becomes part of a path"
        ),
        fix="choose another name",
    ),
    "STORE-RESOURCE-EXPIRED": Page(
        what='{kind} "{name}" expires at {expires}, which is in the past',
        why="it would vanish the moment it is stored",
        fix="set `metadata.expires` to a later time (UTC), or leave it out",
    ),
    "STORE-RESOURCE-DAMAGED": Page(
        what='the stored {kind} "{name}" cannot be read: {problem}',
        why="it was written by another version or was changed outside of this program",
        fix="restore it from a backup, or remove it with `tctl rm {kind}/{name}`",
    ),
    "STORE-AUDIT-WRITER": Page(
        what="{writer!r} cannot name a writer of the audit log",
        why="the name becomes part of the log's name: letters, digits, dot, dash and underscore, at most 128",
        fix="use the host's id",
    ),
    "STORE-AUDIT-BUSY": Page(
        what="no checkpoint of the audit log could be made in {attempts} attempts",
        why="each time another process made one in between",
        fix="nothing is lost: the next one is made within a minute",
    ),
    "STORE-AUDIT-PRUNED": Page(
        what="the audit log was pruned while it was exported",
        why="the files would lack records that the list of logs promises",
        fix="remove the files and export again",
    ),
    "STORE-AUDIT-CONTINUE": Page(
        what="this search cannot be continued from {continuation!r}",
        why="the continuation did not come from a search of this cluster",
        fix="repeat the search from its beginning",
    ),
}
