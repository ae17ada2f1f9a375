"""The file of an index beside its recording: three parts, each sealed for itself with AES-256-GCM.

Layout: `TSI1`, then for filter, text and times: length (4 bytes, big-endian), nonce (12), ciphertext. What is
sealed with each part names the session and the part, so that none can stand in the place of another. A
recording that could not be drawn has `TSIX` and the reason instead: that it failed is no secret.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.store.recordings import index_filter
from teleport.store.recordings.index_lines import Lines, inflate

_MAGIC, _FAILED = b"TSI1", b"TSIX"
_PARTS = (b"filter", b"text", b"times")
_NONCE = 12
KEY_BYTES = 32


class Sealed(NamedTuple):
    """The parts of a file, still sealed."""

    session_id: str
    parts: tuple[bytes, ...]
    problem: str = ""
    """Why there is no index; the parts are empty then."""


def seal(session_id: str, lines: Lines, key: bytes, entropy: Entropy) -> bytes:
    """Return the file of an index."""
    box = AESGCM(key)
    found = [_MAGIC]
    contents = (
        index_filter.build(lines.text),
        zlib.compress(lines.text.encode("utf-8", "replace"), 6),
        zlib.compress(lines.times, 6),
    )
    for name, content in zip(_PARTS, contents, strict=True):
        nonce = entropy.token(_NONCE)
        body = nonce + box.encrypt(nonce, content, _about(session_id, name))
        found += (len(body).to_bytes(4, "big"), body)
    return b"".join(found)


def failed(problem: str) -> bytes:
    """Return the file for a recording of which there can be no index."""
    return _FAILED + problem.encode("utf-8", "replace")[:500]


def read(session_id: str, data: bytes) -> Sealed:
    """Read the layout. Raises BadParameter (INDEX-DAMAGED)."""
    if data.startswith(_FAILED):
        return Sealed(session_id, (), data[len(_FAILED) :].decode("utf-8", "replace") or "unknown")
    parts: list[bytes] = []
    position = len(_MAGIC)
    while data.startswith(_MAGIC) and len(parts) < len(_PARTS):
        size = int.from_bytes(data[position : position + 4], "big")
        position += 4 + size
        parts.append(data[position - size : position])
    if len(parts) != len(_PARTS) or position != len(data):
        raise BadParameter("INDEX-DAMAGED", problem="it is cut, or no index")
    return Sealed(session_id, tuple(parts))


def open_filter(sealed: Sealed, key: bytes) -> bytes:
    """Return the filter. Raises BadParameter (INDEX-DAMAGED)."""
    return _open(sealed, 0, key)


def open_lines(sealed: Sealed, key: bytes) -> Lines:
    """Return text and times. Raises BadParameter (INDEX-DAMAGED)."""
    try:
        text = inflate(_open(sealed, 1, key)).decode()
    except UnicodeDecodeError:
        raise BadParameter("INDEX-DAMAGED", problem="its text is damaged") from None
    return Lines(text, inflate(_open(sealed, 2, key)))


def _open(sealed: Sealed, part: int, key: bytes) -> bytes:
    body = sealed.parts[part]
    try:
        return AESGCM(key).decrypt(body[:_NONCE], body[_NONCE:], _about(sealed.session_id, _PARTS[part]))
    except (InvalidTag, ValueError):
        raise BadParameter("INDEX-DAMAGED", problem="it was changed, or is of another cluster") from None


def _about(session_id: str, part: bytes) -> bytes:
    return b"teleport recording index\0" + session_id.encode() + b"\0" + part
