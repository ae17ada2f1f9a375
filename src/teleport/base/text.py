"""Words for terminals: tables, durations, ages, labels, did-you-mean. Pure; printing is `cli.common`'s matter.

The forms are those of the CLI reference: header row, dashes row of each column's width, one blank between
columns, left aligned, no trailing blanks.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from teleport.base.errors import BadParameter
from teleport.base.escape import escape
from teleport.base.struct import Duration

_NARROWEST_LABELS = 16
_ENDS_BARE = re.compile(r"[,=\"'\s\\]")


def table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, width: int = 0, wide: str = "Labels"
) -> list[str]:
    """Return the lines of a table. `width` > 0 shortens the cells of the column headed `wide` with `...`.

    Characters that do not print are escaped: names come from strangers and a terminal obeys what it is sent.
    """
    cells = [[escape(str(cell)) for cell in row] for row in rows]
    if width and wide in headings:
        _shorten(headings, cells, list(headings).index(wide), width)
    widths = _widths(headings, cells)
    lines = [_row(headings, widths), _row(["-" * size for size in widths], widths)]
    return lines + [_row(row, widths) for row in cells]


def pairs(rows: Mapping[str, object]) -> list[str]:
    """Return the lines of a table without heading: names left, values right, two blanks between them."""
    width = max((columns(name) for name in rows), default=0) + 1
    return [_row([name, escape(str(value))], [width, 0]) for name, value in rows.items()]


def _widths(headings: Sequence[str], cells: list[list[str]]) -> list[int]:
    return [max(columns(row[i]) for row in ([*headings], *cells)) for i in range(len(headings))]


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return " ".join(c + " " * (w - columns(c)) for c, w in zip(cells, widths, strict=True)).rstrip()


def _shorten(headings: Sequence[str], cells: list[list[str]], column: int, width: int) -> None:
    widths = _widths(headings, cells)
    room = width - sum(widths) + widths[column] - len(widths) + 1
    room = max(room, _NARROWEST_LABELS, columns(headings[column]))
    for row in cells:
        row[column] = shorten(row[column], room)


def shorten(text: str, width: int) -> str:
    """Return `text`, cut to `width` columns and ended with `...` if it is longer."""
    if columns(text) <= width:
        return text
    kept, used = "", 3
    for char in text:
        used += columns(char)
        if used > width:
            break
        kept += char
    return kept + "..."


def columns(text: str) -> int:
    """Return how many columns of a terminal `text` takes: two for wide East Asian characters, none for marks."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def terminal_width(default: int = 80) -> int:
    """Return the columns of the terminal, or `default` when there is none."""
    return shutil.get_terminal_size((default, 24)).columns


def duration(length: float | dt.timedelta) -> str:
    """Return a length of time in whole seconds with units, for example `1h0m0s`, `11m5s`, `0s`."""
    seconds = length.total_seconds() if isinstance(length, dt.timedelta) else float(length)
    sign = "-" if seconds <= -1 else ""
    return sign + str(Duration(abs(int(seconds))))


def valid_for(until: dt.datetime, now: dt.datetime) -> str:
    """Return `valid for 11h59m0s` or `EXPIRED`. Whole minutes while an hour or more is left, as people read it."""
    left = (until - now).total_seconds()
    if left <= 0:
        return "EXPIRED"
    return f"valid for {duration(left - left % 60 if left >= 3600 else left)}"


def age(since: dt.datetime, now: dt.datetime) -> str:
    """Return how long ago something was, in its largest unit: `5s`, `3m`, `2h`, `4d`."""
    seconds = max(int((now - since).total_seconds()), 0)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def suggest(word: str, known: Iterable[str]) -> str:
    """Return the word of `known` that `word` most likely stands for, or an empty text."""
    folded = {name.lower(): name for name in known}
    wanted = word.lower()[:64]
    if wanted in folded:
        return folded[wanted]
    scored = sorted((_distance(wanted, name), name) for name in folded if abs(len(name) - len(wanted)) <= 3)
    if not scored or scored[0][0] > max(1, min(len(wanted), len(scored[0][1])) // 3):
        return ""
    return folded[scored[0][1]]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` or an empty text, to be appended to a sentence."""
    found = suggest(word, known)
    return f", did you mean {found!r}?" if found else ""


def _distance(a: str, b: str) -> int:
    """Edits (insert, delete, replace, swap neighbours) between two words: Damerau's optimal string alignment."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, older[j - 2] + 1)
            row.append(best)
    return row[-1]


def label_text(labels: Mapping[str, str]) -> str:
    """Return labels as `env=dev,team=a`, sorted; values that would not read back are quoted."""
    return ",".join(f"{_bare(key)}={_bare(labels[key])}" for key in sorted(labels))


def _bare(text: str) -> str:
    if text and not _ENDS_BARE.search(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_labels(text: str) -> dict[str, str]:
    """Read `k=v,k2="a, b"`. Quotes are ' or \", with a backslash before what stands for itself.

    Raises BadParameter (CFG-LABELS).
    """
    labels: dict[str, str] = {}
    position = 0
    while position < len(text):
        key, position = _word(text, position, "=")
        if not key or position >= len(text) or text[position] != "=":
            raise BadParameter("CFG-LABELS", value=text[:80], problem="each label is written key=value")
        if key in labels:
            raise BadParameter("CFG-LABELS", value=text[:80], problem=f"{key[:40]} is given twice")
        labels[key], position = _word(text, position + 1, ",")
        if position == len(text) - 1:
            raise BadParameter("CFG-LABELS", value=text[:80], problem="nothing follows the last comma")
        position += 1
    return labels


def _word(text: str, position: int, end: str) -> tuple[str, int]:
    """Read a bare or quoted word up to `end`; return it and where it ended."""
    while position < len(text) and text[position].isspace():
        position += 1
    if position < len(text) and text[position] in "\"'":
        word, position = _in_quotes(text, position)
        while position < len(text) and text[position].isspace():
            position += 1
        if position < len(text) and text[position] != end:
            raise BadParameter("CFG-LABELS", value=text[:80], problem="text follows a closing quote")
        return word, position
    stop = text.find(end, position)
    stop = len(text) if stop < 0 else stop
    return text[position:stop].strip(), stop


def _in_quotes(text: str, position: int) -> tuple[str, int]:
    quote, word, position = text[position], list[str](), position + 1
    while position < len(text):
        char = text[position]
        if char == quote:
            return "".join(word), position + 1
        if char == "\\" and position + 1 < len(text):
            position += 1
            char = text[position]
        word.append(char)
        position += 1
    raise BadParameter("CFG-LABELS", value=text[:80], problem="a quote is not closed")
