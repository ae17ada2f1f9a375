"""What the calls about session recordings take and give, in plain terms."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A stored recording."""

    session_id: str
    kind: str = "ssh"
    user: str = ""
    participants: tuple[str, ...] = ()
    login: str = ""
    server_id: str = ""
    hostname: str = ""
    start: dt.datetime
    stop: dt.datetime
    size: int = 0
    """Bytes stored, sealed."""
    interactive: bool = False
    command: str = ""
    """Empty for a shell."""
    problem: str = ""
    """Why the recording is not whole; empty when it is."""


@dataclass(frozen=True, slots=True)
class WholeRecording:
    """A short recording on its way."""

    session_id: str
    chunks: tuple[bytes, ...]
    digest: bytes
    """Of the last chunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingQuery:
    """Which recordings are listed, newest first. Every given condition must hold."""

    since: dt.datetime | None = None
    """Sessions that began at this time or later."""
    until: dt.datetime | None = None
    """Sessions that began before this time."""
    user: str = ""
    limit: int = 0
    """Most recordings of one page; 0: the server's choice."""
    after: str = ""
    """`next` of the page before."""


@dataclass(frozen=True, slots=True)
class RecordingPage:
    """A part of a list of recordings. A page may be shorter than its limit, even empty, while `next` is given."""

    recordings: tuple[Recording, ...]
    next: str = ""


@dataclass(frozen=True, slots=True)
class Playback:
    """A part of a recording as it is streamed."""

    recording: Recording | None
    """In the first part alone."""
    frames: bytes
    """Whole frames, as `wire.recording` writes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenQuery(RecordingQuery):
    """Which screens are looked for."""

    text: str


@dataclass(frozen=True, slots=True)
class ScreenHit:
    """Where a text stood on a screen. Times in milliseconds since the session began."""

    recording: Recording
    at: int
    """When the text was first on the screen."""
    last: int
    """When it was last."""
    line: str
    """The line in which it stood."""


@dataclass(frozen=True, slots=True)
class ScreenPage:
    """A part of the hits of a search."""

    hits: tuple[ScreenHit, ...]
    next: str = ""
    unindexed: int = 0
    """Recordings that have no index yet."""


@dataclass(frozen=True, slots=True)
class RecordingKey:
    """A key that recordings are sealed to."""

    id: str
    public_key: bytes
    """SubjectPublicKeyInfo in DER."""
    created: dt.datetime
    active: bool
    """Whether new recordings are sealed to it."""
