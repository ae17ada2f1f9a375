"""The head of an HTTP/1.1 answer: status and header fields (RFC 9112), for the few exchanges that end HTTP.

What is here: reading one head with bounds, before the connection carries something else. What is not: bodies, and
everything that a library does for real HTTP (`web`, `client.web_api`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from teleport.wire.buffer import NeedMore, ProtocolError

LIMIT = 16384
"""Most bytes of a head, its empty line included."""
MOST_FIELDS = 100
ERROR_FIELD = "X-Teleport-Error"
"""Header field with the code of an error: behind a load balancer nothing else says that the proxy itself answered."""
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_START = b"HTTP/1."


class Head(NamedTuple):
    """What an answer begins with."""

    status: int
    reason: str
    """Words after the status, as the server chose them; they may be empty."""
    fields: tuple[tuple[str, str], ...]
    """Header fields in order; names in lower case."""
    size: int
    """Bytes of the head: what follows is the body, or another protocol."""

    def first(self, name: str) -> str:
        """Return the first value of a field (name in lower case); empty if it is not there."""
        return next((value for field, value in self.fields if field == name), "")

    def words(self, name: str) -> tuple[str, ...]:
        """Return the elements of a field that is a list, in lower case, from all its lines."""
        values = ",".join(value for field, value in self.fields if field == name)
        return tuple(word.strip().lower() for word in values.split(",") if word.strip())


def read_head(data: bytes) -> Head:
    """Read the head at the beginning of `data`. Raises NeedMore while it is not complete, ProtocolError (WIRE-HTTP) for
    what is no answer of HTTP/1.1."""
    if not data.startswith(_START[: len(data)]):
        raise _bad("it does not begin as an answer of HTTP/1.1")
    end = data.find(b"\r\n\r\n", 0, LIMIT)
    if end < 0:
        if len(data) >= LIMIT:
            raise _bad(f"its head is longer than {LIMIT} bytes")
        raise NeedMore(1)
    first, *lines = data[:end].split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise _bad("its first line has no status")
    if len(lines) > MOST_FIELDS:
        raise _bad(f"it has more than {MOST_FIELDS} header fields")
    return Head(int(status[1]), _text(status[2] or b""), tuple(map(_field, lines)), end + 4)


def _field(line: bytes) -> tuple[str, str]:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise _bad("a header field is none")
    return found[1].decode().lower(), _text(found[2]).rstrip(" \t")


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _bad(problem: str) -> ProtocolError:
    return ProtocolError("WIRE-HTTP", problem=problem)
