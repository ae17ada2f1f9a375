"""Resources: typed reading and writing of every kind, over any backend.

It knows no kind by name: where a resource stands follows from what its kind declares. Values are JSON
with secrets, because the store is the one place that keeps them. Who may do what is decided above.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import msgspec

from teleport.base.clock import Clock
from teleport.base.errors import AlreadyExists, BadParameter, CompareFailed, Internal, NotFound, TeleportError
from teleport.base.struct import decode, encode
from teleport.model.resource import KindInfo, Resource, find, load
from teleport.store.backend import (
    Absent,
    At,
    Backend,
    Changed,
    Condition,
    Delete,
    Init,
    Item,
    Op,
    Present,
    Put,
    Revision,
    Watch,
)
from teleport.store.decoded import Decoded

R = TypeVar("R", bound=Resource[Any])
Kind = KindInfo | str | type[Resource[Any]]
"""A kind, as its declaration, its name, or its class."""

_NAME_LIMIT = 256


@dataclass(frozen=True, slots=True)
class ResourceChanged:
    """`resource` was written."""

    resource: Resource[Any]


@dataclass(frozen=True, slots=True)
class ResourceRemoved:
    """The resource was deleted or has expired."""

    kind: str
    name: str
    sub_kind: str
    revision: Revision


ResourceEvent = Init | ResourceChanged | ResourceRemoved


class Resources:
    """Typed storage of resources. Operations given as `extra` are part of the same commit."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock
        self._decoded = Decoded()

    @overload
    async def get(self, kind: type[R], name: str, sub_kind: str = "") -> R: ...
    @overload
    async def get(self, kind: KindInfo | str, name: str, sub_kind: str = "") -> Resource[Any]: ...
    async def get(self, kind: Kind, name: str, sub_kind: str = "") -> Resource[Any]:
        """Return the resource; its revision is in its metadata.

        Raises NotFound (STORE-RESOURCE-NOT-FOUND), BadParameter (STORE-RESOURCE-NAME) and Internal
        (STORE-RESOURCE-DAMAGED).
        """
        info = info_of(kind)
        try:
            item = await self._backend.get(key_of(info, name, sub_kind))
        except NotFound:
            raise _not_found(info, name) from None
        return self._decode(info, item)

    @overload
    async def list(self, kind: type[R], after: str = "", limit: int = 0, *, sub_kind: str = "") -> Sequence[R]: ...
    @overload
    async def list(
        self, kind: KindInfo | str, after: str = "", limit: int = 0, *, sub_kind: str = ""
    ) -> Sequence[Resource[Any]]: ...
    async def list(self, kind: Kind, after: str = "", limit: int = 0, *, sub_kind: str = "") -> Sequence[Resource[Any]]:
        """Return resources in order of name: those after the name `after`, at most `limit` (0: all).

        For a kind with sub-kinds and no `sub_kind` given, the order is by sub-kind first and `after` is
        `<sub_kind>/<name>`. One damaged resource fails the list: leaving out a lock would grant access.
        """
        info = info_of(kind)
        prefix = f"/{info.key}/"
        if info.by_sub_kind and sub_kind:
            _check_name(info, sub_kind)
            prefix += f"{sub_kind}/"
        found = self._backend.scan(prefix, after=prefix + after if after else "", limit=limit)
        return [self._decode(info, item) async for item in found]

    async def create(self, resource: R, *extra: Op) -> R:
        """Store a resource that must not exist. Raises AlreadyExists (STORE-RESOURCE-EXISTS)."""
        return await self._write(resource, Absent(), extra)

    async def upsert(self, resource: R, *extra: Op) -> R:
        """Store a resource, whatever stood there."""
        return await self._write(resource, None, extra)

    async def update(self, resource: R, *extra: Op) -> R:
        """Store a resource over the revision that its metadata names.

        Raises CompareFailed (STORE-COMPARE) when it changed meanwhile or was never read, and NotFound
        (STORE-RESOURCE-NOT-FOUND).
        """
        return await self._write(
            resource, At(_revision(resource.info, resource.name, resource.metadata.revision)), extra
        )

    async def delete(self, kind: Kind, name: str, *extra: Op, sub_kind: str = "", revision: str = "") -> Revision:
        """Remove a resource, if given only at this revision.

        Raises NotFound (STORE-RESOURCE-NOT-FOUND) and CompareFailed (STORE-COMPARE).
        """
        info = info_of(kind)
        when = At(_revision(info, name, revision)) if revision else Present()
        op = Delete(key_of(info, name, sub_kind), when)
        gone = await self._commit(info, name, op, extra)
        self._decoded.forget(op.key)
        return gone

    def put_op(self, resource: Resource[Any], when: Condition = None) -> Put:
        """Return the operation that stores `resource`, for commits of several changes.

        Raises BadParameter (STORE-RESOURCE-NAME, STORE-RESOURCE-EXPIRED).
        """
        info, expires = resource.info, resource.metadata.expires
        if expires is not None and expires.tzinfo is None:
            raise BadParameter("STORE-VALUE", problem=f"the expiry of {resource.name!r} has no time zone")
        if expires is not None and expires <= self._clock.now():
            when_gone = expires.isoformat(timespec="seconds")
            raise BadParameter("STORE-RESOURCE-EXPIRED", kind=info.name, name=resource.name, expires=when_gone)
        key = key_of(info, resource.name, resource.sub_kind)
        try:
            value = encode(resource.with_metadata(revision=""), secrets=True)
        except UnicodeEncodeError as error:
            raise BadParameter("STORE-VALUE", problem=error) from None
        return Put(key, value, expires, when)

    @asynccontextmanager
    async def watch(self, *kinds: Kind) -> AsyncIterator[AsyncIterator[ResourceEvent]]:
        """Open a watch on all resources of these kinds: first Init, then changes in order of commit.

        Reading raises Unavailable (STORE-WATCH-BEHIND): then open a new watch and list again.
        """
        infos = {f"/{info.key}/": info for info in map(info_of, kinds)}
        async with self._backend.watch(*infos) as events, aclosing(self._typed(events, infos)) as typed:
            yield typed

    async def _typed(self, events: Watch, infos: dict[str, KindInfo]) -> AsyncGenerator[ResourceEvent, None]:
        async for event in events:
            if isinstance(event, Init):
                yield event
                continue
            key = event.item.key if isinstance(event, Changed) else event.key
            prefix, info = next((prefix, info) for prefix, info in infos.items() if key.startswith(prefix))
            if isinstance(event, Changed):
                yield ResourceChanged(self._decode(info, event.item))
            else:
                self._decoded.forget(key)  # a watch that lags may have read it again since it was deleted
                sub_kind, _, name = key.removeprefix(prefix).rpartition("/")
                yield ResourceRemoved(info.name, name, sub_kind, event.revision)

    def _decode(self, info: KindInfo, item: Item) -> Resource[Any]:
        return self._decoded.get(item, lambda item: _decode(info, item))

    async def _write(self, resource: R, when: Condition, extra: Sequence[Op]) -> R:
        revision = await self._commit(resource.info, resource.name, self.put_op(resource, when), extra)
        return resource.with_metadata(revision=str(revision))

    async def _commit(self, info: KindInfo, name: str, op: Put | Delete, extra: Sequence[Op]) -> Revision:
        try:
            return await self._backend.commit(op, *extra)
        except (NotFound, AlreadyExists, CompareFailed) as error:
            if error.fields.get("key") != op.key:
                raise  # a condition of an extra operation: its author knows what it means
            raise _in_words_of(error, info, name) from None


