"""Verdict: what a bot is told of the lock that is on it. `tbot doctor` and `tbot recover` show it on the bot's machine.

The records are those that `tctl bots recover` reads, and `client.doctor.bot.evidence` reads both: administrators and
the bot never get two verdicts. Of the other side a bot learns nothing but what the verdict says.
"""

from __future__ import annotations

from contextlib import suppress

from teleport.base.errors import NotFound, TeleportError
from teleport.client.doctor.bot import evidence
from teleport.model.events.base import document
from teleport.model.kinds.bot import bot_user
from teleport.model.kinds.bot_instance import BotInstance
from teleport.model.kinds.lock import Lock
from teleport.store.audit.log import AuditLog
from teleport.store.audit.search import Query
from teleport.store.resources import Resources

_STEPS = 100
"""Reads of the audit log at most: whoever holds the bot's certificates can have them made."""


async def explain(
    locked: TeleportError, bot: str, instance: BotInstance | None, resources: Resources, audit: AuditLog
) -> None:
    """Add the fields `verdict`, a code, and `meaning` to a refusal because of a lock (POL-LOCKED), where its records
    say anything. `instance` is the one that was refused."""
    name = locked.fields.get("lock_name", "")
    if not name:
        return
    with suppress(NotFound):  # lifted meanwhile
        lock = await resources.get(Lock, name)
        query = Query(types=frozenset({evidence.EVENT}), user=bot_user(bot), text=name, limit=1, steps=_STEPS)
        events = [document(entry.event) for entry in (await audit.search(query)).entries]
        for found in evidence.read(bot, events, [instance] if instance else [], [lock]):
            if found.lock == lock:
                locked.fields.update(verdict=found.verdict, meaning=dict(found.told())["Verdict"])
