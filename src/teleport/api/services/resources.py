"""Resources: stored things of every kind, as documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

import msgspec
from google.protobuf.empty_pb2 import Empty

from teleport.api.caller import EVERYONE, Caller
from teleport.api.messages import Change, Name, Page, Selection
from teleport.api.pb import resources_pb2 as pb
from teleport.api.rpc import LARGEST_MESSAGE, Method, call
from teleport.base.errors import BadParameter
from teleport.base.struct import encode
from teleport.model.resource import Resource, load

GET = call("Resources", "Get", pb.GetRequest, pb.Document)
LIST = call("Resources", "List", pb.ListRequest, pb.ListReply)
CREATE = call("Resources", "Create", pb.WriteRequest, pb.Document)
UPSERT = call("Resources", "Upsert", pb.WriteRequest, pb.Document)
UPDATE = call("Resources", "Update", pb.WriteRequest, pb.Document)
DELETE = call("Resources", "Delete", pb.DeleteRequest, Empty)
WATCH = call("Resources", "Watch", pb.WatchRequest, pb.Change, streams=True)

_AROUND = 1024
"""More bytes than a document has beside its JSON."""


class Resources(Protocol):
    """What the Auth Service does with stored things. Methods raise `base.errors`."""

    async def get(self, caller: Caller, which: Name, *, with_secrets: bool = False) -> Resource[Any]:
        """Return a resource; one that the caller may not list is not found."""
        ...

    async def list(self, caller: Caller, selection: Selection) -> Page:
        """Return a page of what the caller may list."""
        ...

    async def create(self, caller: Caller, resource: Resource[Any]) -> Resource[Any]:
        """Store a new resource."""
        ...

    async def upsert(self, caller: Caller, resource: Resource[Any]) -> Resource[Any]:
        """Store a resource whatever was there."""
        ...

    async def update(self, caller: Caller, resource: Resource[Any]) -> Resource[Any]:
        """Replace the resource of the same revision."""
        ...

    async def delete(self, caller: Caller, which: Name, *, revision: str = "") -> None:
        """Remove a resource."""
        ...

    def watch(self, caller: Caller, kinds: tuple[str, ...], *, with_secrets: bool = False) -> AsyncIterator[Change]:
        """Yield `init` and then every change that the caller may see."""
        ...


def document_of(resource: Resource[Any], *, secrets: bool) -> pb.Document:
    """Write a resource as a message."""
    meta = resource.metadata
    return pb.Document(
        kind=resource.info.name, sub_kind=resource.sub_kind, name=meta.name, revision=meta.revision,
        json=encode(resource, secrets=secrets),
    )  # fmt: skip


def resource_of(document: pb.Document) -> Resource[Any]:
    """Read and check a resource. Raises BadParameter (API-DOCUMENT, KIND-*)."""
    try:
        plain = msgspec.json.decode(document.json)
    except msgspec.DecodeError as error:
        raise BadParameter("API-DOCUMENT", problem=str(error)[:120]) from None
    if not isinstance(plain, dict):
        raise BadParameter("API-DOCUMENT", problem="it is not an object")
    resource = load(plain)
    if document.revision:
        resource = resource.with_metadata(revision=document.revision)
    return resource


def methods(resources: Resources) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def get(caller: Caller, request: pb.GetRequest) -> pb.Document:
        which = Name(request.kind, request.name, request.sub_kind)
        found = await resources.get(caller, which, with_secrets=request.with_secrets)
        return document_of(found, secrets=request.with_secrets)

    async def list_page(caller: Caller, request: pb.ListRequest) -> pb.ListReply:
        return list_reply(await resources.list(caller, selection_of(request)), request)

    async def create(caller: Caller, request: pb.WriteRequest) -> pb.Document:
        return document_of(await resources.create(caller, resource_of(request.document)), secrets=False)

    async def upsert(caller: Caller, request: pb.WriteRequest) -> pb.Document:
        return document_of(await resources.upsert(caller, resource_of(request.document)), secrets=False)

    async def update(caller: Caller, request: pb.WriteRequest) -> pb.Document:
        return document_of(await resources.update(caller, resource_of(request.document)), secrets=False)

    async def delete(caller: Caller, request: pb.DeleteRequest) -> Empty:
        which = Name(request.kind, request.name, request.sub_kind)
        await resources.delete(caller, which, revision=request.revision)
        return Empty()

    async def watch(caller: Caller, request: pb.WatchRequest) -> AsyncIterator[pb.Change]:
        secrets = request.with_secrets
        async for change in resources.watch(caller, tuple(request.kinds), with_secrets=secrets):
            yield _change_message(change, secrets)

    return (
        Method(GET, EVERYONE, get),
        Method(LIST, EVERYONE, list_page),
        Method(CREATE, EVERYONE, create),
        Method(UPSERT, EVERYONE, upsert),
        Method(UPDATE, EVERYONE, update),
        Method(DELETE, EVERYONE, delete),
        Method(WATCH, EVERYONE, watch),
    )


def selection_message(selection: Selection) -> pb.ListRequest:
    """Write a selection as a message."""
    return pb.ListRequest(
        kind=selection.kind, sub_kind=selection.sub_kind, after=selection.after, limit=selection.limit,
        labels=dict(selection.labels), search=selection.search, query=selection.query,
        with_secrets=selection.with_secrets,
    )  # fmt: skip


def selection_of(request: pb.ListRequest) -> Selection:
    """Read a selection."""
    return Selection(
        kind=request.kind, sub_kind=request.sub_kind, after=request.after, limit=request.limit,
        labels=dict(request.labels), search=tuple(request.search), query=request.query,
        with_secrets=request.with_secrets,
    )  # fmt: skip


def list_reply(page: Page, request: pb.ListRequest) -> pb.ListReply:
    """Write a page; one that would be over the bound of a message ends early."""
    reply, size = pb.ListReply(next=page.next), 0
    for entry in page.resources:
        document = document_of(entry, secrets=request.with_secrets)
        size += len(document.json) + _AROUND
        if reply.documents and size > LARGEST_MESSAGE:
            last = reply.documents[-1]
            reply.next = last.name if request.sub_kind or not entry.info.by_sub_kind else f"{last.sub_kind}/{last.name}"
            break
        reply.documents.append(document)
    return reply


def _change_message(change: Change, secrets: bool) -> pb.Change:
    if change.resource is not None:
        return pb.Change(type=pb.Change.TYPE_PUT, document=document_of(change.resource, secrets=secrets))
    if change.gone is not None:
        gone = pb.Document(kind=change.gone.kind, sub_kind=change.gone.sub_kind, name=change.gone.name)
        return pb.Change(type=pb.Change.TYPE_DELETE, document=gone)
    return pb.Change(type=pb.Change.TYPE_INIT)


def change_of(message: pb.Change) -> Change:
    """Read a step of a watch. Raises BadParameter as `resource_of`."""
    document = message.document
    if message.type == pb.Change.TYPE_PUT:
        return Change("put", resource=resource_of(document))
    if message.type == pb.Change.TYPE_DELETE:
        return Change("delete", gone=Name(document.kind, document.name, document.sub_kind))
    return Change("init")
