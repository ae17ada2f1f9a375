"""Errors that teach: a stable code, what happened, why, and how to fix it.

An error is a code of the catalogue with named fields; its words come from `base.catalogue`, so that
they can be translated and so that a remote side can send the error as data. The class says what kind
of failure it is, for programs; the code says which one, for people.
"""

from __future__ import annotations

from teleport.base import catalogue
from teleport.base.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import ClassVar, Self


class Kind(NamedTuple):
    """How one class of error is expressed elsewhere."""

    grpc: int
    """Status code of gRPC (https://grpc.io/docs/guides/status-codes/)."""
    http: int
    """Status code of HTTP."""


class TeleportError(Exception):
    """Base of every error of this project.

    `code` names a page of the catalogue, `fields` fill it, `id` is the decision or request it belongs to.
    `str(error)` is what happened, in one line.
    """

    kind: ClassVar[Kind] = Kind(grpc=13, http=500)

    def __init__(self, code: str, /, *, id: str = "", **fields: object) -> None:
        self.code = code
        self.id = id
        self.fields = {name: str(value) for name, value in fields.items()}
        self.place = ""
        self._page = catalogue.find(code)
        super().__init__(self._page.what.format_map(self.fields))

    def at(self, place: str) -> Self:
        """Return the same error with the place of its cause, for example `file:line:col`, before its words."""
        located = type(self)(self.code, id=self.id, **self.fields)
        located.place = place
        located.args = (located.what,)
        return located

    @property
    def what(self) -> str:
        """What happened: one line that names the thing, after its place where that is known."""
        text = self._page.what.format_map(self.fields)
        return f"{self.place}: {text}" if self.place else text

    @property
    def why(self) -> str:
        """Why it happened; empty where `what` says it all."""
        return self._page.why.format_map(self.fields)

    @property
    def fix(self) -> str:
        """What to do, preferably a command to paste."""
        return self._page.fix.format_map(self.fields)


class Internal(TeleportError):
    """A condition that should not occur: a defect of ours."""


class BadParameter(TeleportError):
    """The input is wrong; sending it again will not help."""

    kind = Kind(grpc=3, http=400)


class NotFound(TeleportError):
    """No such thing, or none that the caller may know of."""

    kind = Kind(grpc=5, http=404)


class AlreadyExists(TeleportError):
    """The name is taken."""

    kind = Kind(grpc=6, http=409)


class AccessDenied(TeleportError):
    """The caller is known and may not do this."""

    kind = Kind(grpc=7, http=403)


class NotAuthenticated(TeleportError):
    """The caller has not proven who they are."""

    kind = Kind(grpc=16, http=401)


class CompareFailed(TeleportError):
    """The thing changed since it was read."""

    kind = Kind(grpc=10, http=412)


class LimitExceeded(TeleportError):
    """A bound on size, rate or number was reached."""

    kind = Kind(grpc=8, http=429)


class NotSupported(TeleportError):
    """Understood, but not available in this build or configuration."""

    kind = Kind(grpc=12, http=501)


class Unavailable(TeleportError):
    """A peer or resource cannot be reached now; later may work."""

    kind = Kind(grpc=14, http=503)


class TimedOut(TeleportError):
    """A named stage took longer than it may."""

    kind = Kind(grpc=4, http=504)


CLASSES: tuple[type[TeleportError], ...] = (
    BadParameter, NotFound, AlreadyExists, AccessDenied, NotAuthenticated, CompareFailed,
    LimitExceeded, NotSupported, Unavailable, TimedOut, Internal,
)  # fmt: skip


def from_grpc(status: int, code: str, fields: dict[str, str], id: str = "") -> TeleportError:
    """Rebuild an error that a peer sent; a code this build does not know becomes API-REMOTE."""
    cls = next((c for c in CLASSES if c.kind.grpc == status), Internal)
    fields = {name: value for name, value in fields.items() if name != "id"}
    try:
        return cls(code, id=id, **fields)
    except (catalogue.UnknownCode, KeyError):
        return cls("API-REMOTE", id=id, remote_code=code, message=fields.get("message", ""))
