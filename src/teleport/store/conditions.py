"""What every driver decides in the same way: keys, conditions, the range of a prefix.

Here are pure functions over the words of `store.backend`; drivers keep the bytes.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from teleport.base.errors import AlreadyExists, BadParameter, CompareFailed, NotFound
from teleport.store.backend import Absent, Append, At, Condition, Op, Prune, Put, Revision

_CONTROL = re.compile("[\x00-\x1f]")
_LAST = 0x10FFFF
_BEFORE_SURROGATES, _AFTER_SURROGATES = 0xD7FF, 0xE000


def check_ops(ops: Sequence[Op]) -> None:
    """Raise BadParameter (STORE-KEY, STORE-VALUE) for what no driver can keep."""
    for op in ops:
        if isinstance(op, Append | Prune):
            _check_text(op.log)
            continue
        _check_text(op.key)
        if not op.key.startswith("/"):
            raise BadParameter("STORE-KEY", key=op.key[:100])
        if isinstance(op, Put) and op.expires is not None and op.expires.tzinfo is None:
            raise BadParameter("STORE-VALUE", problem=f"the expiry of {op.key[:100]} has no time zone")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadParameter("STORE-KEY", key=ascii(text[:100])) from None
    if not text or _CONTROL.search(text):
        raise BadParameter("STORE-KEY", key=text[:100])


def judge(key: str, when: Condition, found: Revision | None) -> None:
    """Raise when the condition does not hold for a key whose unexpired item has the revision `found`.

    Raises AlreadyExists (STORE-EXISTS), NotFound (STORE-NOT-FOUND) or CompareFailed (STORE-COMPARE).
    """
    if when is None:
        return
    if isinstance(when, Absent):
        if found is not None:
            raise AlreadyExists("STORE-EXISTS", key=key)
    elif found is None:
        raise NotFound("STORE-NOT-FOUND", key=key)
    elif isinstance(when, At) and when.revision != found:
        raise CompareFailed("STORE-COMPARE", key=key)


def expired(expires: dt.datetime | None, now: dt.datetime) -> bool:
    """Say whether an item with this expiry is gone at `now`; the moment itself is too late."""
    return expires is not None and expires <= now


def end_of(prefix: str) -> str:
    """Return the smallest text above every text that starts with `prefix`; empty when there is none.

    Both drivers order keys by code point, which is also the order of their bytes in UTF-8 (RFC 3629, section 1).
    """
    kept = prefix.rstrip(chr(_LAST))
    if not kept:
        return ""
    following = ord(kept[-1]) + 1
    if following == _BEFORE_SURROGATES + 1:
        following = _AFTER_SURROGATES
    return kept[:-1] + chr(following)
