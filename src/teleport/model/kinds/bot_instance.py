"""bot_instance: one life of a bot, from a join on: its certificates, of which each follows from the one before.

The Auth Service writes it with each join and renewal; it ends a little after the certificates that were given last.
The last authentication says which generation was given to which key (`access.generation`).
"""

from __future__ import annotations

import datetime as dt

from teleport.base.struct import Struct
from teleport.model.naming import check_name
from teleport.model.resource import Column, Resource, Time, kind

GRACE = dt.timedelta(minutes=5)
"""How much longer than its certificates one is known."""
MOST = 10
"""Authentications and heartbeats that are kept."""
LONGEST_NAME, LONGEST_REASON, MOST_SERVICES = 64, 256, 200
"""Bytes of what is said of one service of a bot, and how many services one has."""


class Authentication(Struct, frozen=True, kw_only=True):
    """A join or a renewal."""

    authenticated_at: Time | None = None
    join_method: str = ""
    join_token: str = ""
    """Masked where the name is a secret."""
    generation: int = 0
    public_key: str = ""
    """Key of the TLS certificate: SubjectPublicKeyInfo, DER in base64."""
    keys: str = ""
    """Digest of all keys that were certified, SSH and TLS."""
    addr_remote: str = ""
    """From where."""
    hostname: str = ""
    """Where it said that it runs, which nobody has checked."""
    host_id: str = ""
    """Which machine it said that is, which nobody has checked either."""
    attributes: dict[str, str] = {}
    """What the proof of the join method said."""


class Heartbeat(Struct, frozen=True, kw_only=True):
    """What a bot said of itself."""

    recorded_at: Time | None = None
    hostname: str = ""
    is_startup: bool = False
    uptime: float = 0.0
    """Seconds."""
    one_shot: bool = False
    join_method: str = ""
    version: str = ""
    architecture: str = ""
    os: str = ""
    kind: str = ""
    """What runs the bot: `tbot`, or a program that has one inside."""


class ServiceHealth(Struct, frozen=True, kw_only=True):
    """How one service of a bot is."""

    name: str = ""
    status: str = ""
    """`initializing`, `healthy` or `unhealthy`."""
    reason: str = ""
    updated_at: Time | None = None


class BotInstanceSpec(Struct, frozen=True, kw_only=True):
    """Whose life it is."""

    bot_name: str = ""
    instance_id: str = ""
    previous_instance_id: str = ""


class BotInstanceStatus(Struct, frozen=True, kw_only=True):
    """What is known of it."""

    initial_authentication: Authentication | None = None
    latest_authentications: tuple[Authentication, ...] = ()
    """Oldest first."""
    initial_heartbeat: Heartbeat | None = None
    latest_heartbeats: tuple[Heartbeat, ...] = ()
    """Oldest first."""
    service_health: tuple[ServiceHealth, ...] = ()
    """As the last heartbeat said."""


@kind(
    key="bot_instances",
    versions=("v1",),
    aliases=("bot_instances",),
    writable=("rm",),
    owner=lambda instance: str(instance.spec.bot_name),
    columns=(
        Column("ID", lambda instance: str(instance.title)),
        Column("Join Method", lambda instance: str(instance.latest.join_method)),
        Column("Hostname", lambda instance: str(instance.hostname)),
        Column("Joined", lambda instance: _moment(instance.first.authenticated_at)),
        Column("Last Seen", lambda instance: _moment(instance.last_seen)),
        Column("Generation", lambda instance: str(instance.latest.generation)),
    ),
)
class BotInstance(Resource[BotInstanceSpec], frozen=True, kw_only=True, tag="bot_instance"):
    """An instance; its name is its UUID."""

    spec: BotInstanceSpec = BotInstanceSpec()
    status: BotInstanceStatus = BotInstanceStatus()

    def check(self) -> None:
        """Raise BadParameter (KIND-NAME) for values out of grammar."""
        check_name("bot", self.spec.bot_name)

    @property
    def title(self) -> str:
        """How people name it: `bot/uuid`."""
        return f"{self.spec.bot_name}/{self.name}"

    @property
    def first(self) -> Authentication:
        """The join."""
        return self.status.initial_authentication or Authentication()

    @property
    def latest(self) -> Authentication:
        """The last join or renewal."""
        found = self.status.latest_authentications
        return found[-1] if found else self.first

    @property
    def hostname(self) -> str:
        """Where it said last that it runs; empty if it never did."""
        beats = self.status.latest_heartbeats
        return (beats[-1].hostname if beats else "") or self.latest.hostname

    @property
    def last_seen(self) -> dt.datetime | None:
        """When it was last heard of."""
        beats = self.status.latest_heartbeats
        heard = [self.latest.authenticated_at, beats[-1].recorded_at if beats else None]
        return max((each for each in heard if each is not None), default=None)


def _moment(when: dt.datetime | None) -> str:
    return when.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if when else ""
