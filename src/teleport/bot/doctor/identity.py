"""Whether the bot has certificates of its own that are whole and valid now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from teleport.base.errors import BadParameter
from teleport.bot.doctor.case import Case
from teleport.bot.held import stamp
from teleport.bot.parts import Destination
from teleport.bot.storage import Found, Storage
from teleport.client.doctor.report import Finding

_LOOKS = 3
"""How often files are read that do not belong together: a bot may be replacing them."""


class Unchanged:
    """A destination in which nothing is written: what is left half done stays for the bot."""

    def __init__(self, place: Destination) -> None:
        self._place = place

    @property
    def folder(self) -> str:
        """See Destination."""
        return self._place.folder

    async def prepare(self, names: Sequence[str]) -> None:
        """Do nothing."""

    async def check(self) -> None:
        """Do nothing."""

    async def read(self, name: str) -> bytes | None:
        """See Destination."""
        return await self._place.read(name)

    async def write(self, files: Mapping[str, bytes]) -> None:
        """Do nothing."""

    def __str__(self) -> str:
        return str(self._place)


async def run(case: Case) -> str | Finding:
    """Raises BadParameter (BOT-STORAGE-*)."""
    case.found = await load(case.storage)
    held = case.found.held
    if held is None:
        return Finding("identity", "skip", "the bot has not joined yet")
    case.trip.cluster = held.identity.cluster
    now = case.now()
    what = f"{held.identity.name}, instance {held.identity.bot_instance_id}, generation {held.identity.generation}"
    if held.expires <= now:
        evidence = f"{what}, ended at {stamp(held.expires)}, now it is {stamp(now)}"
        code = "BOT-IDENT-EXPIRED" if held.identity.renewable else "BOT-IDENT-REJOIN"
        state = "fail" if held.identity.renewable else "warn"
        return Finding.told("identity", code, evidence, state, bot=held.identity.bot_name)  # type: ignore[arg-type]
    if held.valid_after > now:
        evidence = f"{what}, is valid from {stamp(held.valid_after)}, here it is {stamp(now)}"
        return Finding.told("identity", "CLOCK-SKEW", evidence)
    return f"{what}, valid until {stamp(held.expires)}"


async def load(place: Destination) -> Found:
    """Return what a storage holds, without a change to it. Raises BadParameter (BOT-STORAGE-*)."""
    storage = Storage(Unchanged(place))
    for _ in range(_LOOKS - 1):
        try:
            return await storage.load()
        except BadParameter as error:
            if error.code != "BOT-STORAGE-MIXED":
                raise
    return await storage.load()
