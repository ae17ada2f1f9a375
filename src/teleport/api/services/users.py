"""Users: links with which people set a password."""

from __future__ import annotations

from typing import Protocol

from teleport.api.caller import ADMIN, BOT, USER, Caller
from teleport.api.messages import Invite
from teleport.api.pb import users_pb2 as pb
from teleport.api.rpc import Method, call
from teleport.api.times import seconds_of

CREATE_INVITE = call("Users", "CreateInvite", pb.InviteRequest, pb.Invite)
CREATE_RESET = call("Users", "CreateReset", pb.InviteRequest, pb.Invite)


class Users(Protocol):
    """What the Auth Service does. Methods raise `base.errors`."""

    async def create_invite(self, caller: Caller, user: str, ttl: float) -> Invite:
        """Make a link for a user without a password; `ttl` in seconds, 0 for the default."""
        ...

    async def create_reset(self, caller: Caller, user: str, ttl: float) -> Invite:
        """Remove the password and make a link to set a new one."""
        ...


def methods(users: Users) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def create_invite(caller: Caller, request: pb.InviteRequest) -> pb.Invite:
        return _message(await users.create_invite(caller, request.user, seconds_of(request.ttl)))

    async def create_reset(caller: Caller, request: pb.InviteRequest) -> pb.Invite:
        return _message(await users.create_reset(caller, request.user, seconds_of(request.ttl)))

    audience = frozenset({USER, BOT, ADMIN})
    return Method(CREATE_INVITE, audience, create_invite), Method(CREATE_RESET, audience, create_reset)


def _message(invite: Invite) -> pb.Invite:
    return pb.Invite(user=invite.user, token=invite.token, path=invite.path, expires=invite.expires)
