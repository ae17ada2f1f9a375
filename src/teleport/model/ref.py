"""Ref: how people name resources on a command line.

`role/dev`, `role dev`, `cert_authority/host/example.com`, `bot_instance/example/<uuid>`, `roles,users`, `all`. A
backslash before a comma keeps it in a name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from teleport.base.errors import BadParameter
from teleport.model.resource import KindInfo, Resource, every, resolve

_COMMA = re.compile(r"(?<!\\),")
_MAX = 1000
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""Names of what belongs to somebody; any other word alone is its owner."""


class Ref(NamedTuple):
    """A kind, and within it one resource, or all of a sub-kind or of an owner, or all."""

    info: KindInfo
    sub_kind: str = ""
    name: str = ""
    owner: str = ""
    """What it must belong to, where that was said."""

    @property
    def title(self) -> str:
        """The name, with the owner before it where that was said."""
        return f"{self.owner}/{self.name}" if self.owner else self.name

    def belongs(self, found: Resource[Any]) -> bool:
        """Whether a resource belongs to the owner that was said, if any was."""
        return not self.owner or (self.info.owner is not None and self.info.owner(found) == self.owner)

    def __str__(self) -> str:
        return "/".join(
            part.replace(",", "\\,") for part in (self.info.name, self.sub_kind, self.owner, self.name) if part
        )


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
    if len(rest) > (2 if info.by_sub_kind or info.owner else 1):
        raise BadParameter("KIND-REF", word=word[:60], problem=f"it has more parts than a {info.name} has")
    if info.by_sub_kind:
        return Ref(info, *rest)
    if info.owner and rest and (len(rest) == 2 or not _UUID.fullmatch(rest[0])):
        return Ref(info, "", rest[1] if len(rest) == 2 else "", owner=rest[0])
    return Ref(info, "", rest[0] if rest else info.singleton)
