"""A recorded session: what its recording says of itself, and what rules are asked about it.

`RecordedSession` is a target of decisions (`session` in rules), not a kind: it is stored with the recordings and
nobody writes it through the API.
"""

from __future__ import annotations

import datetime as dt

import msgspec

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct
from teleport.model.resource import Metadata, Resource, Time


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first frame of a recording (`wire.recording.HEADER`), written by the service that made it.

    Fields of later versions are ignored.
    """

    session_id: str
    start: Time
    kind: str = "ssh"
    user: str = ""
    login: str = ""
    server_id: str = ""
    recorded_by: str = ""
    """Id of the proxy that ended the connection and recorded it; empty where the server did."""
    hostname: str = ""
    cluster: str = ""
    client: str = ""
    command: str = ""
    columns: int = 80
    rows: int = 25
    interactive: bool = False
    participants: tuple[str, ...] = ()
    labels: dict[str, str] = {}


def encode_facts(facts: SessionFacts) -> bytes:
    """Write facts as JSON."""
    return msgspec.json.encode(facts)


def decode_facts(data: bytes) -> SessionFacts:
    """Read facts. Raises BadParameter (WIRE-RECORDING)."""
    try:
        return msgspec.json.decode(data, type=SessionFacts)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadParameter("WIRE-RECORDING", problem=f"its first frame: {str(error)[:120]}") from None


class RecordedSessionSpec(Struct, frozen=True, kw_only=True):
    """What `where` of a rule finds under `session`, with the names of the event `session.end`."""

    sid: str
    proto: str = "ssh"
    user: str = ""
    login: str = ""
    participants: tuple[str, ...] = ()
    server_id: str = ""
    server_hostname: str = ""
    server_labels: dict[str, str] = {}
    interactive: bool = False
    session_start: Time | None = None
    session_stop: Time | None = None
    size: int = 0
    """Bytes stored, sealed."""
    command: str = ""
    """Empty for a shell."""
    problem: str = ""
    """Why the recording is not whole; empty when it is."""


class RecordedSession(Resource[RecordedSessionSpec], frozen=True, kw_only=True, tag="session"):
    """A session with a stored recording; its name is its id."""


def recorded(facts: SessionFacts, *, stop: dt.datetime, size: int, problem: str = "") -> RecordedSession:
    """Return the session that a recording tells of."""
    spec = RecordedSessionSpec(
        sid=facts.session_id, proto=facts.kind, user=facts.user, login=facts.login,
        participants=facts.participants or ((facts.user,) if facts.user else ()), server_id=facts.server_id,
        server_hostname=facts.hostname, server_labels=facts.labels, interactive=facts.interactive,
        session_start=facts.start, session_stop=stop, size=size, command=facts.command, problem=problem,
    )  # fmt: skip
    return RecordedSession(metadata=Metadata(name=facts.session_id), spec=spec)
