"""Who may have something started: the spawner's memory of logins that it has checked itself.

The check is `proof`, which is heavy, so it is imported for the first login: a server that nobody uses stays small, and
one user waits a tenth of a second for it. So is what helpers need, which thereby share it, and which their accounts
may not be able to read. What is remembered is bounded; what cannot be remembered is refused.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from teleport.agents.ssh import spawner_messages as messages
from teleport.agents.ssh.seen import Seen
from teleport.base.clock import Clock
from teleport.base.errors import AccessDenied, BadParameter, LimitExceeded, NotAuthenticated, Unavailable

if TYPE_CHECKING:
    import datetime as dt

    from teleport.model.kinds.cert_authority import CertAuthority

OPEN = 32 * 1024
"""Admissions at one time; a service has fewer connections."""
AUTHORITIES = 64
"""Most keys that are believed."""
SEEN = 1024 * 1024
"""Session ids that are remembered until the certificate of their login ends, in eight bytes each: 24 a second for the
twelve hours of a certificate."""


class Admissions:
    """The authorities, the logins that are open, and those that have been."""

    def __init__(self, clock: Clock, *, open: int = OPEN, seen: int = SEEN) -> None:
        self._clock = clock
        self._limits = {"open connections": open, "logins to remember": seen}
        self._trusted: tuple[CertAuthority, ...] = ()
        self._pinned: messages.Trust | None = None
        self._logins: dict[int, str] = {}
        self._seen = Seen()

    def trust(self, request: messages.Trust) -> None:
        """Believe these authorities from now on, whatever is said later; saying the same again does nothing.

        Raises AccessDenied (SSH-TRUST-PINNED), BadParameter (SSH-SPAWN-MESSAGE)."""
        if self._pinned is not None:
            if self._pinned._replace(id=request.id) != request:
                raise AccessDenied("SSH-TRUST-PINNED")
            return
        if not request.cluster or not 0 < len(request.authorities) <= AUTHORITIES:
            problem = f"{len(request.authorities)} authorities of {ascii(request.cluster)[:40]}"
            raise BadParameter("SSH-SPAWN-MESSAGE", problem=problem)
        self._pinned = request

    def admit(self, request: messages.Admit) -> None:
        """Believe that somebody logged in, or raise why not: see `Spawner.admit`."""
        if self._pinned is None:
            raise Unavailable("SSH-TRUST-MISSING")
        if request.id in self._logins:
            raise BadParameter("SSH-SPAWN-MESSAGE", problem="the id is in use")
        now = self._clock.now()
        ends = self._verify(request, self._pinned, now)
        if len(self._seen) >= self._limits["logins to remember"]:
            self._seen.forget(now.timestamp())
        self._check_room("logins to remember", len(self._seen))
        self._check_room("open connections", len(self._logins))
        if not self._seen.add(request.session_id, ends):
            raise NotAuthenticated("SSH-ADMIT-REPLAY")
        self._logins[request.id] = request.login

    def _verify(self, request: messages.Admit, pinned: messages.Trust, now: dt.datetime) -> int:
        from teleport.agents.ssh import proof

        if not self._trusted:
            from teleport.agents.ssh import user_side_process  # noqa: F401 - see above

            self._trusted = proof.authorities(pinned.authorities)
            gc.collect()
            gc.freeze()  # so that the forks to come share these pages
        return proof.verify(request, self._trusted, pinned.cluster, now)

    def _check_room(self, things: str, count: int) -> None:
        if count >= self._limits[things]:
            raise LimitExceeded("SSH-ADMIT-FULL", limit=self._limits[things], things=things)

    def check_host_users(self) -> None:
        """Raise AccessDenied (SSH-HOST-USER-CLOSED) unless this spawner makes accounts."""
        if self._pinned is None or not self._pinned.host_users:
            raise AccessDenied("SSH-HOST-USER-CLOSED")

    def login(self, id: int) -> str:
        """Return the login of an admission. Raises AccessDenied (SSH-ADMIT-MISSING)."""
        if id not in self._logins:
            raise AccessDenied("SSH-ADMIT-MISSING", whom="anybody")
        return self._logins[id]

    def check(self, id: int, login: str) -> None:
        """Raise AccessDenied (SSH-ADMIT-MISSING) unless this admission is open and for this login."""
        if self._logins.get(id) != login:
            raise AccessDenied("SSH-ADMIT-MISSING", whom=repr(login))

    def dismiss(self, id: int) -> None:
        """The connection is over."""
        self._logins.pop(id, None)
