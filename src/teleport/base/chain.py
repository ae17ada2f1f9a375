"""The hash chain of append-only logs: one function, so that a stranger can check a log with any tool.

digest(n) = SHA-256(digest(n-1) || n as 8 bytes, big endian || data(n)); digest(0) is 32 zero bytes.
"""

from __future__ import annotations

import hashlib

START = bytes(32)
"""The digest before the first record."""


def link(previous: bytes, sequence: int, data: bytes) -> bytes:
    """Return the digest of record `sequence` with `data`, following a record with digest `previous`."""
    return hashlib.sha256(previous + sequence.to_bytes(8, "big") + data).digest()
