"""DISK-*: files and folders."""

from teleport.base.catalogue import Page

PAGES = {
    "DISK-MISSING": Page(
        what="{path} does not exist",
        why="there is no file or folder of that name",
        fix="check the path, and the data directory in the configuration",
    ),
    "DISK-DENIED": Page(
        what="no access to {path}: {problem}",
        why="the user that runs this command may not read or write there",
        fix="look at the owner with `ls -ld {path}`, or run the command as that owner",
    ),
    "DISK-EXISTS": Page(
        what="{path} exists already",
        why="it is never overwritten",
        fix="choose another path, or move the existing file away first",
    ),
    "DISK-FOLDER": Page(
        what="{path} is a directory",
        why="a file is read or written there, not a folder",
        fix="name a file, for example one in it: {path}/FILE",
    ),
    "DISK-LINK": Page(
        what="{path} is a symbolic link",
        why="secrets are not read or written through links, because who controls the link chooses the file",
        fix="name the file that the link points to",
    ),
    "DISK-PERMISSIONS": Page(
        what="{path} holds a secret and others may read it (mode {mode})",
        why="a private key that others may have read is no longer private",
        fix="run `chmod 600 {path}`, and replace the secret if other people use this machine",
    ),
    "DISK-TOO-LARGE": Page(
        what="{path} has more than {limit} bytes",
        why="no file of this kind is so large; it is not read into memory",
        fix="check that the path names the right file",
    ),
    "DISK-LOCKED": Page(
        what="{path} is in use by the process {holder}",
        why="only one process at a time may use a data directory",
        fix="stop that process (`ps -p {holder}` shows it), or start this one with another data directory",
    ),
    "DISK-FULL": Page(
        what="no room left to write {path}",
        why="the disk or the quota of this user is full",
        fix="free space, see `df -h {path}`; nothing of the former content was lost",
    ),
    "DISK-IO": Page(
        what="cannot use {path}: {problem}",
        why="the operating system reported a failure of the disk or of the file",
        fix="look into the system log, for example with `dmesg`",
    ),
}
