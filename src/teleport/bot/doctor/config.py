"""Whether the configuration does what people mean. What cannot be read at all ends the examination before."""

from __future__ import annotations

from teleport.base.errors import BadParameter, TeleportError
from teleport.bot.doctor.case import Case
from teleport.client.doctor.report import Finding

SHARED = "TBOT-IDENTICAL"


async def run(case: Case) -> str | Finding:
    """Looks for what is probably not meant; what one output cannot do, its own check says."""
    if case.loaded.warnings:
        first = case.loaded.warnings[0]
        return Finding.told("config", first.code, first.text, "warn")
    return f"version {case.loaded.version}, {len(case.sections)} services"


def unread(error: TeleportError) -> Finding:
    """Return what is found of a file that is none."""
    if error.code == SHARED:
        error = BadParameter("OUT-SHARED-DEST", said=error.what)
    return Finding.of("config", error)
