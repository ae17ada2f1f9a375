"""BOT-*: what goes wrong in tbot."""

from teleport.base.catalogue import Page

PAGES = {
    "BOT-IDENTITY-NONE": Page(
        what="the bot has no identity yet",
        why="something asked for it before the bot had joined; this is a defect",
        fix="start again with -d and report the last lines",
    ),
    "BOT-IDENTITY-REPLY": Page(
        what="the certificates that came are not for the key that was asked for",
        why="the Auth Service, or what stands between, answered another request; nothing was stored",
        fix="the bot asks again by itself; if this stays, look at the log of the Auth Service",
    ),
    "BOT-LOCKED": Page(
        what='bot "{bot}" is locked for another reason, and stays so',
        why="{who} has locked it; that its certificates were in two places is not the reason",
        fix="see the lock, and ask who made it: tctl get lock/{lock}; then: tctl rm lock/{lock}",
    ),
    "BOT-NOT-LOCKED": Page(
        what='nothing is to be recovered of bot "{bot}"',
        why="no lock is on it because of its certificates, and no instance of it waits to be replaced",
        fix="if its certificates have ended, make a token: tctl bots instances add {bot}",
    ),
    "BOT-NO-TOKEN": Page(
        what="no existing identity found on disk or join token configured",
        why="a bot that has no certificates yet needs a token to join the cluster with",
        fix="make a token with `tctl bots instances add NAME`, and give it with --token or in onboarding.token",
    ),
    "BOT-STOLEN": Page(
        what='bot "{bot}" is not unlocked, because its certificates may be stolen: {evidence}',
        why="the certificates that only one machine should have were used in two places, or nobody can say where",
        fix="find out who is at the other address; change what the bot could reach; if it was your own doing (a "
        "copy, a move to another machine): tctl bots recover {bot} --force",
    ),
    "BOT-STORAGE-CORRUPT": Page(
        what="{file} in {storage} cannot be read as a part of the bot's identity",
        why="it was changed by hand, cut short by a broken disk, or written by another program",
        fix="make a new token with `tctl bots instances add NAME` and start with it: the bot joins anew and writes "
        "every file again; do not put back a copy of the storage, which would lock the bot",
    ),
    "BOT-STORAGE-INCOMPLETE": Page(
        what="{file} is missing from {storage}, and other parts of the bot's identity are there",
        why="files were removed or copied by hand; the bot itself never leaves some of them",
        fix="make a new token with `tctl bots instances add NAME` and start with it: the bot joins anew and writes "
        "every file again",
    ),
    "BOT-STORAGE-MIXED": Page(
        what="{file} in {storage} does not belong to the key that is there",
        why="files of two identities were mixed, by hand or by a backup that was put back in part",
        fix="make a new token with `tctl bots instances add NAME` and start with it: the bot joins anew and writes "
        "every file again",
    ),
}
