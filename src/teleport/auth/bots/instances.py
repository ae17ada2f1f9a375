"""Instances: the record of what each life of a bot was given."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from teleport.auth.user_certs import PublicKeys
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_uuid
from teleport.base.errors import TeleportError
from teleport.model.kinds.bot_instance import (
    GRACE,
    MOST,
    Authentication,
    BotInstance,
    BotInstanceSpec,
    BotInstanceStatus,
    Heartbeat,
    ServiceHealth,
)
from teleport.model.resource import Metadata
from teleport.store.resources import Resources

_ABSENT = ("STORE-RESOURCE-NOT-FOUND", "STORE-RESOURCE-NAME")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How a bot has just proven who it is."""

    method: str
    token: str
    """As it may be shown."""
    keys: PublicKeys
    """What is certified."""
    address: str
    expires: dt.datetime
    """When the certificates end."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    hostname: str = ""
    """Where it says that it runs."""
    host_id: str = ""
    """Which machine it says that is."""


class Instances:
    """Makes and finds instances; who calls it writes them, with what belongs to the same commit."""

    def __init__(self, resources: Resources, clock: Clock, entropy: Entropy) -> None:
        self._resources = resources
        self._clock = clock
        self._entropy = entropy

    async def find(self, bot: str, id: str) -> BotInstance | None:
        """Return the instance of a bot, if there is one of that id."""
        try:
            found = await self._resources.get(BotInstance, id)
        except TeleportError as error:
            if error.code not in _ABSENT:
                raise
            return None
        return found if found.spec.bot_name == bot else None

    def begin(self, bot: str, proof: Proof, previous: str = "", id: str = "") -> BotInstance:
        """Return a new instance, in its first generation; with an `id` of its own, if none is given."""
        first, id = self._authentication(proof, 1), id or new_uuid(self._entropy)
        return BotInstance(
            version="v1", metadata=Metadata(name=id, expires=_end(proof)),
            spec=BotInstanceSpec(bot_name=bot, instance_id=id, previous_instance_id=previous),
            status=BotInstanceStatus(initial_authentication=first, latest_authentications=(first,)),
        )  # fmt: skip

    def follow(self, instance: BotInstance, proof: Proof) -> BotInstance:
        """Return the instance in its next generation."""
        made = self._authentication(proof, instance.latest.generation + 1)
        kept = (*instance.status.latest_authentications, made)[-MOST:]
        status = msgspec.structs.replace(instance.status, latest_authentications=kept)
        return msgspec.structs.replace(instance.with_metadata(expires=_end(proof)), status=status)

    def again(self, instance: BotInstance, proof: Proof) -> BotInstance:
        """Return the instance as it is, for as long as certificates live that are given once more."""
        end = instance.metadata.expires
        return instance.with_metadata(expires=max(end or _end(proof), _end(proof)))

    def beat(self, instance: BotInstance, said: Heartbeat, health: tuple[ServiceHealth, ...]) -> BotInstance:
        """Return the instance with what the bot says of itself and of its services."""
        made = msgspec.structs.replace(said, recorded_at=self._clock.now())
        old = instance.status
        status = msgspec.structs.replace(
            old,
            initial_heartbeat=old.initial_heartbeat or made,
            latest_heartbeats=(*old.latest_heartbeats, made)[-MOST:],
            service_health=health,
        )
        return msgspec.structs.replace(instance, status=status)

    def _authentication(self, proof: Proof, generation: int) -> Authentication:
        return Authentication(
            authenticated_at=self._clock.now(), join_method=proof.method, join_token=proof.token,
            generation=generation, public_key=base64.b64encode(proof.keys.tls).decode(), keys=proof.keys.digest,
            addr_remote=proof.address, attributes=dict(proof.attributes), hostname=proof.hostname,
            host_id=proof.host_id,
        )  # fmt: skip


def _end(proof: Proof) -> dt.datetime:
    return (proof.expires + GRACE).replace(microsecond=0)
