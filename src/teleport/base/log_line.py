"""How a line of the log looks: text for people, JSON for machines.

Text is `LEVL [COMPONENT] message key:value dir/file.py:LINE`, led by a time when no terminal shows it; JSON is
one object. A line is always one line: whatever stands in a message or a field, characters that do not print
leave escaped, so that nobody who chooses a user name can write log entries. Of a `Report` alone, text shows several.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import traceback
from pathlib import PurePath
from typing import Any, TextIO

from teleport.base.clock import Clock
from teleport.base.errors import TeleportError
from teleport.base.escape import escape

TRACE, DEBUG, INFO, WARN, ERROR, FATAL = 5, 10, 20, 30, 40, 50
LEVELS = {"TRACE": TRACE, "DEBUG": DEBUG, "INFO": INFO, "WARN": WARN, "ERROR": ERROR, "FATAL": FATAL}
OURS = "teleport"
"""The tree of loggers that are ours; everything else belongs to libraries."""
EXTRA_FIELDS = ("timestamp", "level", "component", "caller")
"""What a line carries beside message and fields, unless the configuration says otherwise."""

_SHORT = {TRACE: "TRAC", DEBUG: "DEBU", INFO: "INFO", WARN: "WARN", ERROR: "ERRO", FATAL: "FATA"}
_LONG = {TRACE: "trace", DEBUG: "debug", INFO: "info", WARN: "warning", ERROR: "error", FATAL: "fatal"}
_COLOUR = {TRACE: 35, DEBUG: 36, INFO: 32, WARN: 33, ERROR: 31, FATAL: 31}
_COMPONENT_WIDTH = 9


class Report(tuple[str, ...]):
    """A field of several lines: text shows them below the message, in brackets, each as a line of its own."""

    def __str__(self) -> str:
        return "\n".join(self)

    def shown(self) -> str:
        """Return it as text shows it. Leading tabs stay."""
        kept = [line[: len(line) - len(line.lstrip("\t"))] + escape(line.lstrip("\t")) for line in self]
        return "[\n" + "\n".join(kept) + "]"


class LineHandler(logging.Handler):
    """Renders a record. The stream is looked up late, because tests and daemons replace `sys.stderr`."""

    def __init__(self, stream: TextIO | None, output: str, extra_fields: tuple[str, ...], clock: Clock) -> None:
        super().__init__()
        self._stream, self._extra, self._clock = stream, extra_fields, clock
        self._render = self._json if output == "json" else self._text

    def emit(self, record: logging.LogRecord) -> None:
        stream = self._stream or sys.stderr
        try:
            stream.write(self._render(record, stream.isatty()) + "\n")
            stream.flush()
        except (OSError, ValueError):
            pass  # nobody is left to tell: the log itself has gone

    def _text(self, record: logging.LogRecord, terminal: bool) -> str:
        parts = [self._now()] if "timestamp" in self._extra and not terminal else []
        for name in self._extra:
            if name == "level":
                parts.append(_coloured(_nearest(record.levelno), terminal))
            elif name == "component":
                shown = f"[{escape(_component(record)[:_COMPONENT_WIDTH])}]"
                parts.append(f"{shown:<{_COMPONENT_WIDTH + 2}}")
        parts.append(escape(record.getMessage()))
        parts += [f"{escape(name)}:{_written(value)}" for name, value in _fields(record).items()]
        if "caller" in self._extra:
            parts.append(_caller(record))
        return " ".join(parts)

    def _json(self, record: logging.LogRecord, terminal: bool) -> str:
        head = {
            "timestamp": self._now(),
            "level": _LONG[_nearest(record.levelno)],
            "component": _component(record),
            "caller": _caller(record),
        }
        line: dict[str, object] = {name: head[name] for name in EXTRA_FIELDS if name in self._extra}
        line["message"] = record.getMessage()
        for name, value in _fields(record).items():
            line[f"field.{name}" if name in (*head, "message") else name] = _scalar(value)
        return json.dumps(line)

    def _now(self) -> str:
        text = self._clock.now().astimezone().isoformat(timespec="milliseconds")
        return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _nearest(number: int) -> int:
    """Libraries have levels of their own; each counts as the highest of ours below it."""
    return max((value for value in _SHORT if value <= number), default=TRACE)


def _coloured(number: int, terminal: bool) -> str:
    plain = terminal is False or bool(os.environ.get("NO_COLOR"))
    return _SHORT[number] if plain else f"\x1b[{_COLOUR[number]}m{_SHORT[number]}\x1b[0m"


def _component(record: logging.LogRecord) -> str:
    first, _, rest = record.name.partition(".")
    return rest if first == OURS and rest else first.upper()


def _caller(record: logging.LogRecord) -> str:
    return f"{'/'.join(PurePath(record.pathname).parts[-2:])}:{record.lineno}"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields of one of our records, or what a library said about an exception."""
    fields = dict(getattr(record, "fields", {}))
    error = fields.get("error", record.exc_info[1] if record.exc_info else None)
    if isinstance(error, BaseException):
        fields["error"] = error
        if logging.getLogger(OURS).isEnabledFor(DEBUG) and error.__traceback__:  # noqa: TID251
            steps = traceback.extract_tb(error.__traceback__)
            fields["at"] = " > ".join(f"{PurePath(s.filename).name}:{s.lineno} {s.name}" for s in steps[-8:])
    return fields


def _shown(value: object) -> str:
    try:
        if isinstance(value, TeleportError):
            return f"{value} ({value.code})"
        return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else str(value)
    except Exception:
        return f"<{type(value).__name__}>"  # a field that cannot be printed must not take the event with it


def _written(value: object) -> str:
    return value.shown() if isinstance(value, Report) else _quoted(_shown(value))


def _scalar(value: object) -> object:
    if value is None or isinstance(value, (bool, int)):
        return value
    return value if isinstance(value, float) and type(value) is float and math.isfinite(value) else _shown(value)


def _quoted(text: str) -> str:
    if text and not any(c in ' "\\' or not c.isprintable() for c in text):
        return text
    return '"' + escape(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
