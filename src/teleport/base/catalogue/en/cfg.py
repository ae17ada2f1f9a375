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
    "CFG-LABELS": Page(
        what="cannot read the labels {value!r}: {problem}",
        why="labels are written key=value, separated by commas",
        fix="write for example env=dev,team=a and put quotes around values with commas: note='a, b'",
    ),
    "CFG-LOG-LEVEL": Page(
        what='"{level}" log level not supported',
        why="the levels are TRACE, DEBUG, INFO, WARN, ERROR and FATAL",
        fix="name one of them, in upper or lower case",
    ),
    "CFG-LOG-FORMAT": Page(
        what="{value!r} is not a part of the log format",
        why="here the choice is: {known}",
        fix="change it under teleport.log.format in the configuration file",
    ),
    "CFG-YAML-SYNTAX": Page(
        what="{where}: {problem}",
        why="the text is not plain YAML at that place",
        fix="look at that line and the one before it: indentation, a missing colon or an open quote are usual",
        more=(
            "Documents may hold text, numbers, yes and no, lists and maps whose keys are text. Tags that make "
            "objects (`!!python/...`, `!custom`) and keys given twice are refused."
        ),
    ),
    "CFG-YAML-BOMB": Page(
        what="{where}: the document is too large: {problem}",
        why="a text has at most 1,000,000 bytes, 64 levels and 100,000 nodes once aliases are expanded",
        fix="split it into several files, or write repeated parts out instead of nesting aliases",
    ),
    "CFG-YAML-FIELDS": Page(
        what="{problems}",
        why="the document does not have the shape that is expected there",
        fix="correct each place named above; the key of a suggestion is usually what was meant",
    ),
}
