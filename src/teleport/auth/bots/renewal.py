"""Renewal of a bot's own certificates, and what follows when somebody else holds them too.

The rule stands in `access.generation`. Whoever breaks it is not told apart from the one who was robbed: both are
locked out until an administrator has looked.
"""

from __future__ import annotations

import datetime as dt

import msgspec

from teleport.access.generation import Renewal as Verdict
from teleport.access.generation import judge
from teleport.api.bot_messages import Renewal
from teleport.api.caller import Caller
from teleport.api.messages import MadeCertificates
from teleport.auth.authorize import Authorizer
from teleport.auth.bots.certificates import BotCertificates
from teleport.auth.bots.instances import Instances, Proof, key_text
from teleport.auth.user_certs import PublicKeys, read_keys
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_uuid
from teleport.base.errors import AccessDenied, BadParameter, CompareFailed, NotFound, TeleportError
from teleport.base.log import logger
from teleport.model.events.base import caller_fields
from teleport.model.events.bot import GenerationMismatch
from teleport.model.identity import Identity
from teleport.model.kinds.bot import Bot
from teleport.model.kinds.bot_instance import BotInstance, Heartbeat
from teleport.model.kinds.lock import Lock, LockSpec, LockTarget
from teleport.model.kinds.role import Role
from teleport.model.resource import Metadata
from teleport.store.audit.log import AuditLog
from teleport.store.resources import Resources

log = logger("AUTH")

_TRIES = 10
_SHOWN = 80
_WORDS = ("hostname", "join_method", "version", "architecture", "os")


