"""This process as a destination: `memory` of tbot.yaml. Nothing survives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from teleport.bot.destinations.names import split


class Memory:
    """Files in memory. What each method raises is in `bot.parts.Destination`."""

    folder = ""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def __str__(self) -> str:
        return "memory"

    async def prepare(self, names: Sequence[str]) -> None:
        """See that the names can be used."""
        for name in names:
            split(name)

    async def check(self) -> None:
        """Memory can be written."""

    async def read(self, name: str) -> bytes | None:
        """Return a file's content."""
        split(name)
        return self._files.get(name)

    async def write(self, files: Mapping[str, bytes]) -> None:
        """Replace files."""
        for name in files:
            split(name)
        self._files.update(files)
