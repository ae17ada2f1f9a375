"""EVENT-*: records of the audit log."""

from teleport.base.catalogue import Page

PAGES = {
    "EVENT-QUERY": Page(
        what="the query is wrong at column {column}: {problem}",
        why="{near}",
        fix="write for example: SELECT time, user, event FROM events WHERE user = 'alice' AND time > now() - 7d",
    ),
    "EVENT-FIELD": Page(
        what="no event has a field {field!r}{hint}",
        why="a condition on a field that does not exist is never true, so the answer would be empty without a word",
        fix="tctl audit ls --format json shows events with the names of their fields",
    ),
    "EVENT-TOO-LARGE": Page(
        what="an event {event} has {size} bytes; {limit} are possible",
        why="an event has to fit into one call to the Auth Service",
        fix="this is a defect of the program that made the event; please report it",
    ),
    "EVENT-NOT-JSON": Page(
        what="a record of the audit log cannot be read: {problem}",
        why="each record is one JSON object in one line; this one is damaged or was not written by this product",
        fix="run `tctl audit verify` to see from which record on the log is damaged",
    ),
}
