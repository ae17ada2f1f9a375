"""What the SSH Service needs to know of its cluster, and what it tells it.

The service decides by itself, at the node, with the cluster's current authorities, roles and locks. Who
supplies them (a live copy over the auth service's watch, or a fixed world in a test) is not its matter.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

from teleport.access.denial import Denial
from teleport.access.roleset import RoleSet
from teleport.model.events.base import Event
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.node import Node
from teleport.model.kinds.session_termination import SessionTermination
from teleport.model.kinds.session_tracker import SessionTracker


class Authority(Protocol):
    """The cluster, as one node sees it."""

    def authorities(self) -> Sequence[CertAuthority]:
        """Return the certificate authorities trusted at the moment."""
        ...

    async def role_set(self, identity: Identity) -> RoleSet:
        """Return the compiled roles that the identity names, as they are now. Raises TeleportError."""
        ...

    def locks(self) -> tuple[Lock, ...]:
        """Return every lock that is known."""
        ...

    def locks_as_of(self) -> dt.datetime | None:
        """Return when the list of locks was last known to be complete; None: it is complete now."""
        ...

    async def changed(self, seen: int) -> int:
        """Return the number of the present state, once it is not `seen`: a lock may have come or gone, or the
        list begun to age."""
        ...

    def node(self) -> Node:
        """Return this node's own resource with its current labels."""
        ...

    async def record_denial(self, denial: Denial, identity: Identity, client: str) -> str:
        """Keep a refusal and return its id. Alike refusals are counted under one id. Raises Unavailable."""
        ...

    async def track(self, tracker: SessionTracker) -> None:
        """Write the tracker of a session, new or again. Raises TeleportError."""
        ...

    async def untrack(self, session_id: str) -> None:
        """Take the tracker of a session away. Raises TeleportError."""
        ...

    async def hold_leases(self, user: str, leases: Sequence[str], most: int) -> None:
        """Write that this node holds exactly these places of a user's connections, of at most `most` (0: any number)
        in the cluster. Raises LimitExceeded (AUTH-LEASES), Unavailable."""
        ...

    def terminations(self) -> Sequence[SessionTermination]:
        """Return what was asked to end of this node's sessions."""
        ...

    async def emit(self, event: Event) -> None:
        """Write an audit event. Raises Unavailable."""
        ...
