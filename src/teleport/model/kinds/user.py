"""user: a person, or a program with a name of its own: what they hold and whether they may sign in.

Not here: passwords and second factors, which are no part of the document and stand under keys of their
own that no API returns.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct, Switch
from teleport.model.identity import Traits
from teleport.model.later import Unacted, check_later
from teleport.model.login import is_login
from teleport.model.naming import check_name, check_names, check_text, check_time
from teleport.model.resource import Column, Resource, Time, kind

_ZERO_TIME = "0001-01-01T00:00:00Z"
_OFF = Switch(False)


class Author(Struct, frozen=True, kw_only=True):
    """A user, by name."""

    name: str = ""


class CreatedBy(Struct, frozen=True, kw_only=True):
    """Who made the user and when. Recorded, kept by updates; no decision depends on it."""

    time: Time | None = None
    user: Author = Author()
    connector: Unacted = None


class LoginStatus(Struct, frozen=True, kw_only=True):
    """Whether the user is locked out, as after too many wrong passwords."""

    is_locked: Switch = _OFF
    lock_expires: Time | None = None
    """End of the lock-out; without it, it lasts until `is_locked` is set to no."""
    locked_time: Time | None = None
    """Start of the lock-out. Recorded; no decision depends on it."""
    locked_message: str = ""
    recovery_attempt_lock_expires: Unacted = None


class UserSpec(Struct, frozen=True, kw_only=True):
    """What a user holds."""

    roles: tuple[str, ...] = ()
    traits: Traits = {}
    expires: Time | None = None
    """End of the account, beside `metadata.expires`."""
    created_by: CreatedBy = CreatedBy()
    status: LoginStatus = LoginStatus()
    oidc_identities: Unacted = None
    saml_identities: Unacted = None
    github_identities: Unacted = None
    trusted_device_ids: Unacted = None


@kind(
    key="users",
    versions=("v2",),
    aliases=("users",),
    columns=(Column("User", lambda user: str(user.name)),),
    events={
        "create": ("user.create", "T1002I"),
        "update": ("user.update", "T1003I"),
        "delete": ("user.delete", "T1004I"),
    },
)
class User(Resource[UserSpec], frozen=True, kw_only=True, tag="user"):
    """An account of the cluster."""

    spec: UserSpec = UserSpec()

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Leave out times of the year 1, by which other servers write `no time`."""
        if isinstance(document.get("spec"), Mapping):
            document = {**document, "spec": _without_zero_times(document["spec"])}
        return document

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for names and texts out of grammar, NotSupported for unacted fields."""
        check_later("user", self.spec)
        check_names("role", self.spec.roles)
        check_text("user", "spec.status.locked_message", self.spec.status.locked_message)
        check_time("user", "spec.expires", self.spec.expires)
        check_time("user", "spec.status.lock_expires", self.spec.status.lock_expires)
        for trait, values in self.spec.traits.items():
            check_name("trait", trait)
            for value in values:
                check_text("user", f"spec.traits.{trait}", value)
        for login in self.spec.traits.get("logins", ()):
            if not is_login(login):
                raise BadParameter("KIND-LOGIN", kind="user", login=ascii(login[:80]))

    def is_locked_out(self, now: dt.datetime) -> bool:
        """Whether signing in is refused at `now` because of the status."""
        status = self.spec.status
        return bool(status.is_locked) and (status.lock_expires is None or now < status.lock_expires)

    def is_expired(self, now: dt.datetime) -> bool:
        """Whether the account has ended at `now`."""
        return any(end is not None and end <= now for end in (self.spec.expires, self.metadata.expires))


def _without_zero_times(part: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in part.items() if value != _ZERO_TIME}
    return {key: _without_zero_times(value) if isinstance(value, Mapping) else value for key, value in kept.items()}
