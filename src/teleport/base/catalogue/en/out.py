"""OUT-*: what is wrong with the outputs of a bot."""

from teleport.base.catalogue import Page

PAGES = {
    "OUT-DAMAGED": Page(
        what="a file of an output cannot be read",
        why="{file} was changed by hand, cut short by a broken disk, or written by another program",
        fix="start tbot, or have everything renewed: `pkill -sigusr1 tbot`; every file is then written anew",
    ),
    "OUT-EMPTY": Page(
        what="an output of the bot has no certificates",
        why="tbot has not written them yet, or cannot; or somebody removed them from {place}",
        fix="start tbot, or have everything renewed: `pkill -sigusr1 tbot`; then look at its log for this output",
    ),
    "OUT-EXPIRED": Page(
        what="the certificates of an output have ended",
        why="nobody renews them: no tbot runs with this configuration, or it cannot reach the cluster",
        fix="start tbot; if it runs, its log says for this output why nothing is renewed",
    ),
    "OUT-MIXED": Page(
        what="certificate and key of an output do not belong together",
        why="files of two places or two times were mixed: by a copy in part, a backup, or another program in {place}",
        fix="have everything renewed: `pkill -sigusr1 tbot`; copy folders of outputs as a whole",
    ),
    "OUT-OPEN": Page(
        what="everybody on this machine can use the private key {path}",
        why="its mode was changed; ssh refuses such keys, and whoever reads it acts as the bot until it ends",
        fix="chmod 0600 {path}; who else has to read it is named under `readers` of the destination",
    ),
    "OUT-SHARED-DEST": Page(
        what="two outputs share a destination",
        why="each would overwrite the other's files: {said}",
        fix="give each output a destination of its own, and none that of the storage",
    ),
}
