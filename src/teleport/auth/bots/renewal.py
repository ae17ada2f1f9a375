"""Renewal of a bot's own certificates, by the rule of `access.generation`; and what instances say of themselves."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from teleport.access.generation import Renewal as Verdict
from teleport.access.generation import judge
from teleport.api.bot_messages import Renewal, Standing
from teleport.api.caller import Caller
from teleport.api.messages import MadeCertificates
from teleport.auth.authorize import Authorizer
from teleport.auth.bots.certificates import BotCertificates
from teleport.auth.bots.instances import Instances, Proof
from teleport.auth.bots.lockout import Lockout
from teleport.auth.bots.verdict import explain
from teleport.auth.user_certs import PublicKeys, read_keys
from teleport.base.clock import Clock
from teleport.base.errors import AccessDenied, BadParameter, CompareFailed, NotFound
from teleport.base.log import logger
from teleport.model.events.base import caller_fields
from teleport.model.identity import Identity
from teleport.model.kinds.bot_instance import (
    LONGEST_NAME,
    LONGEST_REASON,
    MOST_SERVICES,
    BotInstance,
    Heartbeat,
    ServiceHealth,
)
from teleport.model.kinds.role import Role
from teleport.model.resource import Metadata
from teleport.store.audit.log import AuditLog
from teleport.store.resources import Resources

log = logger("AUTH")

_TRIES = 10
_SHOWN = 80
_WORDS = ("hostname", "join_method", "version", "architecture", "os", "kind")
_STATUSES = ("initializing", "healthy", "unhealthy")


class Renewals:
    """Renews, and listens to what instances say of themselves."""

    def __init__(
        self, resources: Resources, audit: AuditLog, authorizer: Authorizer, certificates: BotCertificates,
        instances: Instances, lockout: Lockout, clock: Clock,
    ) -> None:  # fmt: skip
        self._resources = resources
        self._audit = audit
        self._authorizer = authorizer
        self._certificates = certificates
        self._instances = instances
        self._lockout = lockout
        self._clock = clock

    async def renew(self, caller: Caller, request: Renewal) -> MadeCertificates:
        """Give the next generation, or the last one again. Raises AccessDenied (AUTH-BOT-GENERATION, AUTH-BOT-LATE,
        AUTH-BOT-NOT-RENEWABLE, AUTH-BOT-GONE, POL-*), BadParameter (AUTH-BOT-IDENTITY, PKI-KEY)."""
        shown = _renewable(caller)
        rights = await self._authorizer.rights(caller)
        try:
            for name in shown.roles:
                await self._authorizer.assume(rights, await self._role(name))
        except AccessDenied as error:
            raise await self._certificates.told(error, shown.bot_name) from None
        keys = read_keys(request.ssh_public_key, request.tls_public_key)
        for _ in range(_TRIES):
            try:
                return await self._renew(caller, shown, keys, request)
            except CompareFailed:
                continue  # another request of the same instance came first
        return await self._renew(caller, shown, keys, request)

    async def _renew(self, caller: Caller, shown: Identity, keys: PublicKeys, request: Renewal) -> MadeCertificates:
        instance = await self._instances.find(shown.bot_name, shown.bot_instance_id)
        verdict = _verdict(instance, shown, keys, request.told)
        if instance is None or verdict in ("fork", "mismatch"):
            raise await self._lockout.lock(
                shown, instance, verdict, address=caller.address, hostname=request.hostname, host_id=request.host_id
            )
        last = instance.latest
        if verdict == "late":
            log.info("A renewal arrived that was answered long ago", bot=shown.bot_name, instance=instance.name,
                     stored=last.generation, presented=shown.generation, remote_addr=caller.address)  # fmt: skip
            raise AccessDenied("AUTH-BOT-LATE", stored=last.generation, presented=shown.generation)
        plain = await self._certificates.identity(shown.bot_name, request.expires, caller.address)
        proof = Proof(
            method=last.join_method, token=last.join_token, keys=keys, address=caller.address, expires=plain.expires,
            attributes=last.attributes, hostname=request.hostname[:_SHOWN], host_id=request.host_id[:_SHOWN],
        )  # fmt: skip
        instance = (self._instances.follow if verdict == "next" else self._instances.again)(instance, proof)
        identity = msgspec.structs.replace(
            plain, renewable=True, generation=instance.latest.generation, bot_instance_id=instance.name,
            join_token=shown.join_token,
        )  # fmt: skip
        await self._certificates.check_locks(identity)
        issued = await self._certificates.issue(identity, keys)
        event = msgspec.structs.replace(issued.event, **caller_fields(shown), addr_remote=caller.address)
        await self._resources.update(instance, self._audit.op(event))
        return await self._certificates.made(issued)

    async def _role(self, name: str) -> Role:
        try:
            return await self._resources.get(Role, name)
        except NotFound:
            return Role(version="v7", metadata=Metadata(name=name))

    async def beat(self, caller: Caller, said: Heartbeat, health: Sequence[ServiceHealth]) -> None:
        """Note what an instance says of itself and of its services. Raises BadParameter (AUTH-BOT-IDENTITY,
        AUTH-BOT-HEALTH), NotFound (AUTH-BOT-NO-INSTANCE), AccessDenied (POL-LOCKED, AUTH-BOT-GONE)."""
        shown = _of_instance(caller)
        await self._certificates.check_locks(shown)
        _check_health(health)
        heard = msgspec.structs.replace(said, **{name: getattr(said, name)[:_SHOWN] for name in _WORDS})
        noted = tuple(msgspec.structs.replace(each, updated_at=each.updated_at or self._clock.now()) for each in health)
        for left in reversed(range(_TRIES)):
            instance = await self._instance(shown)
            try:
                await self._resources.update(self._instances.beat(instance, heard, noted))
                return
            except CompareFailed:
                if not left:
                    raise

    async def standing(self, caller: Caller) -> Standing:
        """Return what the caller's own instance was last given. Raises BadParameter (AUTH-BOT-IDENTITY), NotFound
        (AUTH-BOT-NO-INSTANCE), AccessDenied (POL-LOCKED, with what the records of the lock point to; AUTH-BOT-GONE)."""
        shown = _of_instance(caller)
        try:
            await self._certificates.check_locks(shown)
        except AccessDenied as error:
            instance = await self._instances.find(shown.bot_name, shown.bot_instance_id)
            await explain(error, shown.bot_name, instance, self._resources, self._audit)
            raise
        last = (await self._instance(shown)).latest
        return Standing(
            generation=last.generation, public_key=last.public_key, authenticated_at=last.authenticated_at,
            address=last.addr_remote, hostname=last.hostname,
        )  # fmt: skip

    async def _instance(self, shown: Identity) -> BotInstance:
        found = await self._instances.find(shown.bot_name, shown.bot_instance_id)
        if found is None:
            await self._certificates.user(shown.bot_name)  # says so where the bot itself is gone
            raise NotFound("AUTH-BOT-NO-INSTANCE", bot=shown.bot_name, instance=shown.bot_instance_id)
        return found


def _verdict(instance: BotInstance | None, shown: Identity, keys: PublicKeys, told: int) -> Verdict:
    if instance is None:
        return "mismatch"
    kept = {each.generation: each.keys for each in instance.status.latest_authentications}
    return judge(
        instance.latest.generation, instance.latest.keys.encode(), shown.generation, keys.digest.encode(),
        followed=kept.get(shown.generation + 1, "").encode(), told=told,
    )  # fmt: skip


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


def _check_health(health: Sequence[ServiceHealth]) -> None:
    if len(health) > MOST_SERVICES:
        raise BadParameter("AUTH-BOT-HEALTH", problem=f"it speaks of more than {MOST_SERVICES} services")
    for each in health:
        if not 0 < len(each.name.encode()) <= LONGEST_NAME:
            raise BadParameter("AUTH-BOT-HEALTH", problem=f"a service has a name of 1 to {LONGEST_NAME} bytes")
        if len(each.reason.encode()) > LONGEST_REASON:
            raise BadParameter("AUTH-BOT-HEALTH", problem=f"a reason has at most {LONGEST_REASON} bytes")
        if each.status not in _STATUSES:
            raise BadParameter("AUTH-BOT-HEALTH", problem=f"a status is one of {', '.join(_STATUSES)}")
