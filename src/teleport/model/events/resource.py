"""Events of resources: created, updated, deleted.

Which event belongs to which change is said by the kind (`KindInfo.events`); a change without an event of
its own is recorded as `resource.change`, so that no change is without a record.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from teleport.base.errors import BadParameter
from teleport.model.events.base import CallerEvent, Level, Public, PublicTime, Sensitive, event, every
from teleport.model.resource import Resource, find

Action = Literal["create", "update", "delete"]


class ResourceEvent(CallerEvent, frozen=True, kw_only=True):
    """A change of one resource."""

    name: Sensitive
    expires: PublicTime | None = None

    @classmethod
    def describe(cls, resource: Resource[Any]) -> dict[str, Any]:
        """Return the fields that follow from the resource itself."""
        return {"name": shown_name(resource), "expires": resource.metadata.expires}


def shown_name(resource: Resource[Any]) -> str:
    """Return the name by which a resource may be recorded: masked where the name is a secret."""
    safe = getattr(resource, "safe_name", None)
    return str(safe()) if safe is not None else resource.name


def shown_word(kind: str, name: str) -> str:
    """As `shown_name`, for a name that somebody gave and that may belong to nothing."""
    try:
        mask = getattr(find(kind).cls, "mask_name", None)
    except BadParameter:  # not a kind of its own: a recorded session
        mask = None
    return str(mask(name)) if mask is not None else name


def change_event(action: Action, resource: Resource[Any], **caller: Any) -> ResourceEvent:
    """Return the event of a change; `caller` are fields of a CallerEvent, as from `caller_fields`."""
    name, code = resource.info.events.get(action, ("resource.change", ""))
    shape = every()[name]
    if not issubclass(shape, ResourceEvent):
        raise TypeError(f"{name} is not an event of resources")
    fields = shape.describe(resource)
    if shape is ResourceChange:
        fields["action"] = action
    return shape(code=code, **fields, **caller)


@event("TRC00I")
class ResourceChange(ResourceEvent, frozen=True, kw_only=True, tag="resource.change"):
    """A change of a kind that has no event of its own for it."""

    resource_kind: Public
    sub_kind: Public = ""
    action: Annotated[Action, Level.PUBLIC]

    @classmethod
    def describe(cls, resource: Resource[Any]) -> dict[str, Any]:
        """Say which kind it is."""
        return {
            **super().describe(resource),
            "resource_kind": resource.info.name,
            "sub_kind": resource.sub_kind,
        }


class UserChange(ResourceEvent, frozen=True, kw_only=True):
    """A change of a user. `user` is who made it, `name` whom it is about."""

    roles: Annotated[tuple[str, ...], Level.SENSITIVE] = ()
    connector: Public = "local"

    @classmethod
    def describe(cls, resource: Resource[Any]) -> dict[str, Any]:
        """Say which roles the user has, and until when."""
        spec = resource.spec
        return {
            **super().describe(resource),
            "roles": spec.roles,
            "expires": resource.metadata.expires or spec.expires,
        }


@event("T1002I")
class UserCreate(UserChange, frozen=True, kw_only=True, tag="user.create"):
    """A user was created."""


@event("T1003I")
class UserUpdate(UserChange, frozen=True, kw_only=True, tag="user.update"):
    """A user was changed."""


@event("T1004I")
class UserDelete(UserChange, frozen=True, kw_only=True, tag="user.delete"):
    """A user was deleted."""


@event("T9000I")
class RoleCreated(ResourceEvent, frozen=True, kw_only=True, tag="role.created"):
    """A role was created."""


@event("T9001I")
class RoleDeleted(ResourceEvent, frozen=True, kw_only=True, tag="role.deleted"):
    """A role was deleted."""


@event("T9002I")
class RoleUpdated(ResourceEvent, frozen=True, kw_only=True, tag="role.updated"):
    """A role was changed."""


class BotChange(ResourceEvent, frozen=True, kw_only=True):
    """A change of a bot. `user` is who made it, `name` which bot it is about."""

    roles: Annotated[tuple[str, ...], Level.SENSITIVE] = ()

    @classmethod
    def describe(cls, resource: Resource[Any]) -> dict[str, Any]:
        """Say which roles the bot may have."""
        return {**super().describe(resource), "roles": resource.spec.roles}


@event("TB001I")
class BotCreate(BotChange, frozen=True, kw_only=True, tag="bot.create"):
    """A bot was created."""


@event("TB002I")
class BotUpdate(BotChange, frozen=True, kw_only=True, tag="bot.update"):
    """A bot was changed."""


@event("TB003I")
class BotDelete(BotChange, frozen=True, kw_only=True, tag="bot.delete"):
    """A bot was deleted, with its user, role, instances and tokens."""


class LockChange(ResourceEvent, frozen=True, kw_only=True):
    """A change of a lock."""

    target: Annotated[dict[str, str], Level.SENSITIVE] = {}
    message: Sensitive = ""

    @classmethod
    def describe(cls, resource: Resource[Any]) -> dict[str, Any]:
        """Say whom the lock is for, why, and until when."""
        spec = resource.spec
        return {
            **super().describe(resource),
            "target": spec.target.named(),
            "message": spec.message,
            "expires": spec.expires or resource.metadata.expires,
        }


@event("TLK00I")
class LockCreated(LockChange, frozen=True, kw_only=True, tag="lock.created"):
    """A lock was created, or changed."""


@event("TLK01I")
class LockDeleted(LockChange, frozen=True, kw_only=True, tag="lock.deleted"):
    """A lock was deleted."""


@event("TST00I")
class SessionTerminate(ResourceEvent, frozen=True, kw_only=True, tag="session.terminate"):
    """Somebody entitled to it asked that a session end. `name` is the session, `user` who asked."""

    sid: Public
    host_user: Sensitive = ""
    """Whose session it is."""
    server_id: Public = ""
    message: Sensitive = ""

    @classmethod
    def describe(cls, resource: Resource[Any]) -> dict[str, Any]:
        """Say which session, whose, where, and why."""
        spec = resource.spec
        return {
            **super().describe(resource),
            "sid": resource.name,
            "host_user": spec.host_user,
            "server_id": spec.server_id,
            "message": spec.message,
        }


@event("TJT00I")
class JoinTokenCreate(ResourceEvent, frozen=True, kw_only=True, tag="join_token.create"):
    """A join token was created or changed. Its name is masked."""

    roles: Annotated[tuple[str, ...], Level.PUBLIC] = ()
    join_method: Public = ""

    @classmethod
    def describe(cls, resource: Resource[Any]) -> dict[str, Any]:
        """Say as what hosts may join, and how."""
        spec = resource.spec
        return {
            **super().describe(resource),
            "roles": spec.roles,
            "join_method": spec.join_method,
        }
