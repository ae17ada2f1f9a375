"""What a session may have beside a command: forwarded ports, the agent, X11, copies of files.

Each has an option of roles, a switch of the service and, except copying, an extension of the certificate. The three
are asked in this order of who can help: the administrator of the node, of the roles, then the caller by logging in
again. Merging over roles:

    agent, x11      any role that says yes
    local, remote   no role whose `ssh_port_forwarding` says no, and any role that says yes, there or, where that is
                    silent, with `port_forwarding`
    file_copy       every role

Not here: whether the caller may be on the node at all, which is asked before (`access.checker`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from teleport.access.action import Channel
from teleport.access.denial import Step
from teleport.model.identity import Identity
from teleport.model.role_spec import Forwarding, RoleOptions


class Word(Enum):
    """What one role says of a channel."""

    YES = "yes"
    SILENT = "no"
    """It does not give it; another role may."""
    NEVER = "never"
    """It takes it away, whatever other roles say."""


class Kind(NamedTuple):
    """One kind of channel."""

    title: str
    """In words for people."""
    option: str
    """Option of a role, for explanations."""
    service: str
    """Key of the service's configuration; empty where there is none."""
    extension: str
    """Extension of an SSH certificate; empty where there is none."""
    word: Callable[[RoleOptions], Word]
    certified: Callable[[Identity], bool]


def _given(value: object) -> Word:
    return Word.YES if value else Word.SILENT


def _forwarding(options: RoleOptions, one_way: Forwarding | None) -> Word:
    if one_way is None:
        return _given(options.port_forwarding)
    return Word.YES if one_way.enabled else Word.NEVER


def _local(options: RoleOptions) -> Word:
    both = options.ssh_port_forwarding
    return _forwarding(options, both.local if both else None)


def _remote(options: RoleOptions) -> Word:
    both = options.ssh_port_forwarding
    return _forwarding(options, both.remote if both else None)


KINDS: dict[Channel, Kind] = {
    "local_forward": Kind(
        "port forwarding", "ssh_port_forwarding.local.enabled", "port_forwarding", "permit-port-forwarding", _local,
        lambda who: who.permit_port_forwarding,
    ),
    "remote_forward": Kind(
        "remote port forwarding", "ssh_port_forwarding.remote.enabled", "port_forwarding", "permit-port-forwarding",
        _remote, lambda who: who.permit_port_forwarding,
    ),
    "agent": Kind(
        "agent forwarding", "forward_agent", "", "permit-agent-forwarding",
        lambda options: _given(options.forward_agent), lambda who: who.permit_agent_forwarding,
    ),
    "x11": Kind(
        "X11 forwarding", "permit_x11_forwarding", "x11.enabled", "permit-X11-forwarding",
        lambda options: _given(options.permit_x11_forwarding), lambda who: who.permit_x11_forwarding,
    ),
    "file_copy": Kind(
        "file copying", "ssh_file_copy", "ssh_file_copy", "",
        lambda options: Word.YES if options.ssh_file_copy else Word.NEVER, lambda who: True,
    ),
}  # fmt: skip


def merged(options: Iterable[RoleOptions], channel: Channel) -> bool:
    """Whether all roles together give the channel."""
    words = {KINDS[channel].word(each) for each in options}
    return Word.YES in words and Word.NEVER not in words


def caller_checks(caller: Identity, closed: Sequence[Channel], channel: Channel) -> Iterator[tuple[str, Step]]:
    """Yield what the service and the certificate say, each with the page of its refusal."""
    kind = KINDS[channel]
    if kind.service or channel in closed:
        matched, condition = channel not in closed, f"ssh_service.{kind.service or channel}"
        found = "yes" if matched else "no"
        yield "POL-CHANNEL-SERVICE", Step(condition=condition, matched=matched, wanted="yes", found=found)
    if kind.extension:
        matched, condition = kind.certified(caller), f"extension {kind.extension}"
        found = "present" if matched else "absent"
        yield "POL-CHANNEL-CERTIFICATE", Step(condition=condition, matched=matched, wanted="present", found=found)


def role_steps(roles: Iterable[tuple[str, RoleOptions]], channel: Channel) -> tuple[Step, ...]:
    """Return what each role says: one that takes the channel away denies, one that gives it allows."""
    kind = KINDS[channel]
    return tuple(_of_role(name, kind, kind.word(options)) for name, options in roles)


def _of_role(name: str, kind: Kind, word: Word) -> Step:
    denies = word is Word.NEVER
    return Step(
        role=name, side="deny" if denies else "allow", condition=kind.option, matched=word is not Word.SILENT,
        wanted="no" if denies else "yes", found="no" if word is not Word.YES else "yes",
    )  # fmt: skip


def repairs(steps: Sequence[Step], most: int) -> tuple[str, ...]:
    """Say which changes to roles would give the channel."""
    denying = [step for step in steps if step.side == "deny"]
    if denying:
        return (", and ".join(f'set {step.condition} of role "{step.role}" to yes' for step in denying),)
    return tuple(f'set {step.condition} of role "{step.role}" to yes' for step in steps[:most])
