"""Events of searches over recorded screens."""

from __future__ import annotations

from typing import Annotated

from teleport.model.events.base import CallerEvent, Level, Public, Sensitive, event


@event("TSR10I")
class SessionRecordingSearch(CallerEvent, frozen=True, kw_only=True, tag="session.recording.search"):
    """Somebody looked for a text on recorded screens."""

    text: Sensitive
    found: Annotated[int, Level.PUBLIC] = 0
    """Lines that were shown."""
    sessions: Annotated[tuple[str, ...], Level.PUBLIC] = ()
    """Recordings of which lines were shown."""
    after: Public = ""
    """Where the page began, if it was not the first."""
