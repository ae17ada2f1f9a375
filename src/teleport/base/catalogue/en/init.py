"""INIT-*: preparing the folder of a bot, `tbot init`."""

from teleport.base.catalogue import Page

PAGES = {
    "INIT-NO-FOLDER": Page(
        what="no destination to prepare",
        why="the configuration has no output with a destination of the type directory{which}",
        fix="name one: tbot init --destination-dir=/opt/machine-id, or see `services` in the file",
    ),
    "INIT-OWNER-READS": Page(
        what="the user {user} would own the files and read them",
        why="tbot, who is somebody else, must be able to replace them, and OpenSSH refuses a key to its owner that "
        "others have rights to",
        fix="leave out --owner, or name another user than with --reader-user",
    ),
    "INIT-PLAIN": Page(
        what="{path} cannot be prepared without access lists for these users",
        why="its file system keeps none, or `acls: off` is written; then the bot must own the files, and a reader be "
        "in their group",
        fix="use --owner=BOT-USER:GROUP with a group of the reader, or a file system with access lists",
    ),
    "INIT-ROOT": Page(
        what="{path} cannot be given to somebody else",
        why="only root can give files away",
        fix="run it as root: sudo tbot init ...",
    ),
    "INIT-UNEXPECTED": Page(
        what="{path} has more in it than this output writes: {names}",
        why="whoever may read the folder would read that as well",
        fix="move it away, or remove it with --clean",
    ),
    "INIT-WHICH": Page(
        what="the configuration has several destinations of the type directory",
        why="each is prepared with users of its own: {paths}",
        fix="say which one: --init-dir=PATH",
    ),
}
