"""DEST-*: where a bot's files go."""

from teleport.base.catalogue import Page

PAGES = {
    "DEST-ACCOUNT": Page(
        what="there is no {what} {name} on this machine",
        why="readers of a destination, its owner and the user of tbot are users and groups here, by name or number",
        fix="check the name with `getent passwd` and `getent group`",
    ),
    "DEST-ACLS": Page(
        what="{path} cannot have access lists: {problem}",
        why="readers of a destination beside tbot are let in by access lists of its files",
        fix="put the destination on a file system with access lists (ext4, xfs, tmpfs), or leave out readers and "
        "`acls: required`",
    ),
    "DEST-ACLS-OFF": Page(
        what="readers of {path} are listed, and acls is off",
        why="readers are let in by access lists, and nothing else here would let them read",
        fix="leave out `acls: off`, or leave out readers",
    ),
    "DEST-DENIED": Page(
        what="no access to {path}: {problem}",
        why="the user with number {user}, as whom tbot runs, may not use this folder or make it",
        fix="ensure that tbot runs as the right user, or give it the folder: sudo tbot init "
        "--destination-dir={path} --bot-user=USER",
    ),
    "DEST-EXCHANGED": Page(
        what="{path} was exchanged for another folder while it was made",
        why="somebody who may write to the folder above put one of theirs in its place",
        fix="look at `ls -ld {path}`, and choose a folder below one that only root may write to",
    ),
    "DEST-LINK": Page(
        what="{path} is a symbolic link",
        why="keys are not written or read through links, because who controls the link chooses where the key goes",
        fix="name the place that it points to (`readlink -f {path}` shows it), or say `symlinks: insecure` where "
        "nobody else can change the link",
    ),
    "DEST-MISSING": Page(
        what="the destination {path} does not exist",
        why="it was there when tbot started, or never made",
        fix="restart tbot, which makes it; if it is a mount, mount it first",
    ),
    "DEST-NAME": Page(
        what="the file name {name!r} cannot be used",
        why="files of a destination stand in its folder or one below it",
        fix="tell the administrator of the cluster: a name from there (of a cluster, say) has a slash or is empty",
    ),
    "DEST-NOT-FILE": Page(
        what="{path} is not a regular file",
        why="a folder, a pipe or a device stands where tbot keeps a file",
        fix="move it away: mv {path} {path}.old",
    ),
    "DEST-NOT-FOLDER": Page(
        what='Path "{path}" already exists and is not a directory',
        why="a destination of the type directory is a folder",
        fix="move the file away, or choose another path",
    ),
    "DEST-NOT-MADE": Page(
        what="the folder {path} cannot be made",
        why="what stands above it keeps no folders (/proc, for example), or was removed meanwhile",
        fix="choose a folder on a disk of this machine, for example below /opt or /var/lib/teleport",
    ),
    "DEST-OPEN": Page(
        what="everybody may write to {path} (mode {mode})",
        why="anybody on this machine could replace the keys there, and the commands that ssh_config runs",
        fix="chmod o-w {path}",
    ),
    "DEST-STORAGE": Page(
        what="the storage of a bot is in {destination}",
        why="certificates of an output there would replace those that the bot renews itself with, and the bot would "
        "be lost",
        fix="choose another destination for the output; if no bot keeps itself there any more, empty it first",
    ),
    "DEST-SYMLINKS": Page(
        what='symlink mode "secure" not supported on this system',
        why="this system cannot open a file relative to an open folder",
        fix="use `symlinks: try-secure`, and a folder below one that only root may write to",
    ),
    "DEST-WRITE": Page(
        what="Cannot write to destination {destination}, aborting.",
        why="{problem}: {cause}",
        fix="{fix}",
    ),
}
