"""Evidence: what the cluster knows of a bot that is locked, and what it points to.

A pure reading of the events `cert.generation_mismatch`, of the bot's instances and of locks, for `tctl bots recover`
and for doctors. The addresses were seen by the Auth Service; where somebody says that they run, nobody has checked. So
other addresses, or other hosts, are taken for a theft until somebody knows better; the same address never proves that
there was none: whoever comes through the same router, or has broken into the host itself, looks like the bot.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from teleport.access.locks import is_of_mismatch
from teleport.model.kinds.bot import bot_user
from teleport.model.kinds.bot_instance import BotInstance
from teleport.model.kinds.lock import Lock, LockTarget

EVENT = "cert.generation_mismatch"
Verdict = Literal["BOT-STOLEN", "BOT-GEN-MISMATCH", "BOT-UNLOCK-INCOMPLETE", "BOT-LOCKED"]
"""BOT-STOLEN: two places hold the certificates. BOT-GEN-MISMATCH: one place showed old ones. BOT-UNLOCK-INCOMPLETE: the
lock is gone, and the instance still counts. BOT-LOCKED: a lock of another origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two who showed certificates of an instance."""

    address: str
    hostname: str
    """As they said; empty: unknown."""
    time: dt.datetime | None

    def __str__(self) -> str:
        when = f" at {self.time.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}" if self.time else ""
        return f"{self.address or 'an unknown address'}{f' ({self.hostname})' if self.hostname else ''}{when}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of one lock, or of one instance that somebody has unlocked half."""

    verdict: Verdict
    bot: str
    instance: str = ""
    """UUID; empty where it is not known."""
    reason: str = ""
    """`fork` or `mismatch`, as the event says."""
    stored: int = 0
    presented: int = 0
    renewed: Side | None = None
    """Who renewed last."""
    refused: Side | None = None
    """Who came after that with certificates that were not the last ones."""
    lock: Lock | None = None
    elsewhere: bool = False
    """Whether the two are in different places, or nobody can say."""

    @property
    def own(self) -> bool:
        """Whether the cluster itself made the lock, because of certificates in two places."""
        return self.verdict != "BOT-LOCKED" or _is_own(self.lock)

    def told(self) -> Iterator[tuple[str, str]]:
        """Yield what there is to show, as names and values."""
        if self.instance:
            yield "Instance", f"{self.bot}/{self.instance}"
        if self.renewed is not None and self.refused is not None:
            yield "Renewed last", f"generation {self.stored} by {self.renewed}"
            yield "Refused", f"generation {self.presented} by {self.refused}"
        if self.lock is not None:
            yield "Lock", f"{self.lock.name}: {self.lock.spec.message}"
        yield "Verdict", f"{self.reason + ', ' if self.reason else ''}{self.verdict}: {self._meaning()}"

    def _meaning(self) -> str:
        if self.verdict == "BOT-STOLEN":
            return "two places hold the same certificates"
        if self.verdict == "BOT-LOCKED":
            return "there is no record of what happened" if self.own else "somebody has locked the bot"
        what = "two keys were made for one generation" if self.reason == "fork" else "certificates of before were shown"
        if self.verdict == "BOT-UNLOCK-INCOMPLETE":
            return f"{what}, the lock is gone, and the instance has not been replaced"
        return f"{what}, from one place: two programs with one folder, a folder put back, or a crash while saving"


