"""RETRY-*: giving up after several attempts."""

from teleport.base.catalogue import Page

PAGES = {
    "RETRY-TIMEOUT": Page(
        what="no answer within {seconds} s",
        why="the first attempt had not ended when the time was over",
        fix="see whether the address is right and the peer is running, then try again",
    ),
}
