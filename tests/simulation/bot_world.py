"""A control plane for simulations of bots: the Auth Service's own code over copies of a small store.

Certificates are not real here: what a bot gets is the identity itself in JSON (`Quick...`), because making and reading
certificates takes longer than all the rest, and nothing that is simulated depends on it. Who joins, who renews, which
generation is given, who is locked and what is stored is decided by the same code as ever. With `whole`, certificates
are real, and signed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from teleport.api.messages import Authority, MadeCertificates
from teleport.api.services import bots as bots_api
from teleport.api.services import join as join_api
from teleport.auth.authorities import Authorities
from teleport.auth.authorize import Authorizer
from teleport.auth.bots.admission import Admission
from teleport.auth.bots.certificates import BotCertificates
from teleport.auth.bots.instances import Instances
from teleport.auth.bots.lockout import Lockout
from teleport.auth.bots.renewal import Renewals
from teleport.auth.denials import Denials
from teleport.auth.join import token as token_method
from teleport.auth.join.service import Joining
from teleport.auth.join.tokens import Tokens
from teleport.auth.user_certs import Issued, PublicKeys, UserCertificates
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.bot import held as real
from teleport.bot.identity import OwnIdentity
from teleport.bot.parts import Destination, Held
from teleport.bot.storage import Parts, Storage
from teleport.model.events.cert import CertCreate, CertIdentity
from teleport.model.identity import Identity
from teleport.pki.signer import Signer
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Item
from teleport.store.memory import MemoryBackend
from teleport.store.resources import Resources
from tests.support.auth_cluster import CLUSTER, YieldingBackend, document_of, running
from tests.support.bots import make_bot

_BACK = dt.timedelta(minutes=1)
_HOSTS = (Authority(cluster=CLUSTER, type="host", ssh_keys=("quick",), tls_certificates=("quick",)),)


class _Quick(msgspec.Struct, frozen=True):
    """What stands for both certificates."""

    identity: Identity
    after: dt.datetime
    keys: str


class QuickCertificates(UserCertificates):
    """Issues what stands for certificates."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.clock: Clock = args[3]

    async def issue(self, identity: Identity, public: PublicKeys) -> Issued:
        made = msgspec.json.encode(_Quick(identity, self.clock.now() - _BACK, public.digest)).decode()
        event = CertCreate(cert_type="user", identity=CertIdentity.of(identity), user=identity.name)
        return Issued(identity, made, made, event)


class QuickBotCertificates(BotCertificates):
    """Tells of no authorities but one."""

    async def made(self, issued: Issued) -> MadeCertificates:
        return MadeCertificates(
            ssh_certificate=issued.ssh, tls_certificate=issued.tls, expires=issued.identity.expires, authorities=_HOSTS
        )


def held_of(key: str, made: MadeCertificates) -> Held:
    """Return a key with what stands for its certificates, or with its certificates."""
    if made.tls_certificate.startswith("-----"):
        return real.held_of(key, made)
    return _held(key, made.tls_certificate)


def _held(key: str, text: str) -> Held:
    quick = msgspec.json.decode(text, type=_Quick)
    return Held(
        key=key, ssh_certificate=text, tls_certificate=text, identity=quick.identity, valid_after=quick.after,
        expires=quick.identity.expires, authorities=_HOSTS,
    )  # fmt: skip


@functools.lru_cache(maxsize=64)
def public_keys(key: str) -> tuple[str, str]:
    """Return the public halves of a key."""
    return real.public_keys(key)


@functools.lru_cache(maxsize=64)
def _digest(key: str) -> str:
    from teleport.auth.user_certs import read_keys

    return read_keys(*public_keys(key)).digest


class QuickStorage(Storage):
    """Reads what stands for certificates."""

    def accept(self, held: Held, key: str) -> None:
        quick = msgspec.json.decode(held.tls_certificate, type=_Quick)
        if (held.key, quick.keys) != (key, _digest(key)):
            raise BadParameter("BOT-IDENTITY-REPLY")

    def open(self, parts: Parts, file: str = "") -> Held:
        held = _held(parts.key, parts.tls_certificate)
        self.accept(held, parts.key)
        return held


