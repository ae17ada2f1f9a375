"""INV-*: the inventory of processes."""

from teleport.base.catalogue import Page

PAGES = {
    "INV-NOT-CONNECTED": Page(
        what="no process of the host {server_id!r} is connected",
        why="its control stream to this Auth Service is not open: it is stopped, or cannot reach it",
        fix="look at its log; `tctl inventory ls` tells when it was last heard of",
    ),
    "INV-NO-ANSWER": Page(
        what="the process of the host {server_id!r} did not answer within {seconds} seconds",
        why="it is stopped or overloaded, or the network between drops packets",
        fix="look at the process and its log; a stream without answers is given up by itself",
    ),
    "INV-SERVICES": Page(
        what="{server_id!r} says that it runs {services}, for which it has no certificate",
        why="a process is listed with the services that it was let in for",
        fix="join it with a token of those types",
    ),
    "INV-CLONE": Page(
        what="another process acts under the id of this host: {hostname} at {address}",
        why="the data directory, or the whole machine, was copied; the two push each other out of lists and tunnels",
        fix="stop one of them, remove its data directory, and let it join with a new token",
    ),
}
