"""CFG-*: files and values that people write."""

from teleport.base.catalogue import Page

PAGES = {
    "CFG-DURATION": Page(
        what="{value!r} is not a duration",
        why="a duration is numbers with units, for example 30m, 1h30m or 12h",
        fix="write it with the units d, h, m, s, ms",
    ),
    "CFG-SWITCH": Page(
        what="{value!r} is neither yes nor no",
        why="this field takes yes, no, on, off, true or false",
        fix="write yes or no",
    ),
}