def own_identity(place: Destination, whole: bool, *args: Any, **kwargs: Any) -> OwnIdentity:
    """Return the bot's own identity with its storage in `place`."""
    own = OwnIdentity(place, *args, **kwargs)
    if not whole:
        own._storage = QuickStorage(place)
    return own


class Auth:
    """One Auth Service: what bots ask of it. Several may share a store."""

    def __init__(
        self, backend: MemoryBackend, name: str, clock: Clock, entropy: Entropy, signer: Signer, whole: bool
    ) -> None:  # fmt: skip
        store, trail = Resources(backend, clock), AuditLog(backend, name, clock, entropy, CLUSTER)
        authorizer = Authorizer(store, Denials(backend, trail, clock, entropy), clock, CLUSTER)
        authorities, tokens = Authorities(store, CLUSTER), Tokens(backend, store, clock)
        users = UserCertificates if whole else QuickCertificates
        certificates = users(authorizer, authorities, signer, clock, entropy, CLUSTER)
        own = (BotCertificates if whole else QuickBotCertificates)(store, certificates, authorities, clock)
        instances, lockout = Instances(store, clock, entropy), Lockout(store, trail, clock, entropy)
        renewals = Renewals(store, trail, authorizer, own, instances, lockout, clock)
        joining = Joining(
            tokens, trail, authorizer, authorities, _absent(), Admission(store, trail, own, instances, lockout),
            {"token": token_method.prove}, clock, entropy, CLUSTER,
        )  # fmt: skip
        self.clock, self.trail, self.store = clock, trail, store
        found = (*join_api.methods(joining), *bots_api.methods(renewals, _absent()))
        self.methods: Mapping[str, Any] = {method.call.path: method for method in found}


def _absent() -> Any:
    """What no bot of a simulation asks for."""
    return None


@functools.cache
def _bootstrapped(fleet: int) -> tuple[dict[str, Item], Signer]:
    """The store of a cluster with a bot that has not joined, and a fleet of others, and who signs for them."""

    async def body() -> tuple[dict[str, Item], Signer]:
        async with running() as cluster:
            await make_bot(cluster)
            for number in range(fleet):
                await cluster.admin.create(document_of("bot", f"fleet-{number}", {"roles": []}))
                spec = {"roles": ["Bot"], "bot_name": f"fleet-{number}"}
                await cluster.admin.create(document_of("token", token_of(number), spec))
            items = dict(cluster.backend._items)
        cluster.signer._closed = False
        return items, cluster.signer

    return asyncio.run(body())


def token_of(number: int) -> str:
    """Return the token of a bot of the fleet."""
    return f"secret-token-of-fleet-{number:06}"


def prepare(fleet: int = 0) -> None:
    """Do what all simulations of this process share."""
    _bootstrapped(fleet)


@contextmanager
def quiet() -> Iterator[None]:
    """Write no log: the thousands of lines of a simulation take longer than what they tell of."""
    ours = logging.getLogger("teleport")  # noqa: TID251 - put back as it was
    before = ours.level
    ours.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        ours.setLevel(before)


def copy_of_store(clock: Clock, fleet: int = 0) -> tuple[MemoryBackend, Signer]:
    """Return a store in which a bot may join, and a fleet of others, and the signer of its authorities."""
    items, signer = _bootstrapped(fleet)
    backend = YieldingBackend(clock, sweep_every=600.0)
    backend._items, backend._keys = dict(items), sorted(items)
    backend._revision = max(item.revision for item in items.values())
    return backend, signer


def digest(seed: int, *words: object) -> int:
    """Return a seed that follows from another."""
    return int.from_bytes(hashlib.sha256(repr((seed, words)).encode()).digest()[:8], "big")