class Renewals:
    """Renews, and listens to what instances say of themselves."""

    def __init__(
        self, resources: Resources, audit: AuditLog, authorizer: Authorizer, certificates: BotCertificates,
        instances: Instances, clock: Clock, entropy: Entropy,
    ) -> None:  # fmt: skip
        self._resources = resources
        self._audit = audit
        self._authorizer = authorizer
        self._certificates = certificates
        self._instances = instances
        self._clock = clock
        self._entropy = entropy

    async def renew(self, caller: Caller, request: Renewal) -> MadeCertificates:
        """Give the next generation, or the last one again. Raises AccessDenied (AUTH-BOT-GENERATION,
        AUTH-BOT-NOT-RENEWABLE, AUTH-BOT-GONE, POL-*), BadParameter (AUTH-BOT-IDENTITY, PKI-KEY)."""
        shown = _renewable(caller)
        rights = await self._authorizer.rights(caller)
        for name in shown.roles:
            await self._authorizer.assume(rights, await self._role(name))
        keys = read_keys(request.ssh_public_key, request.tls_public_key)
        for _ in range(_TRIES):
            try:
                return await self._renew(caller, shown, keys, request.expires)
            except CompareFailed:
                continue  # another request of the same instance came first
        return await self._renew(caller, shown, keys, request.expires)

    async def _renew(
        self, caller: Caller, shown: Identity, keys: PublicKeys, expires: dt.datetime | None
    ) -> MadeCertificates:
        instance = await self._instances.find(shown.bot_name, shown.bot_instance_id)
        verdict: Verdict = "mismatch"
        if instance is not None:
            last = instance.latest
            verdict = judge(last.generation, last.public_key.encode(), shown.generation, key_text(keys.tls).encode())
        if instance is None or verdict in ("fork", "mismatch"):
            raise await self._lock(caller, shown, instance, verdict)
        plain = await self._certificates.identity(shown.bot_name, expires, caller.address)
        if verdict == "next":
            last = instance.latest
            proof = Proof(
                method=last.join_method, token=last.join_token, key=keys.tls, address=caller.address,
                expires=plain.expires, attributes=last.attributes,
            )  # fmt: skip
            instance = self._instances.follow(instance, proof)
        identity = msgspec.structs.replace(
            plain, renewable=True, generation=instance.latest.generation, bot_instance_id=instance.name,
            join_token=shown.join_token,
        )  # fmt: skip
        await self._certificates.check_locks(identity)
        issued = await self._certificates.issue(identity, keys)
        event = msgspec.structs.replace(issued.event, **caller_fields(shown), addr_remote=caller.address)
        if verdict == "next":
            await self._resources.update(instance, self._audit.op(event))
        else:
            await self._audit.record(event)
        return await self._certificates.made(issued)

    async def _role(self, name: str) -> Role:
        try:
            return await self._resources.get(Role, name)
        except NotFound:
            return Role(version="v7", metadata=Metadata(name=name))

    async def _lock(
        self, caller: Caller, shown: Identity, instance: BotInstance | None, verdict: Verdict
    ) -> TeleportError:
        """Lock the bot out, record why, and return what who asks is told."""
        stored = instance.latest.generation if instance else 0
        lock = await self._lock_of(shown)
        other, last = instance, instance.latest if instance else None
        event = GenerationMismatch(
            **caller_fields(shown), stored=stored, presented=shown.generation, reason=verdict, lock=lock.name,
            other_addr_remote=last.addr_remote if last else "", other_hostname=other.hostname if other else "",
            other_time=last.authenticated_at.isoformat() if last and last.authenticated_at else "",
        )  # fmt: skip
        event = msgspec.structs.replace(event, addr_remote=caller.address)
        await self._audit.record(event, self._resources.put_op(lock))
        log.warn("A bot showed certificates that are not the last ones of its instance: it is locked",
                 bot=shown.bot_name, instance=shown.bot_instance_id, stored=stored, presented=shown.generation,
                 remote_addr=caller.address, other_addr=event.other_addr_remote, lock=lock.name)  # fmt: skip
        return AccessDenied(
            "AUTH-BOT-GENERATION", stored=stored, presented=shown.generation, bot=shown.bot_name, lock=lock.name
        )  # fmt: skip

    async def _lock_of(self, shown: Identity) -> Lock:
        try:
            scope = (await self._resources.get(Bot, shown.bot_name)).spec.lock_scope
        except NotFound:
            scope = "user"
        if scope == "instance":
            target, who = LockTarget(bot_instance_id=shown.bot_instance_id), "bot instance"
            name = f"{shown.bot_name}/{shown.bot_instance_id}"
        else:
            target, who, name = LockTarget(user=shown.name), "bot user", shown.name
        quoted = f'"{name}"' if scope == "user" else name
        message = (
            f"The {who} {quoted} has been locked due to a certificate generation mismatch, possibly indicating a "
            "stolen certificate."
        )
        return Lock(
            version="v2", metadata=Metadata(name=new_uuid(self._entropy)),
            spec=LockSpec(target=target, message=message, created_at=self._clock.now(), created_by="Auth"),
        )  # fmt: skip

    async def beat(self, caller: Caller, said: Heartbeat) -> None:
        """Note what an instance says of itself. Raises BadParameter (AUTH-BOT-IDENTITY), NotFound
        (AUTH-BOT-NO-INSTANCE)."""
        shown = _of_instance(caller)
        words = {
            name: getattr(said, name)[:_SHOWN] for name in ("hostname", "join_method", "version", "architecture", "os")
        }
        heard = msgspec.structs.replace(said, **words)
        for left in reversed(range(_TRIES)):
            instance = await self._instances.find(shown.bot_name, shown.bot_instance_id)
            if instance is None:
                raise NotFound("AUTH-BOT-NO-INSTANCE", bot=shown.bot_name, instance=shown.bot_instance_id)
            try:
                await self._resources.update(self._instances.beat(instance, heard))
                return
            except CompareFailed:
                if not left:
                    raise


def _of_instance(caller: Caller) -> Identity:
    identity = caller.known()
    if identity.kind != "bot" or not identity.bot_name:
        raise BadParameter("AUTH-BOT-IDENTITY", problem="identity did not contain bot name")
    if not identity.bot_instance_id:
        raise BadParameter("AUTH-BOT-IDENTITY", problem="identity did not contain bot instance ID")
    return identity


def _renewable(caller: Caller) -> Identity:
    identity = _of_instance(caller)
    if not identity.renewable:
        raise AccessDenied("AUTH-BOT-NOT-RENEWABLE", bot=identity.bot_name)
    if identity.generation <= 0:
        raise BadParameter("AUTH-BOT-IDENTITY", problem="a current identity generation must be provided")
    return identity
