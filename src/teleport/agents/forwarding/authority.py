"""The cluster as the SSH Service sees it when it stands before another server: the proxy's view, and that server as
the node. What is decided, recorded and tracked is about the server, not about the proxy."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from teleport.access import explain
from teleport.access.denial import Denial
from teleport.access.roleset import RoleSet
from teleport.base.errors import NotFound
from teleport.model.events.base import Event
from teleport.model.events.session import ServerEvent
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.node import Node
from teleport.model.kinds.semaphore import CONNECTION, Lease, Semaphore, SemaphoreSpec
from teleport.model.kinds.session_recording_config import SessionRecordingConfig
from teleport.model.kinds.session_termination import SessionTermination
from teleport.model.kinds.session_tracker import SessionTracker
from teleport.model.resource import Metadata, Resource


class View(Protocol):
    """What the proxy knows of the cluster while it serves."""

    def authorities(self) -> Sequence[CertAuthority]: ...

    def nodes(self) -> Sequence[Node]: ...

    async def role_set(self, identity: Identity) -> RoleSet: ...

    def locks(self) -> tuple[Lock, ...]: ...

    def locks_as_of(self) -> dt.datetime | None: ...

    async def changed(self, seen: int) -> int: ...

    def terminations(self) -> Sequence[SessionTermination]: ...

    def recording_config(self) -> SessionRecordingConfig | None: ...

    async def record_denial(self, record: bytes, client: str) -> str: ...

    async def emit(self, event: Event) -> None: ...


class Trackers(Protocol):
    """Where trackers of sessions are written."""

    async def upsert(self, resource: Resource[Any]) -> object: ...

    async def delete(self, kind: str, name: str) -> None: ...


class TargetAuthority:
    """Implements `agents.ssh.authority.Authority` for one server."""

    def __init__(self, view: View, trackers: Trackers, node: Node, *, proxy: str) -> None:
        """`proxy` is the id of the proxy that tells of the server."""
        self._view = view
        self._trackers = trackers
        self._node = node
        self._proxy = proxy

    def authorities(self) -> Sequence[CertAuthority]:
        """Return the authorities trusted at the moment."""
        return self._view.authorities()

    async def role_set(self, identity: Identity) -> RoleSet:
        """Return the compiled roles of the identity."""
        return await self._view.role_set(identity)

    def locks(self) -> tuple[Lock, ...]:
        """Return every lock that is known."""
        return self._view.locks()

    def locks_as_of(self) -> dt.datetime | None:
        """Return when the list of locks was last known to be complete; None: it is."""
        return self._view.locks_as_of()

    async def changed(self, seen: int) -> int:
        """Return the number of the present state, once it is not `seen`."""
        return await self._view.changed(seen)

    def node(self) -> Node:
        """Return the server as it is registered now; one that was removed, as it was."""
        found = next((node for node in self._view.nodes() if node.name == self._node.name), None)
        if found is not None:
            self._node = found
        return self._node

    async def record_denial(self, denial: Denial, identity: Identity, client: str) -> str:
        """Keep a refusal and return its id."""
        return await self._view.record_denial(explain.to_record(denial), client)

    async def track(self, tracker: SessionTracker) -> None:
        """Write the tracker of a session."""
        await self._trackers.upsert(tracker)

    async def untrack(self, session_id: str) -> None:
        """Take the tracker of a session away; one that has gone by itself is fine."""
        try:
            await self._trackers.delete("session_tracker", session_id)
        except NotFound:
            pass

    async def hold_leases(self, user: str, leases: Sequence[str], most: int) -> None:
        """Write which places of a user's connections are held here; the auth service decides."""
        held = SemaphoreSpec(leases=tuple(Lease(lease_id=id) for id in leases), max_leases=most)
        await self._trackers.upsert(
            Semaphore(version="v3", sub_kind=CONNECTION, metadata=Metadata(name=user), spec=held)
        )

    def terminations(self) -> Sequence[SessionTermination]:
        """Return what was asked to end of all sessions; those of others are not found here."""
        return self._view.terminations()

    async def emit(self, event: Event) -> None:
        """Write an audit event; returns when it is durable."""
        if isinstance(event, ServerEvent):
            event = msgspec.structs.replace(event, forwarded_by=self._proxy)
        await self._view.emit(event)
