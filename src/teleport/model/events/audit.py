"""Events of the audit log itself."""

from __future__ import annotations

from typing import Annotated

from teleport.base.struct import Struct
from teleport.model.events.base import CallerEvent, Level, Public, PublicTime, event


class Cut(Struct, frozen=True, kw_only=True):
    """Up to where a log was pruned: number and digest of the last record that went."""

    log: str
    sequence: int
    digest: str
    """Hexadecimal digits."""


@event("TAU01I")
class AuditPrune(CallerEvent, frozen=True, kw_only=True, tag="audit.prune"):
    """Old records of the audit log were removed. A check of the log needs this event."""

    before: PublicTime | None = None
    """Only records that a checkpoint from before this time saw."""
    checkpoint: Annotated[int, Level.PUBLIC] = 0
    """Number of that checkpoint."""
    records: Annotated[int, Level.PUBLIC] = 0
    """How many were removed."""
    logs: Annotated[tuple[Cut, ...], Level.PUBLIC] = ()
    """Every log that was cut, now or before."""
    reason: Public = ""