def read(
    bot: str, events: Sequence[Mapping[str, Any]], instances: Sequence[BotInstance], locks: Sequence[Lock]
) -> tuple[Evidence, ...]:
    """Return what is open with a bot, the newest first; nothing, if nothing is. `events` are the audit log's documents,
    `instances` and `locks` may be those of every bot."""
    own = [each for each in instances if each.spec.bot_name == bot]
    by_name = {lock.name: lock for lock in locks}
    mine = [event for event in events if event.get("event") == EVENT and event.get("bot_name") == bot]
    found, seen, shown = list[Evidence](), set[str](), set[str]()
    for event in sorted(mine, key=lambda event: str(event.get("time", "")), reverse=True):
        lock, instance = by_name.get(str(event.get("lock", ""))), str(event.get("bot_instance_id", ""))
        if lock is None and (instance in seen or not _goes_on(instance, event, own, locks)):
            continue
        seen.add(instance)
        shown.add(lock.name if lock else "")
        found.append(_evidence(bot, event, instance, lock))
    others = [lock for lock in locks if lock.name not in shown and _is_about(lock, bot, own)]
    return (*found, *(_without_record(bot, lock) for lock in others))


def _evidence(bot: str, event: Mapping[str, Any], instance: str, lock: Lock | None) -> Evidence:
    renewed = Side(
        address=str(event.get("other_addr_remote", "")), hostname=str(event.get("other_hostname", "")),
        time=_time(event.get("other_time")),
    )  # fmt: skip
    refused = Side(
        address=str(event.get("addr.remote", "")), hostname=str(event.get("hostname", "")),
        time=_time(event.get("time")),
    )  # fmt: skip
    stored, elsewhere = int(event.get("stored", 0)), _differ(renewed, refused)
    verdict: Verdict = "BOT-STOLEN" if elsewhere else "BOT-GEN-MISMATCH"
    return Evidence(
        verdict=verdict if lock else "BOT-UNLOCK-INCOMPLETE", bot=bot, instance=instance,
        reason=str(event.get("reason", "")), stored=stored, presented=int(event.get("presented", 0)), renewed=renewed,
        refused=refused, lock=lock, elsewhere=elsewhere,
    )  # fmt: skip


def _without_record(bot: str, lock: Lock) -> Evidence:
    instance = lock.spec.target.bot_instance_id
    return Evidence(verdict="BOT-LOCKED", bot=bot, instance=instance, lock=lock, elsewhere=True)


def _differ(one: Side, other: Side) -> bool:
    """Whether two are in different places, as far as anything is known of both."""
    places = (_ip(one.address), _ip(other.address)), (one.hostname, other.hostname)
    return any(here and there and here != there for here, there in places)


def _ip(address: str) -> str:
    """Return the address without its port, which every connection has a new one of."""
    for text in (address, address.rpartition(":")[0]):
        try:
            found = ipaddress.ip_address(text.strip("[]"))
        except ValueError:
            continue
        return str(getattr(found, "ipv4_mapped", None) or found)
    return address


def shuts(lock: Lock, instance: BotInstance) -> bool:
    """Whether a lock is about this instance, and lasts as long as it: as the one that a recovery leaves."""
    until, end = lock.spec.expires, instance.metadata.expires
    lasts = until is None or (end is not None and until >= end)
    return lock.spec.target == LockTarget(bot_instance_id=instance.name) and lasts


def _goes_on(instance: str, event: Mapping[str, Any], own: Sequence[BotInstance], locks: Sequence[Lock]) -> bool:
    """Whether an instance is still there, nothing shuts it, and no other one has come since the event."""
    since = _time(event.get("time"))
    begun = [each.first.authenticated_at for each in own if each.name != instance]
    replaced = since is not None and any(when is not None and when > since for when in begun)
    left = [each for each in own if each.name == instance and not any(shuts(lock, each) for lock in locks)]
    return not replaced and bool(left)


def _is_about(lock: Lock, bot: str, own: Sequence[BotInstance]) -> bool:
    """Whether a lock refuses the bot, or an instance of it that would not do without."""
    target = lock.spec.target
    return target.user == bot_user(bot) or (_is_own(lock) and target.bot_instance_id in {each.name for each in own})


def _is_own(lock: Lock | None) -> bool:
    return lock is not None and is_of_mismatch(lock)


def _time(said: object) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(str(said))
    except ValueError:
        return None
