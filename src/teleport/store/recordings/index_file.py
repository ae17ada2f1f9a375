"""The file of an index beside its recording: three parts, each sealed for itself with AES-256-GCM.

Layout: `TSI1`, the lengths of filter, text and times (4 bytes each, big-endian), then these: nonce (12) and
ciphertext each. What is sealed with each part names the session and the part, so that none can stand in the
place of another. A recording that could not be drawn has `TSIX` and the reason instead: that it failed is no secret.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.store.recordings.index_contents import Contents
from teleport.store.recordings.index_lines import Lines, inflate

_MAGIC, _FAILED = b"TSI1", b"TSIX"
_PARTS = (b"filter", b"text", b"times")
_NONCE = 12
KEY_BYTES = 32
HEAD = 16
"""Bytes before the first part."""
LARGEST_PART = 64 * 1024 * 1024


class Sealed(NamedTuple):
    """The parts of a file, still sealed."""

    session_id: str
    parts: tuple[bytes, ...]
    problem: str = ""
    """Why there is no index; the parts are empty then."""


def seal(session_id: str, contents: Contents, key: bytes, entropy: Entropy) -> bytes:
    """Return the file of an index."""
    box = AESGCM(key)
    bodies = []
    for name, content in zip(_PARTS, (contents.filter, contents.text, contents.times), strict=True):
        nonce = entropy.token(_NONCE)
        bodies.append(nonce + box.encrypt(nonce, content, _about(session_id, name)))
    return b"".join([_MAGIC, *(len(body).to_bytes(4, "big") for body in bodies), *bodies])


def failed(problem: str) -> bytes:
    """Return the file for a recording of which there can be no index."""
    return _FAILED + problem.encode("utf-8", "replace")[:500]


def sizes(head: bytes) -> tuple[int, ...]:
    """Read the first HEAD bytes of a file: the lengths of its parts; none for a recording that has no index.

    Raises BadParameter (INDEX-DAMAGED).
    """
    if head.startswith(_FAILED):
        return ()
    if len(head) < HEAD or not head.startswith(_MAGIC):
        raise BadParameter("INDEX-DAMAGED", problem="it is cut, or no index")
    found = tuple(int.from_bytes(head[start : start + 4], "big") for start in range(len(_MAGIC), HEAD, 4))
    if max(found) > LARGEST_PART:
        raise BadParameter("INDEX-DAMAGED", problem="a part is larger than any can be")
    return found


def read(session_id: str, data: bytes) -> Sealed:
    """Read a whole file. Raises BadParameter (INDEX-DAMAGED)."""
    lengths = sizes(data[:HEAD])
    if not lengths:
        return Sealed(session_id, (), data[len(_FAILED) :].decode("utf-8", "replace") or "unknown")
    if HEAD + sum(lengths) != len(data):
        raise BadParameter("INDEX-DAMAGED", problem="it is cut")
    edges = [HEAD + sum(lengths[:number]) for number in range(len(lengths) + 1)]
    return Sealed(session_id, tuple(data[start:stop] for start, stop in itertools.pairwise(edges)))


def open_filter(sealed: Sealed, key: bytes) -> bytes:
    """Return the filter. Raises BadParameter (INDEX-DAMAGED)."""
    return open_part(sealed.session_id, 0, sealed.parts[0], key)


def open_text(sealed: Sealed, key: bytes) -> str:
    """Return the text. Raises BadParameter (INDEX-DAMAGED)."""
    try:
        return inflate(open_part(sealed.session_id, 1, sealed.parts[1], key)).decode()
    except UnicodeDecodeError:
        raise BadParameter("INDEX-DAMAGED", problem="its text is damaged") from None


def open_lines(sealed: Sealed, key: bytes, text: str | None = None) -> Lines:
    """Return text and times; the text may be given. Raises BadParameter (INDEX-DAMAGED)."""
    times = inflate(open_part(sealed.session_id, 2, sealed.parts[2], key))
    return Lines(open_text(sealed, key) if text is None else text, times)


def open_part(session_id: str, part: int, body: bytes, key: bytes) -> bytes:
    """Open one part: 0 filter, 1 text, 2 times. Raises BadParameter (INDEX-DAMAGED)."""
    try:
        return AESGCM(key).decrypt(body[:_NONCE], body[_NONCE:], _about(session_id, _PARTS[part]))
    except (InvalidTag, ValueError):
        raise BadParameter("INDEX-DAMAGED", problem="it was changed, or is of another cluster") from None


def _about(session_id: str, part: bytes) -> bytes:
    return b"teleport recording index\0" + session_id.encode() + b"\0" + part