def info_of(kind: Kind) -> KindInfo:
    """Return the declaration of a kind. Raises BadParameter (KIND-UNKNOWN)."""
    if isinstance(kind, KindInfo):
        return kind
    return find(kind) if isinstance(kind, str) else kind.info


def key_of(info: KindInfo, name: str, sub_kind: str = "") -> str:
    """Return where a resource stands. Raises BadParameter (STORE-RESOURCE-NAME)."""
    name = name or info.singleton
    parts = (sub_kind, name) if info.by_sub_kind else (name,)
    for part in parts:
        _check_name(info, part)
    return "/".join(("", info.key, *parts))


def _check_name(info: KindInfo, name: str) -> None:
    if not _is_name(name):
        raise BadParameter("STORE-RESOURCE-NAME", kind=info.name, name=name[:60])


def _is_name(text: str) -> bool:
    # Not printable are also marks that turn the direction of writing: two names could look the same.
    visible = 0 < len(text) <= _NAME_LIMIT and text.isprintable() and text == text.strip()
    return visible and "/" not in text and "\\" not in text and text not in (".", "..")


def _revision(info: KindInfo, name: str, text: str) -> Revision:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise CompareFailed("STORE-COMPARE", key=f"{info.name}/{name}")
    return int(text)


def _decode(info: KindInfo, item: Item) -> Resource[Any]:
    try:
        if info.cls.upgrade.__func__ is Resource.upgrade.__func__:  # type: ignore[attr-defined]
            resource: Resource[Any] = decode(item.value, info.cls)
        else:
            resource = load(msgspec.json.decode(item.value, type=dict[str, Any]))
    except (msgspec.MsgspecError, TeleportError, UnicodeDecodeError) as error:
        name = item.key.rpartition("/")[2]
        raise Internal("STORE-RESOURCE-DAMAGED", kind=info.name, name=name, problem=error) from error
    return resource.with_metadata(revision=str(item.revision))


def _not_found(info: KindInfo, name: str) -> NotFound:
    return NotFound("STORE-RESOURCE-NOT-FOUND", kind=info.name, name=name or info.singleton)


def _in_words_of(error: TeleportError, info: KindInfo, name: str) -> TeleportError:
    if isinstance(error, NotFound):
        return _not_found(info, name)
    if isinstance(error, AlreadyExists):
        return AlreadyExists("STORE-RESOURCE-EXISTS", kind=info.name, name=name or info.singleton)
    return CompareFailed("STORE-COMPARE", key=f"{info.name}/{name or info.singleton}")
