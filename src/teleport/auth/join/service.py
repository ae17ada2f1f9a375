"""Joining: the one conversation in which hosts and bots get their first certificates, whatever the join method.

The order: bounds, who asks, token, method, role; then keys and proof; then locks; then certificates and the record of
the join, in one commit with what the join method changes. Who is turned away learns what the reference says; log and
audit log learn the rest. A proxy that passes on what another says lends nothing: its certificate counts for nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from teleport.access import locks
from teleport.access.system import host_id, system_roles
from teleport.api.caller import INSTANCE, PROXY, Caller, check_validity
from teleport.api.join_messages import BOT, SUITE, Accepted, ClusterCA, Init, Joined, Start
from teleport.api.messages import HostRequest, MadeCertificates
from teleport.api.services.join import Talk
from teleport.auth.authorities import Authorities, public
from teleport.auth.authorize import Authorizer
from teleport.auth.bots.admission import Admission, Arrival
from teleport.auth.host_certs import LONGEST, HostCertificateIssuer
from teleport.auth.join.bounds import Bounds
from teleport.auth.join.method import Prove, Proven, Request
from teleport.auth.join.tokens import Missing, Tokens, Use
from teleport.auth.user_certs import address_of, locked, read_keys
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_uuid
from teleport.base.errors import AccessDenied, BadParameter, CompareFailed, NotFound, TeleportError
from teleport.base.log import logger
from teleport.base.version_order import check_age
from teleport.model.events.base import caller_fields
from teleport.model.events.join import BotJoin, InstanceJoin
from teleport.model.identity import Identity
from teleport.model.kinds.token import LOCAL_SERVICES, Token, mask
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Check, Op, Present, Put
from teleport.store.resources import info_of, key_of
from teleport.version import VERSION

log = logger("AUTH")

_SUBJECT = "host_cert"
_SHOWN = 80
"""Characters of what a stranger says about themselves that go into log and record."""


@dataclass(slots=True)
class _Attempt:
    """One join, and what is known of it so far."""

    init: Init
    address: str
    former: Identity | None = None
    """Which host asks, as an Instance certificate proves it."""
    bot: Identity | None = None
    """Which bot asks, as its certificate proves it."""
    token: Token | None = None
    used: Missing | None = None
    """The token was used up, perhaps by the one who asks: their keys will tell."""
    reason: str = ""
    """What who asks does not learn."""
    attributes: Mapping[str, str] | None = None
    host_id: str = ""

    @property
    def shown_name(self) -> str:
        return ascii(self.init.host_name[:_SHOWN])[1:-1]

    @property
    def shown_role(self) -> str:
        return ascii(self.init.system_role[:_SHOWN])[1:-1]

    @property
    def safe_name(self) -> str:
        return self.token.safe_name() if self.token else mask(self.init.token[:200])

    @property
    def bot_name(self) -> str:
        return self.token.spec.bot_name if self.token else ""

    @property
    def is_bot(self) -> bool:
        return self.init.system_role == BOT

    @property
    def instance_id(self) -> str:
        """The instance of the token's bot that asks."""
        return self.bot.bot_instance_id if self.bot and self.bot.bot_name == self.bot_name else ""

    @property
    def method(self) -> str:
        return self.token.spec.join_method if self.token else ascii(self.init.join_method[:_SHOWN])[1:-1]


