"""Recordings made by hand: sealed as a node seals them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from teleport.base.entropy import SeededEntropy
from teleport.model.recorded_session import SessionFacts, encode_facts
from teleport.pki import envelope
from teleport.wire import recording
from teleport.wire.recording import END, HEADER, OUTPUT, Frame

START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


def session_id(number: int) -> str:
    """Return the id of a session."""
    return f"0f1e2d3c-4b5a-4978-8695-{number:012x}"


def facts(number: int = 1, **changes: Any) -> SessionFacts:
    """Return what a recording says of its session."""
    fields: dict[str, Any] = {
        "session_id": session_id(number), "start": START + dt.timedelta(minutes=number), "user": "alice",
        "login": "root", "server_id": "11111111-2222-4333-8444-555555555555", "hostname": "node-1",
        "participants": ("alice",),
    }  # fmt: skip
    return SessionFacts(**{**fields, **changes})


def sealed(
    about: SessionFacts, key_id: str, public: bytes, *, texts: Sequence[bytes] = (b"hello\r\n",), whole: bool = True
) -> list[bytes]:
    """Return the chunks of a recording: one for its facts, one for each text, and one for its end if it is `whole`."""
    number = int(about.session_id[-12:], 16)
    sealer = envelope.Sealer(
        about.session_id, envelope.DataKey(key_id, envelope.load_public(public), SeededEntropy(number))
    )
    parts = [[Frame(0, HEADER, encode_facts(about))]]
    parts += [[Frame(1000 * at, OUTPUT, text)] for at, text in enumerate(texts, 1)]
    parts += [[Frame(1000 * len(texts) + 500, END, b"{}")]] if whole else []
    return [
        sealer.seal(
            recording.encode(frames), frames[0].at, frames[-1].at, final=whole and index == len(parts) - 1
        )
        for index, frames in enumerate(parts)
    ]  # fmt: skip
