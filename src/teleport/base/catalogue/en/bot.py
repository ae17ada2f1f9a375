"""BOT-*: machine identity on the machine, that is tbot."""

from teleport.base.catalogue import Page

PAGES = {
    "BOT-KUBE-EXPIRED": Page(
        what="the certificates in {folder} ended at {until}",
        why="tbot has not renewed them: it is not running, or cannot reach the cluster",
        fix="look at tbot's log; `pkill -sigusr1 tbot` makes a running one renew at once",
    ),
}
