"""Which of two versions is newer (Semantic Versioning 2.0.0, section 11), and which work together."""

from __future__ import annotations

import re
from typing import TypeAlias

from teleport.base.errors import BadParameter, NotSupported

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


def oldest(version: str) -> str:
    """Return the oldest version that works with `version`: the first of the major before. Raises BadParameter
    (KIND-VERSION-ORDER)."""
    return f"{max(ordered(version)[0] - 1, 0)}.0.0"


def check_age(ours: str, theirs: str, *, who: str, least: str = "") -> None:
    """Check whether `who`, of the version `ours`, is new enough for a cluster of the version `theirs`, which says what
    its oldest clients are (`least`) or has the usual rule. What is no version is not compared.

    Raises NotSupported (VER-TOO-OLD)."""
    try:
        own, bound = ordered(ours), ordered(least or oldest(theirs))
    except BadParameter:
        return
    if own < bound:
        raise NotSupported("VER-TOO-OLD", who=who, version=ours, server=theirs, least=least or oldest(theirs))


def check_fit(ours: str, theirs: str, *, who: str, least: str = "") -> None:
    """As `check_age`, and whether `who` is not of a later major version than the cluster.

    Raises NotSupported (VER-TOO-OLD, VER-TOO-NEW)."""
    check_age(ours, theirs, who=who, least=least)
    try:
        newer = ordered(ours)[0] > ordered(theirs)[0]
    except BadParameter:
        return
    if newer:
        raise NotSupported("VER-TOO-NEW", who=who, version=ours, server=theirs)


def _identifier(part: str) -> tuple[bool, int, str]:
    """Numbers come before words, and in the order of numbers."""
    return (False, int(part), "") if part.isdigit() else (True, 0, part)
