"""Logs: a component's logger with named fields, as one line of text or one object of JSON, on stderr.

Here: `logger("AUTH").info("user created", user=name)`, and the level that can be changed while the process
runs. Not here: how a line looks (`base.log_line`), where the lines go in production (the supervisor's matter), audit
events (`store.audit`), or reports to users (`cli.common`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal, TextIO

from teleport.base.clock import Clock, SystemClock
from teleport.base.errors import BadParameter
from teleport.base.escape import escape as escape
from teleport.base.log_line import DEBUG, ERROR, EXTRA_FIELDS, FATAL, INFO, LEVELS, OURS, TRACE, WARN, LineHandler
from teleport.base.log_line import Report as Report


class Logger:
    """The voice of one component. Keyword arguments are fields; an exception as a field shows type and text."""

    __slots__ = ("_logger",)

    def __init__(self, component: str) -> None:
        self._logger = logging.getLogger(f"{OURS}.{component}")  # noqa: TID251 - the façade itself

    def trace(self, message: str, /, **fields: object) -> None:
        self._write(TRACE, message, fields)

    def debug(self, message: str, /, **fields: object) -> None:
        self._write(DEBUG, message, fields)

    def info(self, message: str, /, **fields: object) -> None:
        self._write(INFO, message, fields)

    def warn(self, message: str, /, **fields: object) -> None:
        self._write(WARN, message, fields)

    def error(self, message: str, /, **fields: object) -> None:
        """Something failed. `error=exc` names the exception, and at level DEBUG also where it came from."""
        self._write(ERROR, message, fields)

    def fatal(self, message: str, /, **fields: object) -> None:
        """The process ends because of this. Ending it is the caller's business."""
        self._write(FATAL, message, fields)

    def enabled(self, level: str) -> bool:
        """Say whether lines of `level` are written, for callers whose fields are costly to compute."""
        return self._logger.isEnabledFor(_number(level))

    def _write(self, level: int, message: str, fields: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", message, stacklevel=3, extra={"fields": fields})


def logger(component: str) -> Logger:
    """Return the logger of a component, for example `AUTH` or `NODE:PROX`."""
    return Logger(component.upper())


def setup(
    *,
    level: str = "INFO",
    output_format: Literal["text", "json"] = "text",
    extra_fields: Sequence[str] = EXTRA_FIELDS,
    stream: TextIO | None = None,
    clock: Clock | None = None,
) -> None:
    """Send every line of this process, our own and those of libraries from WARN up, to `stream` (stderr).

    Calling it again replaces the earlier settings. Raises BadParameter (CFG-LOG-LEVEL, CFG-LOG-FORMAT).
    """
    if output_format not in ("text", "json"):
        raise BadParameter("CFG-LOG-FORMAT", value=str(output_format)[:40], known="text, json")
    for name in extra_fields:
        if name not in EXTRA_FIELDS:
            raise BadParameter("CFG-LOG-FORMAT", value=str(name)[:40], known=", ".join(EXTRA_FIELDS))
    number = _number(level)
    root = logging.getLogger()  # noqa: TID251 - the façade itself
    for handler in [h for h in root.handlers if isinstance(h, LineHandler)]:
        root.removeHandler(handler)
    root.addHandler(LineHandler(stream, output_format, tuple(extra_fields), clock or SystemClock()))
    root.setLevel(WARN)
    logging.getLogger(OURS).setLevel(number)  # noqa: TID251


def set_level(name: str) -> str:
    """Change the level of the running process and return the former one. Raises BadParameter (CFG-LOG-LEVEL)."""
    former = get_level()
    logging.getLogger(OURS).setLevel(_number(name))  # noqa: TID251
    return former


def get_level() -> str:
    """Return the level in force, for example `INFO`."""
    number = logging.getLogger(OURS).getEffectiveLevel()  # noqa: TID251
    return next((name for name, value in LEVELS.items() if value == number), "INFO")


def _number(name: str) -> int:
    try:
        return LEVELS[{"WARNING": "WARN", "ERR": "ERROR"}.get(name.upper(), name.upper())]
    except KeyError:
        raise BadParameter("CFG-LOG-LEVEL", level=name[:40]) from None
