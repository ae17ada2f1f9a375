"""Events of session recordings: stored, looked at, failed."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from teleport.model.events.base import CallerEvent, Level, Public, Sensitive, event
from teleport.model.events.resource import ResourceEvent
from teleport.model.events.session import ServerEvent
from teleport.model.resource import Resource


@event("T2005I")
class SessionUpload(ServerEvent, frozen=True, kw_only=True, tag="session.upload"):
    """A recording has arrived and was checked."""

    session_url: Public = msgspec.field(default="", name="url")
    """Where it lies, in the data directory of the Auth Service."""
    size: Annotated[int, Level.PUBLIC] = 0
    """Bytes stored, sealed."""
    chunks: Annotated[int, Level.PUBLIC] = 0
    digest: Public = ""
    """SHA-256 of the last chunk, in hexadecimal: chunks are chained, so that it speaks for all."""
    problem: Public = ""
    """Why the recording is not whole; empty when it is."""


@event("T2012I")
class SessionRecordingAccess(CallerEvent, frozen=True, kw_only=True, tag="session.recording.access"):
    """Somebody was given a recording."""

    sid: Public = msgspec.field(name="session_id")
    purpose: Public = msgspec.field(default="", name="format")
    """`play`, `download` or `search`."""
    session_user: Sensitive = ""
    """Whose session it was."""


@event("TSR00W")
class RecordingFailed(ServerEvent, frozen=True, kw_only=True, tag="session.recording.failed"):
    """A session could not be recorded, or no longer."""

    reason: Sensitive
    ended: Annotated[bool, Level.PUBLIC] = False
    """Whether the session was refused or ended for that; otherwise it went on without."""


@event("TSR01W")
class RecordingSetAside(ServerEvent, frozen=True, kw_only=True, tag="session.recording.set_aside"):
    """A recording cannot be stored and was kept apart on its node."""

    reason: Sensitive
    path: Sensitive


@event("TSR02I")
class RecordingKeyRotated(CallerEvent, frozen=True, kw_only=True, tag="session.recording.key_rotated"):
    """New recordings are sealed to a new key."""

    key_id: Public


@event("TCREC003I")
class RecordingConfigUpdate(ResourceEvent, frozen=True, kw_only=True, tag="session_recording_config.update"):
    """Somebody changed how sessions are recorded."""

    mode: Public = ""

    @classmethod
    def describe(cls, resource: Resource[Any]) -> dict[str, Any]:
        """Say which mode holds from now on."""
        return {**super().describe(resource), "mode": resource.spec.mode}
