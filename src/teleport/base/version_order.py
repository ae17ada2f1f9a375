"""Which of two versions is newer (Semantic Versioning 2.0.0, section 11)."""

from __future__ import annotations

import re
from typing import TypeAlias

from teleport.base.errors import BadParameter

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_WORDS = r"[0-9A-Za-z-]{1,20}(?:\.[0-9A-Za-z-]{1,20}){0,9}"
_VERSION = re.compile(rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_WORDS}))?(?:\+{_WORDS})?")

Ordered: TypeAlias = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def ordered(text: str) -> Ordered:
    """Return what compares like the version: `v16.2.0`, `16.2.0-rc.1`; what was built makes no difference.

    Raises BadParameter (KIND-VERSION-ORDER)."""
    found = _VERSION.fullmatch(text)
    if found is None:
        raise BadParameter("KIND-VERSION-ORDER", version=ascii(text[:60])[1:-1])
    major, minor, patch, before = found.groups()
    parts = tuple(_identifier(part) for part in before.split(".")) if before else ()
    return int(major), int(minor), int(patch), before is None, parts


def _identifier(part: str) -> tuple[bool, int, str]:
    """Numbers come before words, and in the order of numbers."""
    return (False, int(part), "") if part.isdigit() else (True, 0, part)
