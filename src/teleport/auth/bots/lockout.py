"""Lockout: what follows when certificates of a bot are in two places.

Whoever breaks the rule of `access.generation` is not told apart from the one who was robbed: both are locked out until
an administrator has looked. What is known of both sides goes into the audit log with the lock, in one commit.
"""

from __future__ import annotations

import msgspec

from teleport.access.generation import Renewal as Verdict
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_uuid
from teleport.base.errors import AccessDenied, NotFound
from teleport.base.log import logger
from teleport.model.events.base import caller_fields
from teleport.model.events.bot import GenerationMismatch
from teleport.model.identity import Identity
from teleport.model.kinds.bot import Bot
from teleport.model.kinds.bot_instance import BotInstance
from teleport.model.kinds.lock import Lock, LockTarget
from teleport.store.audit.log import AuditLog
from teleport.store.resources import Resources

log = logger("AUTH")

COUNTED = ("token", "bound_keypair")
"""Join methods whose bots are locked; those of the others prove anew who they are, and a copy proves nothing."""
_SHOWN = 80
_LOCKED = "has been locked due to a certificate generation mismatch, possibly indicating a stolen certificate."


class Lockout:
    """Locks bots out."""

    def __init__(self, resources: Resources, audit: AuditLog, clock: Clock, entropy: Entropy) -> None:
        self._resources = resources
        self._audit = audit
        self._clock = clock
        self._entropy = entropy

    async def lock(
        self,
        shown: Identity,
        instance: BotInstance | None,
        verdict: Verdict,
        *,
        address: str,
        hostname: str = "",
        host_id: str = "",
    ) -> AccessDenied:
        """Lock out the bot that `shown` names, record why, and return what who asks is told. `instance` is what is
        stored of its instance, `address` where who asks is, `hostname` and
        `host_id` where they say that they are."""
        last = instance.latest if instance else None
        stored = last.generation if last else 0
        lock = await self._lock(shown)
        event = GenerationMismatch(
            **caller_fields(shown), stored=stored, presented=shown.generation, reason=verdict, lock=lock.name,
            hostname=hostname[:_SHOWN], host_id=host_id[:_SHOWN],
            other_addr_remote=last.addr_remote if last else "", other_hostname=instance.hostname if instance else "",
            other_host_id=last.host_id if last else "",
            other_time=last.authenticated_at.isoformat() if last and last.authenticated_at else "",
        )  # fmt: skip
        event = msgspec.structs.replace(event, addr_remote=address)
        await self._audit.record(event, self._resources.put_op(lock))
        log.warn("A bot showed certificates that are not the last ones of its instance: it is locked",
                 bot=shown.bot_name, instance=shown.bot_instance_id, stored=stored, presented=shown.generation,
                 remote_addr=address, other_addr=event.other_addr_remote, lock=lock.name)  # fmt: skip
        return AccessDenied(
            "AUTH-BOT-GENERATION", stored=stored, presented=shown.generation, bot=shown.bot_name, lock=lock.name
        )  # fmt: skip

    async def _lock(self, shown: Identity) -> Lock:
        target, who = await self._target(shown)
        name = new_uuid(self._entropy)
        return Lock.against(target, f"The {who} {_LOCKED}", name=name, at=self._clock.now(), by="Auth")

    async def _target(self, shown: Identity) -> tuple[LockTarget, str]:
        """Return whom the lock is for. One instance of a bound key is its token: the key makes new instances."""
        if await self._scope(shown.bot_name) == "user":
            return LockTarget(user=shown.name), f'bot user "{shown.name}"'
        if shown.join_token and not shown.renewable:
            return LockTarget(join_token=shown.join_token), f'join token "{shown.join_token}"'
        target = LockTarget(bot_instance_id=shown.bot_instance_id)
        return target, f"bot instance {shown.bot_name}/{shown.bot_instance_id}"

    async def _scope(self, bot: str) -> str:
        try:
            return (await self._resources.get(Bot, bot)).spec.lock_scope
        except NotFound:
            return "user"
