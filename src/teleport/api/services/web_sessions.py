"""WebSessions: what the proxy asks for on behalf of a browser that has signed in."""

from __future__ import annotations

from typing import Protocol

from google.protobuf.empty_pb2 import Empty

from teleport.api.caller import PROXY, Caller
from teleport.api.messages import Credentials, Page, Selection, WebSession
from teleport.api.pb import resources_pb2
from teleport.api.pb import web_sessions_pb2 as pb
from teleport.api.rpc import Method, call
from teleport.api.services.resources import list_reply, selection_of
from teleport.api.times import time_of

SIGN_IN = call("WebSessions", "SignIn", pb.WebSignInRequest, pb.WebSignInReply)
DESCRIBE = call("WebSessions", "Describe", pb.WebSession, pb.WebSessionDescription)
SIGN_OUT = call("WebSessions", "SignOut", pb.WebSession, Empty)
LIST = call("WebSessions", "List", pb.WebListRequest, resources_pb2.ListReply)


class WebSessions(Protocol):
    """What the Auth Service does. Methods raise `base.errors`; a session that is over is NotAuthenticated."""

    async def sign_in(self, who: Credentials, former: str) -> tuple[str, WebSession]:
        """Exchange credentials for a token and its session; the session of the token `former` ends."""
        ...

    async def describe(self, token: str, client_address: str) -> WebSession:
        """Say whose session it is."""
        ...

    async def sign_out(self, token: str) -> None:
        """End the session."""
        ...

    async def list(self, token: str, client_address: str, selection: Selection) -> Page:
        """List resources as the session's user."""
        ...


def methods(sessions: WebSessions) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def sign_in(caller: Caller, request: pb.WebSignInRequest) -> pb.WebSignInReply:
        who = Credentials(
            user=request.user, password=request.password, code=request.code, client_address=request.client_address
        )  # fmt: skip
        token, session = await sessions.sign_in(who, request.former)
        return pb.WebSignInReply(token=token, session=_message(session))

    async def describe(caller: Caller, request: pb.WebSession) -> pb.WebSessionDescription:
        return _message(await sessions.describe(request.token, request.client_address))

    async def sign_out(caller: Caller, request: pb.WebSession) -> Empty:
        await sessions.sign_out(request.token)
        return Empty()

    async def list_page(caller: Caller, request: pb.WebListRequest) -> resources_pb2.ListReply:
        session, selection = request.session, selection_of(request.selection)
        page = await sessions.list(session.token, session.client_address, selection)
        return list_reply(page, request.selection)

    audience = frozenset({PROXY})
    return (
        Method(SIGN_IN, audience, sign_in),
        Method(DESCRIBE, audience, describe),
        Method(SIGN_OUT, audience, sign_out),
        Method(LIST, audience, list_page),
    )


def _message(session: WebSession) -> pb.WebSessionDescription:
    return pb.WebSessionDescription(user=session.user, roles=session.roles, expires=session.expires)


def session_of(message: pb.WebSessionDescription) -> WebSession:
    """Read a description."""
    return WebSession(user=message.user, roles=tuple(message.roles), expires=time_of(message.expires))
