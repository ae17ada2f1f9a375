"""lock: forbids everything to whomever its target names, at once and whatever roles allow.

A lock that nothing enforces would be worse than none, so targets this build cannot recognise are
refused. Which connections a lock meets is decided in `access.locks`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct
from teleport.model.later import Unacted, check_later
from teleport.model.naming import check_name, check_text, check_time
from teleport.model.resource import Column, Metadata, Resource, Time, kind

ENFORCED = ("user", "role", "login", "server_id", "join_token", "bot_instance_id")
"""Fields of a target, in the order in which they are shown."""

_SHOWN = {
    "user": "User", "role": "Role", "login": "Login", "server_id": "ServerID", "join_token": "JoinToken",
    "bot_instance_id": "BotInstanceID",
}  # fmt: skip


class LockTarget(Struct, frozen=True, kw_only=True):
    """Whom a lock is for. Where several fields are set, all of them must match."""

    user: str = ""
    role: str = ""
    login: str = ""
    server_id: str = ""
    join_token: str = ""
    bot_instance_id: str = ""
    node: str = ""
    """Old name of `server_id`; a loaded lock never has it."""
    mfa_device: Unacted = None
    windows_desktop: Unacted = None
    access_request: Unacted = None
    device: Unacted = None

    def named(self) -> dict[str, str]:
        """Return the fields that are set: name to value, never empty in a checked lock."""
        return {field: value for field in ENFORCED if (value := getattr(self, field))}

    def __str__(self) -> str:
        """The target as sentences name it: `User:"bot-example"`."""
        return " ".join(
            f"{_SHOWN[field]}:{json.dumps(value, ensure_ascii=False)}" for field, value in self.named().items()
        )


class LockSpec(Struct, frozen=True, kw_only=True):
    """Target, reason and end of a lock."""

    target: LockTarget
    message: str = ""
    expires: Time | None = None
    created_at: Time | None = None
    """Set by the server. Recorded; no decision depends on it."""
    created_by: str = ""
    """Set by the server. Recorded; no decision depends on it."""


@kind(
    key="locks",
    versions=("v2",),
    aliases=("locks",),
    writable=("create", "rm"),
    generated_name=True,
    columns=(
        Column("ID", lambda lock: str(lock.name)),
        Column("Target", lambda lock: str(lock.spec.target)),
        Column("Message", lambda lock: str(lock.spec.message)),
        Column("Expires", lambda lock: lock.spec.expires.isoformat() if lock.spec.expires else "never"),
    ),
    events={
        "create": ("lock.created", "TLK00I"),
        "update": ("lock.created", "TLK00I"),
        "delete": ("lock.deleted", "TLK01I"),
    },
)
class Lock(Resource[LockSpec], frozen=True, kw_only=True, tag="lock"):
    """A prohibition. Its name is a UUID that the server gives when the document has none."""

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Turn the old target `node` into `server_id`. Raises BadParameter (KIND-LOCK-NODE) if both differ."""
        spec = document.get("spec")
        target = spec.get("target") if isinstance(spec, Mapping) else None
        if not isinstance(spec, Mapping) or not isinstance(target, Mapping) or not target.get("node"):
            return document
        if target.get("server_id", "") not in ("", target["node"]):
            raise BadParameter("KIND-LOCK-NODE")
        renamed = {key: value for key, value in target.items() if key != "node"}
        return {**document, "spec": {**spec, "target": {**renamed, "server_id": target["node"]}}}

    @classmethod
    def against(cls, target: LockTarget, message: str, *, name: str, at: dt.datetime, by: str) -> Lock:
        """Return a lock without an end that the cluster itself makes."""
        spec = LockSpec(target=target, message=message)
        return cls(version="v2", metadata=Metadata(name=name), spec=spec).made(at, by)

    def made(self, at: dt.datetime, by: str) -> Lock:
        """Return the lock with who made it, and when: also as `metadata.id`, which programs of long ago read."""
        spec = msgspec.structs.replace(self.spec, created_at=at, created_by=by)
        return msgspec.structs.replace(self, spec=spec).with_metadata(id=_nanoseconds(at))

    def check(self) -> None:
        """Raise BadParameter (KIND-*) without a target or with one out of grammar, NotSupported for unacted."""
        check_later("lock", self.spec)
        named = self.spec.target.named()
        if not named:
            raise BadParameter("KIND-LOCK-TARGET", known=", ".join(ENFORCED))
        for field, value in named.items():
            check_name(field, value)
        check_text("lock", "spec.message", self.spec.message)
        check_text("lock", "spec.created_by", self.spec.created_by)
        check_time("lock", "spec.expires", self.spec.expires)

    def in_force(self, now: dt.datetime) -> bool:
        """Whether the lock still forbids at `now`."""
        return all(end is None or now < end for end in (self.spec.expires, self.metadata.expires))


def _nanoseconds(at: dt.datetime) -> int:
    """Return a moment as nanoseconds since 1970, without the rounding of a float."""
    since = at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000
