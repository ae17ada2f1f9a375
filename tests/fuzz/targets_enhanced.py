"""Targets of enhanced recording: what bpftrace prints, in which every path and name is somebody's choice."""

from __future__ import annotations

import json

from teleport.agents.ssh.enhanced.lines import read
from tests.fuzz.engine import Target, plain, register


def _lines() -> list[bytes]:
    texts = (
        "M 7", f"E 5 4 3 7 {'sh':16}/bin/ls", "A 5 1 -l\\x0a\n", "R 5 -2", f"D 4 3 7 241 3 {'sh':16}/tmp/\x1b[0m",
        f"N 4 7 {'curl':16}4 127.0.0.1 10.0.0.1 443", f"N 4 7 {'curl':16}6 ::1 fe80::1 443",
    )  # fmt: skip
    printed = [json.dumps({"type": "printf", "data": text}).encode() for text in texts]
    return [*printed, b'{"type": "lost_events", "data": {"events": 12}}', b"ERROR: no", printed[1] + b"\xff"]


def _line(data: bytes) -> object:
    """Everything can be read, nothing raises, and no text that comes out can move a cursor or forge a line."""
    found = read(data)
    assert all(text.isprintable() for text in found if isinstance(text, str))
    return (type(found).__name__, *found)


register(Target("agents.ssh.enhanced.lines", plain(_line), _lines, ()))
