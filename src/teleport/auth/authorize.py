"""Authorizing: every call to the Auth Service asks here, and gets a Grant or an error with an id.

Roles and locks are read from the store with every question, so an answer never rests on a state that a
finished change has replaced; compiling roles is what costs, and that is remembered by their revisions.

What a caller may not see and what does not exist are refused alike, to the byte: both are kept, counted
and answered with an id by the same code.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from teleport.access import explain
from teleport.access.action import Action, Assume, Conditions, Reach, Target, Use, kind_of, name_of
from teleport.access.checker import Grant, decide
from teleport.access.denial import Denial, Step
from teleport.access.roleset import RoleSet
from teleport.api.caller import Caller
from teleport.auth.denials import Denials
from teleport.base.clock import Clock
from teleport.base.errors import NotFound, TeleportError
from teleport.base.struct import encode
from teleport.model.events.access import AccessDenied
from teleport.model.events.base import caller_fields
from teleport.model.events.resource import shown_name, shown_word
from teleport.model.identity import Identity, Traits
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.role import Role
from teleport.model.resource import Resource
from teleport.store.resources import Resources

_REMEMBERED = 1000
"""Compiled sets of roles that are kept."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What a caller holds at one moment: enough to decide many questions without reading again."""

    identity: Identity
    roles: RoleSet
    conditions: Conditions

    def decide(self, action: Action, target: Target) -> Grant | Denial:
        """Ask the checker."""
        return decide(self.identity, self.roles, action, target, self.conditions)

    def may(self, verb: str, target: Target) -> bool:
        """Ask the checker and keep nothing of a refusal: for filtering lists."""
        return isinstance(self.decide(Use(verb), target), Grant)

    def shows(self, verbs: tuple[str, str], target: Resource[Any]) -> bool:
        """As `may` for both of two verbs that read and that were allowed on the kind.

        Where no rule for them looks at the object, or every rule speaks of both, they get the same answer: it is
        asked for once.
        """
        return all(self.may(verb, target) for verb in (verbs[:1] if self._alike(kind_of(target), verbs) else verbs))

    def _alike(self, kind: str, verbs: tuple[str, str]) -> bool:
        spoken = [[rule.speaks_of(kind, verb) for verb in verbs] for rule in self.roles.rules]
        plain = not any(rule.where for rule, said in zip(self.roles.rules, spoken, strict=True) if any(said))
        return not self.identity.is_host and (plain or all(first == second for first, second in spoken))


class Authorizer:
    """Decides for the Auth Service and keeps what it refuses."""

    def __init__(self, resources: Resources, denials: Denials, clock: Clock, cluster: str) -> None:
        self._resources = resources
        self._denials = denials
        self._clock = clock
        self._cluster = cluster
        self._compiled: OrderedDict[tuple[object, ...], RoleSet] = OrderedDict()

    async def rights(self, caller: Caller) -> Rights:
        """Return what the caller holds now. Raises NotAuthenticated (API-NO-CERTIFICATE)."""
        identity = caller.known()
        by_role = identity.kind in ("human", "bot")
        roles = await self.role_set(identity.roles if by_role else (), identity.traits)
        return Rights(identity, roles, await self.conditions(caller.ip))

    async def conditions(self, client_ip: str = "") -> Conditions:
        """Return the state of the world: time, and every lock."""
        locks = tuple(await self._resources.list(Lock))
        return Conditions(now=self._clock.now(), cluster=self._cluster, locks=locks, client_ip=client_ip)

    async def role_set(self, names: Sequence[str], traits: Traits) -> RoleSet:
        """Return the compiled roles of these names; one that does not exist is missing, which the checker sees."""
        roles = [role for name in dict.fromkeys(names) if (role := await self._role(name)) is not None]
        key = (tuple((role.name, role.metadata.revision) for role in roles), hashlib.sha256(encode(traits)).digest())
        if key not in self._compiled:
            self._compiled[key] = RoleSet.build(roles, traits)
            if len(self._compiled) > _REMEMBERED:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        return self._compiled[key]

    async def _role(self, name: str) -> Role | None:
        try:
            return await self._resources.get(Role, name)
        except TeleportError as error:
            if error.code in ("STORE-RESOURCE-NOT-FOUND", "STORE-RESOURCE-NAME"):
                return None
            raise

    async def require(self, caller: Caller, verb: str, target: Target, *, asked: str = "") -> Grant:
        """Return permission, or raise AccessDenied or NotFound (POL-*) with the id under which it is kept."""
        return await self.demand(await self.rights(caller), verb, target, asked=asked)

    async def demand(self, rights: Rights, verb: str, target: Target, *, asked: str = "") -> Grant:
        """As `require`, with rights that were read already."""
        decision = rights.decide(Use(verb), target)
        if isinstance(decision, Grant):
            return decision
        raise explain.user_error(decision, await self.keep(decision), asked)

    async def assume(self, rights: Rights, role: Role) -> Grant:
        """Return permission for a certificate that carries a role, or raise AccessDenied (POL-*). For a role that does
        not exist, ask about one of that name without content."""
        decision = rights.decide(Assume(), role)
        if isinstance(decision, Grant):
            return decision
        raise explain.user_error(decision, await self.keep(decision), role.name)

    async def reach(self, rights: Rights, action: Reach, target: Resource[Any], asked: str) -> Grant:
        """Return permission for the way to a database, an application or a Kubernetes cluster, or raise AccessDenied
        or NotFound (POL-*)."""
        decision = rights.decide(action, target)
        if isinstance(decision, Grant):
            return decision
        raise explain.user_error(decision, await self.keep(decision), asked)

    async def keep(self, denial: Denial) -> str:
        """Keep a refusal made here; return its id."""
        identity, target = denial.caller, denial.target
        if not denial.visible:
            # To the caller it is as if the target were not there: the same work, the same count, the same id.
            fingerprint = _absent_fingerprint(identity, denial.conditions, kind_of(target), name_of(target))
        else:
            fingerprint = explain.fingerprint(denial)
        event = AccessDenied(
            decision_id="", action=explain.request_text(denial.action, kind_of(target)), target_kind=kind_of(target),
            target=_shown(target), reason=denial.code, addr_remote=denial.conditions.client_ip,
            **caller_fields(identity),
        )  # fmt: skip
        return await self._denials.keep(fingerprint, explain.to_record(denial), "auth", event)

    async def absent(self, rights: Rights, verb: str, kind: str, name: str) -> NotFound:
        """Return the error for a target that is not there, kept like one that is hidden."""
        identity, conditions, shown = rights.identity, rights.conditions, shown_word(kind, name[:120])
        step = Step(condition="target", matched=False, wanted=f'{kind} "{shown}"', found="none of that name")
        record = explain.Record(
            code="POL-NOT-FOUND", user=identity.name, user_kind=identity.kind, roles=identity.roles,
            request=f"{verb} {kind}/{shown}", kind=kind, name=shown, time=conditions.now.isoformat(),
            client_ip=conditions.client_ip, visible=False, steps=(step,), nearest=0, succeed_if=(),
        )  # fmt: skip
        fingerprint = _absent_fingerprint(identity, conditions, kind, name)
        id = await self._denials.keep(fingerprint, encode(record), "auth", None)
        return explain.not_found(kind, name, id)


def _absent_fingerprint(identity: Identity, conditions: Conditions, kind: str, name: str) -> bytes:
    said = ["not found", identity.name, identity.kind, sorted(identity.roles), conditions.client_ip, kind, name]
    return hashlib.sha256(encode(said)).digest()


def _shown(target: Target) -> str:
    return "" if isinstance(target, str) else shown_name(target)
