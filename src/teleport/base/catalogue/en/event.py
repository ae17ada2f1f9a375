"""EVENT-*: records of the audit log."""

from teleport.base.catalogue import Page

PAGES = {
    "EVENT-NOT-JSON": Page(
        what="a record of the audit log cannot be read: {problem}",
        why="each record is one JSON object in one line; this one is damaged or was not written by this product",
        fix="run `tctl audit verify` to see from which record on the log is damaged",
    ),
}
