"""AuthClient: the Auth Service as plain async methods over kinds and the words of `api.messages`.

Here: calls and how a connection is opened. Not here: which address to try (that is the caller's), TLS
(a Stream is handed in ready). Every method raises what the server raised, Unavailable (API-UNAVAILABLE)
or TimedOut (API-DEADLINE).
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Literal, cast

import msgspec
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty

from teleport.api.audit_proof_calls import AuditProofCalls
from teleport.api.messages import (
    AuthorityStatus,
    Change,
    ClusterSettings,
    ClusterStatus,
    DatabaseRequest,
    Decision,
    Enrolment,
    EventPage,
    EventQuery,
    HostRequest,
    Invitation,
    Invite,
    LogReport,
    MadeCertificates,
    Page,
    Selection,
    SignedIn,
    UserRequest,
    Verdict,
    WebSession,
)
from teleport.api.pb import (
    audit_pb2,
    certificates_pb2,
    decisions_pb2,
    login_pb2,
    resources_pb2,
    users_pb2,
    web_sessions_pb2,
)
from teleport.api.rpc import Channel, Connect
from teleport.api.services import audit, certificates, decisions, login, resources, status, users, web_sessions
from teleport.api.services.audit import read_document
from teleport.api.services.login import authority_of
from teleport.api.services.resources import change_of, document_of, resource_of, selection_message
from teleport.api.services.web_sessions import session_of
from teleport.api.times import time_of
from teleport.model.resource import Resource
from teleport.net.bridge import as_transport
from teleport.net.stream import Stream


class AuthClient:
    """Calls the Auth Service over one connection, which is opened when first needed."""

    def __init__(self, connect: Connect) -> None:
        self._channel = Channel(connect)
        self.audit_proof = AuditProofCalls(self._channel)

    @property
    def channel(self) -> Channel:
        """The connection, for calls that have a module of their own (`api.*_calls`)."""
        return self._channel

    async def __aenter__(self) -> AuthClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Cut the connection."""
        self._channel.close()
        await self._channel.wait_closed()

    def reconnect(self) -> None:
        """Cut the connection; the next call opens another one. Calls under way fail as when it is lost."""
        self._channel.close()

    async def get(self, kind: str, name: str, *, sub_kind: str = "", with_secrets: bool = False) -> Resource[Any]:
        """Return a resource."""
        request = resources_pb2.GetRequest(kind=kind, name=name, sub_kind=sub_kind, with_secrets=with_secrets)
        return resource_of(await self._channel.unary(resources.GET, request))

    async def page(self, selection: Selection) -> Page:
        """Return one page of a list."""
        reply = await self._channel.unary(resources.LIST, selection_message(selection))
        return Page(tuple(resource_of(document) for document in reply.documents), reply.next)

    async def list(
        self,
        kind: str,
        *,
        sub_kind: str = "",
        labels: Mapping[str, str] | None = None,
        search: Sequence[str] = (),
        query: str = "",
        with_secrets: bool = False,
    ) -> AsyncIterator[Resource[Any]]:
        """Yield every resource of a kind that matches, page by page."""
        selection = Selection(
            kind=kind, sub_kind=sub_kind, labels=labels or {}, search=tuple(search), query=query,
            with_secrets=with_secrets,
        )  # fmt: skip
        request = selection_message(selection)
        while True:
            reply = await self._channel.unary(resources.LIST, request)
            for document in reply.documents:
                yield resource_of(document)
            if not reply.next:
                return
            request.after = reply.next

    async def create(self, resource: Resource[Any]) -> Resource[Any]:
        """Store a new resource. Raises AlreadyExists."""
        return resource_of(await self._channel.unary(resources.CREATE, _write(resource)))

    async def upsert(self, resource: Resource[Any]) -> Resource[Any]:
        """Store a resource, whatever was there."""
        return resource_of(await self._channel.unary(resources.UPSERT, _write(resource)))

    async def update(self, resource: Resource[Any]) -> Resource[Any]:
        """Replace the resource with the same revision. Raises CompareFailed, NotFound."""
        return resource_of(await self._channel.unary(resources.UPDATE, _write(resource)))

    async def delete(self, kind: str, name: str, *, sub_kind: str = "", revision: str = "") -> None:
        """Remove a resource."""
        request = resources_pb2.DeleteRequest(kind=kind, name=name, sub_kind=sub_kind, revision=revision)
        await self._channel.unary(resources.DELETE, request)

    async def watch(self, *kinds: str, with_secrets: bool = False) -> AsyncGenerator[Change, None]:
        """Yield `init`, then every change; ends with an error when the connection is lost."""
        request = resources_pb2.WatchRequest(kinds=kinds, with_secrets=with_secrets)
        async with aclosing(self._channel.stream(resources.WATCH, request)) as changes:
            async for change in changes:
                yield change_of(change)

    async def create_invite(self, user: str, *, ttl: float = 0) -> Invite:
        """Make a link with which `user` sets a first password; `ttl` in seconds, 0 for an hour."""
        return _invite(await self._channel.unary(users.CREATE_INVITE, _invite_request(user, ttl)))

    async def create_reset(self, user: str, *, ttl: float = 0) -> Invite:
        """Remove the password of `user` and make a link to set a new one; 0 for eight hours."""
        return _invite(await self._channel.unary(users.CREATE_RESET, _invite_request(user, ttl)))

    async def describe_invite(self, token: str, browser: str = "") -> Invitation:
        """Say whom a link is for and what `browser` may enrol; does not use the link up."""
        request = login_pb2.DescribeInviteRequest(token=token, browser=browser)
        reply = await self._channel.unary(login.DESCRIBE_INVITE, request)
        purpose = cast(Literal["invite", "reset"], reply.purpose)
        offered = reply.enrolment if reply.HasField("enrolment") else None
        enrolment = Enrolment(offered.secret, offered.uri) if offered else None
        return Invitation(reply.user, purpose, time_of(reply.expires), enrolment)

    async def complete_invite(
        self,
        token: str,
        password: str,
        *,
        client_address: str = "",
        browser: str = "",
        code: str = "",
        device_name: str = "",
    ) -> None:
        """Set the password, enrol the device that `code` proves, and use the link up."""
        request = login_pb2.CompleteInviteRequest(
            token=token, password=password, client_address=client_address, browser=browser, code=code,
            device_name=device_name,
        )  # fmt: skip
        await self._channel.unary(login.COMPLETE_INVITE, request)

    async def login(
        self,
        user: str,
        password: str,
        *,
        ssh_public_key: str,
        tls_public_key: str,
        ttl: float = 0,
        client_address: str = "",
        code: str = "",
    ) -> SignedIn:
        """Exchange credentials for certificates; `ttl` in seconds, 0 for what the cluster gives."""
        request = login_pb2.LoginRequest(
            user=user, password=password, code=code, ssh_public_key=ssh_public_key, tls_public_key=tls_public_key,
            ttl=_duration(ttl), client_address=client_address,
        )  # fmt: skip
        reply = await self._channel.unary(login.LOGIN, request)
        return SignedIn(
            username=reply.user, ssh_certificate=reply.ssh_certificate, tls_certificate=reply.tls_certificate,
            expires=time_of(reply.expires), hosts=authority_of(reply.host_authorities[0]),
        )  # fmt: skip

    async def web_sign_in(
        self, user: str, password: str, code: str, *, client_address: str = "", former: str = ""
    ) -> tuple[str, WebSession]:
        """Exchange credentials for a browser's session and its token; the session of the token `former` ends."""
        request = web_sessions_pb2.WebSignInRequest(
            user=user, password=password, code=code, client_address=client_address, former=former
        )  # fmt: skip
        reply = await self._channel.unary(web_sessions.SIGN_IN, request)
        return reply.token, session_of(reply.session)

    async def web_describe(self, token: str, *, client_address: str = "") -> WebSession:
        """Say whose session a token is. Raises NotAuthenticated (AUTH-SESSION) when it is over."""
        request = web_sessions_pb2.WebSession(token=token, client_address=client_address)
        return session_of(await self._channel.unary(web_sessions.DESCRIBE, request))

    async def web_sign_out(self, token: str) -> None:
        """End the session of a token."""
        await self._channel.unary(web_sessions.SIGN_OUT, web_sessions_pb2.WebSession(token=token))

    async def web_page(self, token: str, selection: Selection, *, client_address: str = "") -> Page:
        """Return one page of a list as the session's user sees it. Raises as `web_describe`."""
        session = web_sessions_pb2.WebSession(token=token, client_address=client_address)
        request = web_sessions_pb2.WebListRequest(session=session, selection=selection_message(selection))
        reply = await self._channel.unary(web_sessions.LIST, request)
        return Page(tuple(resource_of(document) for document in reply.documents), reply.next)

    async def issue_database(self, request: DatabaseRequest) -> MadeCertificates:
        """Return a certificate for a database itself; there is none for SSH. Raises AccessDenied (POL-*)."""
        asked = certificates_pb2.IssueDatabaseRequest(
            hosts=request.hosts, tls_public_key=request.tls_public_key, ttl=_duration(request.ttl)
        )
        reply = await self._channel.unary(certificates.ISSUE_DATABASE, asked)
        return MadeCertificates(
            ssh_certificate="", tls_certificate=reply.tls_certificate, expires=time_of(reply.expires),
            authorities=tuple(authority_of(entry) for entry in reply.authorities),
        )  # fmt: skip

    async def issue_host(self, request: HostRequest) -> MadeCertificates:
        """Return certificates for a service."""
        reply = await self._channel.unary(
            certificates.ISSUE_HOST,
            certificates_pb2.IssueHostRequest(
                host_uuid=request.host_uuid, node_name=request.node_name, roles=request.roles,
                principals=request.principals, ssh_public_key=request.ssh_public_key,
                tls_public_key=request.tls_public_key, ttl=_duration(request.ttl),
            ),
        )  # fmt: skip
        return MadeCertificates(
            ssh_certificate=reply.ssh_certificate, tls_certificate=reply.tls_certificate,
            expires=time_of(reply.expires), authorities=tuple(authority_of(a) for a in reply.authorities),
        )  # fmt: skip

    async def issue_user(self, request: UserRequest) -> MadeCertificates:
        """Return certificates in the name of a user."""
        reply = await self._channel.unary(
            certificates.ISSUE_USER,
            certificates_pb2.IssueUserRequest(
                user=request.user, ssh_public_key=request.ssh_public_key, tls_public_key=request.tls_public_key,
                ttl=_duration(request.ttl),
            ),
        )  # fmt: skip
        return MadeCertificates(
            ssh_certificate=reply.ssh_certificate, tls_certificate=reply.tls_certificate,
            expires=time_of(reply.expires), authorities=tuple(authority_of(a) for a in reply.authorities),
        )  # fmt: skip

    async def emit(self, *events: Mapping[str, Any]) -> None:
        """Store audit events; returns when they are durable."""
        await self._channel.unary(audit.EMIT, audit_pb2.EmitRequest(events=[msgspec.json.encode(e) for e in events]))

    async def search_events(self, query: EventQuery) -> EventPage:
        """Return a page of audit events. The server ends a page early when its share of the work is done: then it is
        asked on, until the page is full or there is nothing more."""
        page = await self._search_events(query)
        while page.next and query.limit > len(page.events):
            more = await self._search_events(replace(query, after=page.next, limit=query.limit - len(page.events)))
            page = EventPage(page.events + more.events, more.next)
        return page

    async def _search_events(self, query: EventQuery) -> EventPage:
        request = audit_pb2.SearchRequest(
            types=query.types, user=query.user, text=query.text, limit=query.limit,
            after=query.after, descending=query.descending, since=query.since, until=query.until,
        )  # fmt: skip
        reply = await self._channel.unary(audit.SEARCH, request)
        return EventPage(tuple(read_document(event) for event in reply.events), reply.next)

    async def verify_audit(self) -> tuple[LogReport, ...]:
        """Let the server recompute every hash chain."""
        reply = await self._channel.unary(audit.VERIFY, Empty())
        return tuple(LogReport(r.log, r.records, r.digest, r.problem) for r in reply.logs)

    async def record_denial(self, record: bytes, *, client_address: str = "") -> str:
        """Keep a denial, written by `access.explain.to_record`; return its id for the person who was refused."""
        request = decisions_pb2.RecordRequest(denial=record, client_address=client_address)
        return (await self._channel.unary(decisions.RECORD, request)).id

    async def explain(self, id: str) -> Decision:
        """Return a kept denial with all its reasons."""
        reply = await self._channel.unary(decisions.EXPLAIN, decisions_pb2.ExplainRequest(id=id))
        return Decision(
            id=reply.id, denial=read_document(reply.denial), count=reply.count, reporter=reply.reporter,
            first_seen=time_of(reply.first_seen), last_seen=time_of(reply.last_seen),
        )  # fmt: skip

    async def can(self, user: str, login: str, node: str) -> Verdict:
        """Ask whether `user` could sign in to `node` as `login` now."""
        request = decisions_pb2.CanRequest(user=user, login=login, node=node)
        reply = await self._channel.unary(decisions.CAN, request)
        return Verdict(reply.granted, read_document(reply.decision))

    async def ping(self) -> tuple[str, str]:
        """Return the name of the cluster and the version of the server."""
        reply = await self._channel.unary(status.PING, Empty())
        return reply.cluster, reply.version

    async def status(self) -> ClusterStatus:
        """Return facts about the cluster."""
        reply = await self._channel.unary(status.GET, Empty())
        states = tuple(AuthorityStatus(a.type, a.state, a.phase, a.last_rotated) for a in reply.authorities)
        return ClusterStatus(reply.cluster, reply.version, tuple(reply.ca_pins), states)

    async def cluster_settings(self) -> ClusterSettings:
        """Return what the cluster decides for its services."""
        return status.settings_of(await self._channel.unary(status.GET_SETTINGS, Empty()))


def over_unix(path: str) -> Connect:
    """Open connections to a unix socket."""

    async def connect(factory: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        _, protocol = await asyncio.get_running_loop().create_unix_connection(factory, path)
        return protocol

    return connect


def over_stream(dial: Callable[[], Awaitable[Stream]]) -> Connect:
    """Open connections over Streams: of memory, of TLS, of a tunnel."""

    async def connect(factory: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        _, protocol = as_transport(await dial(), factory)
        return protocol

    return connect


def _write(resource: Resource[Any]) -> resources_pb2.WriteRequest:
    return resources_pb2.WriteRequest(document=document_of(resource, secrets=True))


def _invite_request(user: str, ttl: float) -> users_pb2.InviteRequest:
    return users_pb2.InviteRequest(user=user, ttl=_duration(ttl))


def _invite(reply: users_pb2.Invite) -> Invite:
    return Invite(reply.user, reply.token, reply.path, time_of(reply.expires))


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(dt.timedelta(seconds=seconds))
    return duration
