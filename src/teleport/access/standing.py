"""Standing: conditions on the caller, before any role is asked.

Certificate, cluster, address, roles, locks, in this order. All of them are looked at in every decision,
so that an explanation shows them all; the first that does not hold decides.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from teleport.access import locks
from teleport.access.action import Action, Conditions, Connect, Join, Open, Target, Use, clock_text, kind_of, utc
from teleport.access.denial import Step
from teleport.access.roleset import RoleSet
from teleport.access.rules import READS
from teleport.model.identity import Identity
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.session_tracker import SessionTracker


class Check(NamedTuple):
    """A condition on the caller, and the code if it does not hold."""

    code: str
    step: Step
    lock: Lock | None = None


def standing(
    caller: Identity, roles: RoleSet, action: Action, target: Target, conditions: Conditions
) -> tuple[Check, ...]:
    """Return every condition on the caller, in the order in which they count."""
    return (
        _cluster(caller, conditions),
        _certificate(caller, conditions),
        _address(caller, roles, conditions),
        *_roles(caller, roles),
        _locks(caller, roles, action, target, conditions),
        _fresh_locks(caller, roles, conditions),
    )


def _cluster(caller: Identity, conditions: Conditions) -> Check:
    step = Step(
        condition="cluster", matched=caller.cluster == conditions.cluster, wanted=conditions.cluster,
        found=caller.cluster,
    )  # fmt: skip
    return Check("POL-OTHER-CLUSTER", step)


def _certificate(caller: Identity, conditions: Conditions) -> Check:
    valid = utc(conditions.now) < utc(caller.expires)
    wanted, found = f"valid at {clock_text(conditions.now)}", f"valid until {clock_text(caller.expires)}"
    return Check("POL-EXPIRED", Step(condition="certificate", matched=valid, wanted=wanted, found=found))


def _address(caller: Identity, roles: RoleSet, conditions: Conditions) -> Check:
    """A pinned address must be the one used; a role that asks for pinning is not satisfied by a certificate without."""
    pinned = caller.pinned_ip
    asked = roles.options.pin_source_ip and not caller.is_host
    if not pinned and not asked:
        step = Step(condition="ip", matched=True, wanted="any", found=conditions.client_ip or "unknown")
    else:
        used = _canonical(conditions.client_ip)
        matched = bool(used) and used == _canonical(pinned)
        wanted = pinned or "an address in the certificate, which a role demands"
        step = Step(condition="ip", matched=matched, wanted=wanted, found=conditions.client_ip or "unknown")
    return Check("POL-PINNED-IP", step)


def _canonical(text: str) -> str:
    """Return one spelling per address, IPv4 in IPv6 included; empty if it is no address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _roles(caller: Identity, roles: RoleSet) -> tuple[Check, ...]:
    """The roles that were looked up must be those of the certificate: one missing could have denied."""
    if caller.kind in ("host", "admin"):
        return ()
    held = frozenset(caller.roles)
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    if held != roles.names:
        missing, extra = tuple(sorted(held - roles.names)), tuple(sorted(roles.names - held))
    wanted = f"the {len(held)} of the certificate"
    found = f"missing {_listed(missing)}" if missing else "all"
    more = f"{len(extra)} more" if extra else "no other"
    return (
        Check("POL-ROLE-MISSING", Step(condition="roles", matched=not missing, wanted=wanted, found=found)),
        Check("POL-ROLE-SET", Step(condition="role set", matched=not extra, wanted=wanted, found=more)),
    )


def _listed(names: tuple[str, ...]) -> str:
    return f"[{' '.join(names[:10])}{' ...' if len(names) > 10 else ''}]"


def _locks(caller: Identity, roles: RoleSet, action: Action, target: Target, conditions: Conditions) -> Check:
    login = _login(action, target)
    if _enforces(caller, action, target):
        found = "not asked: a locked service must still hear of locks and report what it refused"
        return Check("POL-LOCKED", Step(condition="locks", matched=True, wanted="none", found=found))
    lock = locks.in_force(caller, roles.names, login, target, conditions.locks, conditions.now)
    found = "none" if lock is None else f"{lock.spec.target} (lock {lock.name})"
    return Check("POL-LOCKED", Step(condition="locks", matched=lock is None, wanted="none", found=found), lock)


def _login(action: Action, target: Target) -> str:
    """Return the account that is used: whoever joins a session is in that of its owner."""
    if isinstance(action, Connect | Open):
        return action.login
    return target.spec.login if isinstance(action, Join) and isinstance(target, SessionTracker) else ""


def _enforces(caller: Identity, action: Action, target: Target) -> bool:
    """Whether a service does what it needs to enforce a lock, even one on itself: reading and reporting.

    A service that were cut off from the list of locks would go on with the list from before the lock.
    """
    if not caller.is_host or not isinstance(action, Use):
        return False
    return action.verb in READS or (kind_of(target), action.verb) == ("event", "create")


def _fresh_locks(caller: Identity, roles: RoleSet, conditions: Conditions) -> Check:
    known = conditions.locks_as_of
    strict = roles.options.strict_locks and not caller.is_host
    fresh = known is None or utc(conditions.now) - utc(known) <= locks.MAX_AGE
    step = Step(
        condition="list of locks", matched=fresh or not strict,
        wanted=f"at most {locks.MAX_AGE.seconds // 60} minutes old" if strict else "any age",
        found="current" if known is None else f"of {clock_text(known)}",
    )  # fmt: skip
    return Check("POL-LOCKS-STALE", step)
