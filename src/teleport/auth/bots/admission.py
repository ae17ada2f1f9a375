"""Admission of a bot that joins: a first certificate, or the next one of an instance that joins again."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import msgspec

from teleport.access.generation import Renewal as Verdict
from teleport.access.generation import judge
from teleport.api.messages import MadeCertificates
from teleport.auth.bots.certificates import BotCertificates
from teleport.auth.bots.instances import Instances, Proof
from teleport.auth.bots.lockout import COUNTED, Lockout
from teleport.auth.user_certs import read_keys
from teleport.base.errors import CompareFailed
from teleport.base.log import logger
from teleport.model.events.base import Event, caller_fields
from teleport.model.identity import Identity
from teleport.model.kinds.bot_instance import BotInstance
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Absent, At, Op
from teleport.store.resources import Resources

log = logger("AUTH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A bot whose proof of a join method holds."""

    bot: str
    method: str
    token: str = field(repr=False)
    shown_token: str
    ssh_public_key: str
    tls_public_key: str
    expires: dt.datetime | None
    address: str
    attributes: dict[str, str]
    former: Identity | None = None
    """Who asks, as a certificate of this bot proves it."""
    instance: str = ""
    """The id that a new instance must have; empty: any."""
    again: bool = False
    """Whether `instance` is there already, and the answer that made it was lost."""
    previous: str = ""
    """The instance that it comes after, where no certificate says so."""
    hostname: str = ""
    """Where it says that it runs."""


class Admission:
    """Gives bots their first certificates."""

    def __init__(
        self, resources: Resources, audit: AuditLog, certificates: BotCertificates, instances: Instances,
        lockout: Lockout,
    ) -> None:  # fmt: skip
        self._resources = resources
        self._audit = audit
        self._certificates = certificates
        self._instances = instances
        self._lockout = lockout

    async def admit(self, arrival: Arrival, event: Event, *extra: Op) -> MadeCertificates:
        """Certify, and record it in one commit with `event` and `extra`. Raises AccessDenied (AUTH-BOT-GONE,
        AUTH-BOT-GENERATION, POL-LOCKED), BadParameter (PKI-KEY), CompareFailed (AUTH-JOIN-CHANGED), and what the
        conditions of `extra` raise."""
        keys = read_keys(arrival.ssh_public_key, arrival.tls_public_key)
        plain = await self._certificates.identity(arrival.bot, arrival.expires, arrival.address)
        proof = Proof(
            method=arrival.method, token=arrival.shown_token, keys=keys, address=arrival.address,
            expires=plain.expires, attributes=arrival.attributes, hostname=arrival.hostname,
        )  # fmt: skip
        instance, when = await self._instance(arrival, proof)
        secret = arrival.method == "token"
        identity = msgspec.structs.replace(
            plain, renewable=secret, generation=instance.latest.generation, bot_instance_id=instance.name,
            join_token="" if secret else arrival.token,
        )  # fmt: skip
        await self._certificates.check_locks(identity)
        issued = await self._certificates.issue(identity, keys)
        made = msgspec.structs.replace(issued.event, **caller_fields(identity), addr_remote=arrival.address)
        ops = (self._resources.put_op(instance, when), self._audit.op(made), *extra)
        await self._audit.record(event, *ops)
        return await self._certificates.made(issued)

    async def given(self, bot: str, id: str) -> BotInstance | None:
        """Return the instance that a join made, if its first certificates have never been renewed."""
        found = await self._instances.find(bot, id)
        return found if found is not None and found.latest.generation == 1 else None

    async def _instance(self, arrival: Arrival, proof: Proof) -> tuple[BotInstance, Absent | At]:
        """Return the instance that goes on, where its last certificate is shown, or else a new one."""
        if arrival.again:
            given = await self.given(arrival.bot, arrival.instance)
            if given is None:
                raise CompareFailed("AUTH-JOIN-CHANGED", token=arrival.shown_token)
            return self._instances.again(given, proof), At(int(given.metadata.revision))
        former = arrival.former if arrival.former and arrival.former.bot_name == arrival.bot else None
        if former is not None and arrival.method != "token":
            known = await self._instances.find(arrival.bot, former.bot_instance_id)
            if known is not None or arrival.method in COUNTED:
                known = await self._next(arrival, former, known, proof)
                return known, At(int(known.metadata.revision))
        previous = former.bot_instance_id if former else arrival.previous
        return self._instances.begin(arrival.bot, proof, previous, arrival.instance), Absent()

    async def _next(
        self, arrival: Arrival, former: Identity, known: BotInstance | None, proof: Proof
    ) -> BotInstance:  # fmt: skip
        """Return the instance in the generation that its last certificate leads to. Raises AccessDenied
        (AUTH-BOT-GENERATION)."""
        verdict: Verdict = "mismatch"
        if known is not None:
            last = known.latest
            verdict = judge(last.generation, last.keys.encode(), former.generation, proof.keys.digest.encode())
        if known is None or (verdict in ("fork", "mismatch") and arrival.method in COUNTED):
            raise await self._lockout.lock(
                former, known, verdict, address=arrival.address, hostname=arrival.hostname
            )  # fmt: skip
        if verdict in ("fork", "mismatch"):
            log.warn("A bot showed certificates that are not the last ones of its instance; it has proven anew who it "
                     "is, and is not locked", bot=arrival.bot, instance=known.name, join_method=arrival.method,
                     stored=known.latest.generation, presented=former.generation,
                     remote_addr=arrival.address)  # fmt: skip
        return (self._instances.again if verdict == "again" else self._instances.follow)(known, proof)
