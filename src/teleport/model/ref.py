"""Ref: how people name resources on a command line.

`role/dev`, `role dev`, `cert_authority/host/example.com`, `roles,users`, `all`. A backslash before a comma
keeps it in a name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from teleport.base.errors import BadParameter
from teleport.model.resource import KindInfo, every, resolve

_COMMA = re.compile(r"(?<!\\),")
_MAX = 1000


class Ref(NamedTuple):
    """A kind, and within it one resource, or all of a sub-kind, or all."""

    info: KindInfo
    sub_kind: str = ""
    name: str = ""

    def __str__(self) -> str:
        return "/".join(part.replace(",", "\\,") for part in (self.info.name, self.sub_kind, self.name) if part)


def refs(words: Sequence[str]) -> list[Ref]:
    """Read the references on a command line. Raises BadParameter (KIND-REF, KIND-UNKNOWN)."""
    if [word.lower() for word in words] == ["all"]:
        return [Ref(info) for info in every()]
    if 2 <= len(words) <= 3 and not any("/" in word or _COMMA.search(word) for word in words):
        return [_ref("/".join(words))]
    parts = [part for word in words for part in _COMMA.split(word)]
    if not parts or len(parts) > _MAX:
        raise BadParameter("KIND-REF", word="", problem="nothing is named" if not parts else "too many are named")
    return [_ref(part) for part in parts]


def ref(word: str) -> Ref:
    """Read a single reference. Raises BadParameter (KIND-REF, KIND-UNKNOWN)."""
    found = refs([word])
    if len(found) != 1:
        raise BadParameter("KIND-REF", word=word[:60], problem="here is room for one resource")
    return found[0]


def _ref(word: str) -> Ref:
    kind, *rest = (part.replace("\\,", ",") for part in word.strip().split("/"))
    if not kind or not all(rest):
        raise BadParameter("KIND-REF", word=word[:60], problem="a part of it is empty")
    info = resolve(kind)
    if len(rest) > (2 if info.by_sub_kind else 1):
        raise BadParameter("KIND-REF", word=word[:60], problem=f"it has more parts than a {info.name} has")
    if info.by_sub_kind:
        return Ref(info, *rest)
    return Ref(info, "", rest[0] if rest else info.singleton)
