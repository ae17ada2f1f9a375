"""Decoded: resources that were read before, by the revision at which they were read.

A stored value never changes under its revision, and resources are frozen: who reads the same one again gets the same
object. That makes roles, authorities and long lists cheap to read without making any of them older than the store.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from teleport.model.resource import Resource
from teleport.store.backend import Item, Revision

MOST_BYTES = 16 * 1024 * 1024
"""Bytes of JSON whose resources are kept; in memory they take several times as much."""


class Decoded:
    """Keeps what was used last."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._bytes = 0
        self._kept: OrderedDict[str, tuple[Revision, int, Resource[Any]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, item: Item, decode: Callable[[Item], Resource[Any]]) -> Resource[Any]:
        """Return the resource in `item`, decoded now or before. Raises what `decode` raises."""
        known = self._kept.get(item.key)
        if known is not None and known[0] == item.revision:
            self._kept.move_to_end(item.key)
            return known[2]
        resource = decode(item)
        self._bytes += len(item.value) - (known[1] if known else 0)
        self._kept[item.key] = (item.revision, len(item.value), resource)
        self._kept.move_to_end(item.key)
        while self._bytes > self._most:
            _, (_, size, _) = self._kept.popitem(last=False)
            self._bytes -= size
        return resource

    def forget(self, key: str) -> None:
        """The resource is gone from the store: what comes and goes all day must not fill the room of what stays."""
        known = self._kept.pop(key, None)
        if known is not None:
            self._bytes -= known[1]
