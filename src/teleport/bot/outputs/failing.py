"""How the failure of an output is told: the destination that gets nothing new first, then the cause.

The reference prints the cause once more on a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.bot.parts import Destination
from teleport.bot.report import noted

log = logger("TBOT")


@contextmanager
def told(destination: Destination) -> Iterator[None]:
    """Say of errors of the block whose certificates they were about, in the log and at the error itself."""
    try:
        yield
    except TeleportError as error:
        where = str(destination).replace(": ", " ", 1)
        line = f"Failed to generate impersonated certs for {where}: {error.what}"
        log.error(line, code=error.code)
        noted(error, f"{line}\n{error.what}")
        raise