class Joining:
    """Implements `api.services.join.Joining`."""

    def __init__(
        self, tokens: Tokens, audit: AuditLog, authorizer: Authorizer, authorities: Authorities,
        certificates: HostCertificateIssuer, bots: Admission, methods: Mapping[str, Prove], clock: Clock,
        entropy: Entropy, cluster: str, allow_old: bool = False,
    ) -> None:  # fmt: skip
        """With `allow_old`, versions that are not supported any more may join too."""
        self._allow_old = allow_old
        self._tokens = tokens
        self._audit = audit
        self._authorizer = authorizer
        self._authorities = authorities
        self._certificates = certificates
        self._bots = bots
        self._methods = methods
        self._clock = clock
        self._entropy = entropy
        self._cluster = cluster
        self._bounds = Bounds(clock)

    async def cluster_ca(self) -> ClusterCA:
        """Return the authority of the cluster's services: whoever asks may know it."""
        return ClusterCA(self._cluster, public(await self._authorities.own("host")).tls_certificates)

    async def join(self, caller: Caller, init: Init, talk: Talk) -> Joined:
        """Take in who asks, or say why not."""
        attempt = _Attempt(init, caller.address)
        try:
            self._place(caller, attempt)
            with self._bounds.attempt(address_of(attempt.address)):
                joined = await self._admit(attempt, talk)
        except TeleportError as error:
            await self._note_failure(attempt, error)
            raise
        if init.system_role == BOT:
            log.info("Bot has joined the cluster", bot_name=attempt.bot_name, remote_addr=attempt.address,
                     join_method=attempt.method, token_name=attempt.safe_name)  # fmt: skip
            return joined
        log.info("Instance has joined the cluster", host_id=joined.host_id, node_name=attempt.shown_name,
                 remote_addr=attempt.address, join_method=attempt.method, token_name=attempt.safe_name,
                 role=",".join(joined.system_roles))  # fmt: skip
        return joined

    def _place(self, caller: Caller, attempt: _Attempt) -> None:
        """Find out who asks, from where. Raises AccessDenied (AUTH-JOIN-FORWARDED), NotAuthenticated (API-EXPIRED)."""
        identity = caller.identity
        if identity is not None:
            check_validity(identity, self._clock)
        if attempt.init.forwarded is not None:
            if PROXY not in caller.words:
                raise AccessDenied("AUTH-JOIN-FORWARDED")
            attempt.address = attempt.init.forwarded[:_SHOWN]
        elif identity is not None and INSTANCE in caller.words:
            attempt.former = identity
        elif identity is not None and identity.kind == "bot":
            attempt.bot = identity

    async def _admit(self, attempt: _Attempt, talk: Talk) -> Joined:
        if not self._allow_old:
            check_age(attempt.init.client_version[:_SHOWN], VERSION, who=attempt.shown_name)
        token = await self._token(attempt)
        prove = self._check(attempt, token)
        method = token.spec.join_method
        start = await talk.accept(Accepted(join_method=method, suite=SUITE, cluster=self._cluster))
        if start.expires is not None and attempt.init.system_role != BOT:
            raise BadParameter("AUTH-JOIN-EXPIRES")
        former, role = host_id(attempt.former) if attempt.former else "", BOT if attempt.is_bot else INSTANCE
        proven = await prove(
            Request(
                token=token, init=attempt.init, start=start, ask=talk.ask, host_id=former,
                bot_name=attempt.bot_name if attempt.is_bot else "", instance_id=attempt.instance_id,
                unlocked=lambda name: self._check_locks(attempt, self._future(name or "none", (role,), token)),
            )
        )  # fmt: skip
        attempt.attributes = proven.attributes
        if attempt.init.system_role == BOT:
            return await self._admit_bot(attempt, token, start, proven)
        attempt.host_id = proven.host_id or former or new_uuid(self._entropy)
        return await self._certify(attempt, token, start, proven)

    async def _token(self, attempt: _Attempt) -> Token:
        """Find the token. Raises AccessDenied (AUTH-JOIN-TOKEN, AUTH-TOKEN-*, AUTH-JOIN-INVALID)."""
        try:
            found = await self._tokens.find(attempt.init.token)
        except TeleportError as error:
            host, role = attempt.shown_name, attempt.shown_role
            raise AccessDenied("AUTH-JOIN-INVALID", host=host, role=role, problem=error.code) from None
        if isinstance(found, Missing):
            if found.use is None or not attempt.is_bot or attempt.init.join_method not in ("", "token"):
                raise self._no_token(attempt, found)
            attempt.used, found = found, found.use.token(attempt.init.token)
        attempt.token = found
        return found

    def _no_token(self, attempt: _Attempt, missing: Missing) -> AccessDenied:
        attempt.reason = missing.reason
        return missing.refusal(attempt.shown_name, attempt.shown_role)

    def _check(self, attempt: _Attempt, token: Token) -> Prove:
        """Compare what is wanted with the token: the method before the role, as clients of all versions know it.

        Raises BadParameter (AUTH-JOIN-METHOD, AUTH-JOIN-AS, AUTH-JOIN-ROLES, AUTH-JOIN-SERVICES)."""
        init, spec = attempt.init, token.spec
        if init.join_method and init.join_method != spec.join_method:
            asked = ascii(init.join_method[:_SHOWN])[1:-1]
            raise BadParameter("AUTH-JOIN-METHOD", asked=asked, method=spec.join_method)
        if init.system_role not in (INSTANCE, BOT):
            raise BadParameter("AUTH-JOIN-AS", role=init.system_role[:_SHOWN])
        roles = ", ".join(spec.roles)
        if init.system_role == BOT:
            if BOT not in spec.roles:
                raise BadParameter("AUTH-JOIN-ROLES", role=BOT, roles=roles)
        elif not _services(token):
            raise BadParameter("AUTH-JOIN-SERVICES", roles=roles)
        held = system_roles(attempt.former) if attempt.former else ()
        for role in init.services:
            if role not in (*spec.roles, *held):
                raise BadParameter("AUTH-JOIN-ROLES", role=ascii(role[:_SHOWN])[1:-1], roles=roles)
        return self._methods[spec.join_method]

    async def _certify(self, attempt: _Attempt, token: Token, start: Start, proven: Proven) -> Joined:
        former = system_roles(attempt.former) if attempt.former else ()
        services = (*_services(token), *(role for role in former if role != INSTANCE))
        roles = (INSTANCE, *dict.fromkeys(services))
        identity = self._future(attempt.host_id, roles, token)
        await self._check_locks(attempt, identity)
        wanted = HostRequest(
            host_uuid=attempt.host_id, node_name=attempt.init.host_name, roles=roles,
            principals=start.additional_principals, dns_names=start.dns_names, ssh_public_key=start.ssh_public_key,
            tls_public_key=start.tls_public_key,
        )  # fmt: skip
        joined = InstanceJoin(success=True, role=",".join(roles), **self._about(attempt))
        made = await self._while_token_stands(attempt, token, self._certificates.certify(
            wanted, self._audit.op(joined), *self._still_there(token, proven), *proven.ops,
            join_token="" if token.is_secret else token.name, longest=min(proven.longest or LONGEST, LONGEST),
            **caller_fields(identity),
        ))  # fmt: skip
        return Joined(
            host_id=attempt.host_id, cluster=self._cluster, system_roles=roles, certificates=made,
            keepsake=proven.keepsake,
        )  # fmt: skip

    async def _admit_bot(self, attempt: _Attempt, token: Token, start: Start, proven: Proven) -> Joined:
        """Certify a bot. A secret token is used up by it, in the same commit."""
        await self._check_locks(attempt, self._future("none", (BOT,), token))
        ops, instance = await self._use(attempt, token, start, proven)
        arrival = Arrival(
            bot=token.spec.bot_name, method=token.spec.join_method, token=token.name, shown_token=token.safe_name(),
            ssh_public_key=start.ssh_public_key, tls_public_key=start.tls_public_key, expires=start.expires,
            address=attempt.address, attributes=dict(proven.attributes), former=attempt.bot,
            instance=instance, again=attempt.used is not None, previous=proven.previous_id,
            hostname=attempt.shown_name,
        )  # fmt: skip
        event = BotJoin(success=True, bot_name=token.spec.bot_name, **self._about_bot(attempt))
        made = await self._while_token_stands(attempt, token, self._bots.admit(arrival, event, *ops, *proven.ops))
        return Joined(
            host_id="", cluster=self._cluster, system_roles=(BOT,), certificates=made, keepsake=proven.keepsake
        )

    async def _use(
        self, attempt: _Attempt, token: Token, start: Start, proven: Proven
    ) -> tuple[tuple[Op, ...], str]:  # fmt: skip
        """Return what becomes of the token, and the id that the instance must have, if any. Raises AccessDenied
        (AUTH-TOKEN-USED) where others than those who ask now have used it up."""
        if not token.is_secret or token.is_static:
            return self._still_there(token, proven), proven.instance_id
        digest = read_keys(start.ssh_public_key, start.tls_public_key).digest
        if attempt.used is None:
            use = Use(token.spec.bot_name, new_uuid(self._entropy), digest)
            return self._tokens.use_up_ops(token, use), use.instance
        former = attempt.used.use
        if former is None or not former.is_of(digest) or await self._bots.given(former.bot, former.instance) is None:
            raise self._no_token(attempt, attempt.used)
        return (), former.instance

    async def _while_token_stands(
        self, attempt: _Attempt, token: Token, work: Awaitable[MadeCertificates]
    ) -> MadeCertificates:
        """Do what needs the token to be there at its end. Raises AccessDenied (AUTH-JOIN-TOKEN), CompareFailed
        (AUTH-JOIN-CHANGED)."""
        try:
            return await work
        except NotFound as error:
            if error.fields.get("key") != key_of(info_of(Token), token.name):
                raise
            raise self._no_token(attempt, Missing("it was removed during the conversation", "removed")) from None
        except CompareFailed:
            raise CompareFailed("AUTH-JOIN-CHANGED", token=token.safe_name()) from None

    def _future(self, name: str, roles: tuple[str, ...], token: Token) -> Identity:
        """Return who joins, as far as locks are about them."""
        return Identity(
            name=f"{name}.{self._cluster}", cluster=self._cluster, kind="host", roles=roles[:1], system_roles=roles,
            expires=(self._clock.now() + dt.timedelta(minutes=1)).replace(microsecond=0), join_token=token.name,
        )  # fmt: skip

    async def _check_locks(self, attempt: _Attempt, identity: Identity) -> None:
        world = await self._authorizer.conditions(address_of(attempt.address))
        lock = locks.in_force(identity, (), "", _SUBJECT, world.locks, world.now)
        if lock is not None:
            who = msgspec.structs.replace(identity, bot_name=attempt.bot_name if attempt.is_bot else "")
            raise _without_secret(locked(lock, who), attempt)

    def _still_there(self, token: Token, proven: Proven) -> tuple[Op, ...]:
        """Return what must hold at the end: that the token was not removed during the conversation."""
        key = key_of(info_of(Token), token.name)
        written = any(isinstance(op, Put) and op.key == key for op in proven.ops)
        return () if token.is_static or written else (Check(key, Present()),)

    def _about(self, attempt: _Attempt) -> dict[str, Any]:
        return {
            "host_id": attempt.host_id, "node_name": attempt.shown_name, "method": attempt.method,
            "token_name": attempt.safe_name, "attributes": dict(attempt.attributes or {}),
            "addr_remote": attempt.address,
        }  # fmt: skip

    def _about_bot(self, attempt: _Attempt) -> dict[str, Any]:
        return {key: value for key, value in self._about(attempt).items() if key not in ("host_id", "node_name")}

    async def _note_failure(self, attempt: _Attempt, error: TeleportError) -> None:
        role, why = attempt.shown_role, f"{error.what}: {attempt.reason}" if attempt.reason else str(error)
        log.warn("Failure to join cluster occurred", role=role, host_id=attempt.host_id, node_name=attempt.shown_name,
                 remote_addr=attempt.address, join_method=attempt.method, token_name=attempt.safe_name, error=error,
                 reason=attempt.reason, attributes=dict(attempt.attributes or {}))  # fmt: skip
        told: dict[str, Any] = {"success": False, "error": why[:1000]}
        if role == BOT:
            await self._audit.record(BotJoin(bot_name=attempt.bot_name, **self._about_bot(attempt), **told))
        else:
            await self._audit.record(InstanceJoin(role=role, **self._about(attempt), **told))


def _without_secret(error: AccessDenied, attempt: _Attempt) -> AccessDenied:
    """Return an error that shows the token as logs may: a lock that names it, names the secret."""
    if attempt.token is None or not attempt.token.is_secret:
        return error
    secret, shown = attempt.token.name, attempt.safe_name
    fields = {name: value.replace(secret, shown) for name, value in error.fields.items()}
    return AccessDenied(error.code, **fields)


def _services(token: Token) -> tuple[str, ...]:
    return tuple(role for role in token.spec.roles if role in LOCAL_SERVICES)
