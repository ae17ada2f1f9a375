"""`teleport.log`: where log lines go, from which level on, and in which form."""

from __future__ import annotations

from collections.abc import Iterator

from teleport.base.errors import BadParameter, NotSupported
from teleport.model.config.section import Fault, Section

LEVELS = {"TRACE": "TRACE", "DEBUG": "DEBUG", "INFO": "INFO", "WARN": "WARN", "WARNING": "WARN", "ERROR": "ERROR",
          "ERR": "ERROR"}  # fmt: skip
"""Words for levels, and the level each means."""
FIELDS = ("level", "timestamp", "component", "caller")
"""Parts of a line that may be left out."""


class LogFormat(Section, frozen=True, kw_only=True):
    """How a line looks."""

    output: str = "text"
    extra_fields: tuple[str, ...] = FIELDS

    def faults(self) -> Iterator[Fault]:
        """Return unknown words."""
        if self.output not in ("text", "json"):
            yield Fault(("output",), _unknown("log format", self.output, ("text", "json")))
        for index, field in enumerate(self.extra_fields):
            if field not in FIELDS:
                yield Fault(("extra_fields", index), _unknown("log field", field, FIELDS))


class LogSection(Section, frozen=True, kw_only=True):
    """The log of the process."""

    output: str = "stderr"
    """`stderr`, `stdout`, or the path of a file."""
    severity: str = "INFO"
    format: LogFormat = LogFormat()

    @property
    def level(self) -> str:
        """The lowest level that is written: TRACE, DEBUG, INFO, WARN or ERROR."""
        return LEVELS[self.severity.upper()]

    def faults(self) -> Iterator[Fault]:
        """Return unknown words, and the outputs that this build has not."""
        if self.severity.upper() not in LEVELS:
            yield Fault(("severity",), _unknown("level", self.severity, tuple(dict.fromkeys(LEVELS.values()))))
        if self.output == "syslog":
            supported = "stderr, stdout or the path of a file"
            yield Fault(("output",), NotSupported("CONFIG-NOT-SUPPORTED", key="teleport.log.output: syslog",
                                                  supported=supported))  # fmt: skip
        elif self.output not in ("stderr", "stdout") and "/" not in self.output:
            yield Fault(("output",), _unknown("log output", self.output, ("stderr", "stdout", "the path of a file")))
        for path, error in self.format.faults():
            yield Fault(("format", *path), error)


def _unknown(what: str, value: str, known: tuple[str, ...]) -> BadParameter:
    return BadParameter("CONFIG-VALUE", what=what, value=ascii(value[:60]), known=", ".join(known))
