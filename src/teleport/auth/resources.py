"""Resources: reading and changing stored things of every kind.

One path for all kinds: authorise, validate, store and record in one commit. No kind is named here; what
one needs beyond this stands in `auth.hooks`.

The order matters for what a caller learns: rights on the kind first, then the object is loaded, then
rights on the object. Without rights on the kind the answer never depends on what is stored; an object
that is hidden and one that is not there are refused alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext
from typing import Any, TypeVar

from teleport.api.caller import Caller
from teleport.api.messages import Change, Name, Page, Selection, cursor_of
from teleport.auth import watching
from teleport.auth.authorize import Authorizer, Rights
from teleport.auth.hooks import Hooks, missing_reference
from teleport.auth.selection import Filter
from teleport.base.clock import Clock
from teleport.base.errors import AlreadyExists, BadParameter, CompareFailed, NotFound, NotSupported, TeleportError
from teleport.model.events.base import caller_fields
from teleport.model.events.resource import Action, change_event
from teleport.model.resource import KindInfo, Resource, find
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Append, Op
from teleport.store.resources import Resources as Store

T = TypeVar("T")

PAGE = 500
LARGEST_PAGE = 2000
"""Resources of one page."""
MOST_WATCHED = 32
_TRIES = 10

_WORDS = {"create": "creating", "edit": "updating", "rm": "deleting"}
_NO_HOOKS = Hooks()


class Resources:
    """Implements `api.services.resources.Resources`."""

    def __init__(
        self, store: Store, audit: AuditLog, authorizer: Authorizer, hooks: Mapping[str, Hooks], clock: Clock
    ) -> None:  # fmt: skip
        self._store = store
        self._clock = clock
        self._audit = audit
        self._authorizer = authorizer
        self._hooks = hooks
        self._one_at_a_time = asyncio.Lock()

    # -- reading

    async def get(self, caller: Caller, which: Name, *, with_secrets: bool = False) -> Resource[Any]:
        verb = _reading(with_secrets)
        info, rights = find(which.kind), await self._authorizer.rights(caller)
        found = await self._load(rights, verb, info, which)
        await self._authorizer.demand(rights, verb, found, asked=which.name)
        return found

    async def list(self, caller: Caller, selection: Selection) -> Page:
        info, limit = find(selection.kind), selection.limit or PAGE
        if not 0 < limit <= LARGEST_PAGE:
            raise BadParameter("AUTH-LIST-LIMIT", limit=limit, maximum=LARGEST_PAGE)
        chosen, verbs = Filter(selection), ("list", _reading(selection.with_secrets))
        rights = await self._authorizer.rights(caller)
        for verb in verbs:
            await self._authorizer.demand(rights, verb, info.name)
        after, found = selection.after, list[Resource[Any]]()
        while True:
            batch = await self._store.list(info, after, limit, sub_kind=selection.sub_kind)
            for resource in batch:
                if chosen(resource) and rights.shows(verbs, resource):
                    found.append(resource)
                after = _place(resource, info, selection)
                if len(found) == limit:
                    return Page(tuple(found), after)
            if len(batch) < limit:
                return Page(tuple(found))

    async def watch(
        self, caller: Caller, kinds: tuple[str, ...], *, with_secrets: bool = False
    ) -> AsyncIterator[Change]:  # fmt: skip
        if not 0 < len(kinds) <= MOST_WATCHED:
            raise BadParameter("AUTH-WATCH-KINDS", maximum=MOST_WATCHED)
        infos, verbs = [find(kind) for kind in dict.fromkeys(kinds)], ("list", _reading(with_secrets))
        found = watching.changes(self._store, self._authorizer, self._clock, caller, infos, verbs)
        async with aclosing(found) as changes:
            async for change in changes:
                yield change

    # -- changing

    async def create(self, caller: Caller, resource: Resource[Any]) -> Resource[Any]:
        rights = await self._authorizer.rights(caller)
        for target in (resource.info.name, resource):
            await self._authorizer.demand(rights, "create", target)
        _check_writable(resource.info, "create", rights)
        return await self._write(rights, "create", resource, None)

    async def upsert(self, caller: Caller, resource: Resource[Any]) -> Resource[Any]:
        rights = await self._authorizer.rights(caller)
        for target in (resource.info.name, resource):
            for verb in ("create", "update"):
                await self._authorizer.demand(rights, verb, target)
        return await _until_undisturbed(lambda: self._upsert(rights, resource))

    async def _upsert(self, rights: Rights, resource: Resource[Any]) -> Resource[Any]:
        old = await self._find(resource)
        if old is None:
            _check_writable(resource.info, "create", rights)
            return await self._write(rights, "create", resource, None)
        await self._authorizer.demand(rights, "update", old, asked=resource.name)
        _check_writable(resource.info, "edit", rights)
        return await self._write(rights, "update", resource.with_metadata(revision=old.metadata.revision), old)

    async def update(self, caller: Caller, resource: Resource[Any]) -> Resource[Any]:
        rights = await self._authorizer.rights(caller)
        which = Name(resource.info.name, resource.name, resource.sub_kind)
        old = await self._load(rights, "update", resource.info, which)
        for version in (old, resource):
            await self._authorizer.demand(rights, "update", version, asked=resource.name)
        _check_writable(resource.info, "edit", rights)
        return await self._write(rights, "update", resource, old)

    async def delete(self, caller: Caller, which: Name, *, revision: str = "") -> None:
        rights = await self._authorizer.rights(caller)
        if revision:
            await self._delete(rights, which, revision)
        else:
            await _until_undisturbed(lambda: self._delete(rights, which, ""))

    async def _delete(self, rights: Rights, which: Name, revision: str) -> None:
        info = find(which.kind)
        old = await self._load(rights, "delete", info, which)
        await self._authorizer.demand(rights, "delete", old, asked=which.name)
        _check_writable(info, "rm", rights)
        hooks = self._hooks.get(info.name, _NO_HOOKS)
        async with self._turn(hooks):
            ops = await hooks.before_delete(old)
            seen = revision or old.metadata.revision
            await self._store.delete(
                info, which.name, *self._events("delete", old, rights), *ops, sub_kind=which.sub_kind, revision=seen
            )

    async def _write(
        self, rights: Rights, action: Action, new: Resource[Any], old: Resource[Any] | None
    ) -> Resource[Any]:
        hooks = self._hooks.get(new.info.name, _NO_HOOKS)
        await hooks.permit(rights, new)
        async with self._turn(hooks):
            prepared, ops = await hooks.prepare(new, old, rights.identity)
            prepared.check()
            extra: Sequence[Op] = (*self._events(action, prepared, rights), *ops)
            try:
                if action == "create":
                    return await self._store.create(prepared, *extra)
                return await self._store.update(prepared, *extra)
            except NotFound as error:
                raise missing_reference(error, prepared) or error from None

    def _events(self, action: Action, resource: Resource[Any], rights: Rights) -> tuple[Append, ...]:
        """Record a change. What a service keeps saying of itself is recorded only if its kind asks for that."""
        if rights.identity.is_host and action not in resource.info.events:
            return ()
        event = change_event(
            action, resource, **caller_fields(rights.identity), addr_remote=rights.conditions.client_ip
        )  # fmt: skip
        return (self._audit.op(event),)

    @asynccontextmanager
    async def _turn(self, hooks: Hooks) -> AsyncIterator[None]:
        """Make changes of references wait for each other: none may lose its target between check and commit."""
        async with self._one_at_a_time if hooks.refers else nullcontext():
            yield

    # -- finding

    async def _load(self, rights: Rights, verb: str, info: KindInfo, which: Name) -> Resource[Any]:
        await self._authorizer.demand(rights, verb, info.name)
        try:
            return await self._store.get(info, which.name, which.sub_kind)
        except TeleportError as error:
            if error.code not in ("STORE-RESOURCE-NOT-FOUND", "STORE-RESOURCE-NAME"):
                raise
        raise await self._authorizer.absent(rights, verb, info.name, which.name)

    async def _find(self, resource: Resource[Any]) -> Resource[Any] | None:
        if not resource.name:
            return None
        try:
            return await self._store.get(resource.info, resource.name, resource.sub_kind)
        except NotFound:
            return None


async def _until_undisturbed(change: Callable[[], Awaitable[T]]) -> T:
    """Make a change that names no revision: again, when another one came between its look and its commit."""
    for _ in range(_TRIES):
        try:
            return await change()
        except (AlreadyExists, CompareFailed):
            continue
    return await change()


def _reading(with_secrets: bool) -> str:
    return "read" if with_secrets else "readnosecrets"


def _place(resource: Resource[Any], info: KindInfo, selection: Selection) -> str:
    """Where the next page begins, in the terms of the store."""
    return resource.name if selection.sub_kind or not info.by_sub_kind else cursor_of(resource)


def _check_writable(info: KindInfo, how: str, rights: Rights) -> None:
    """People change only what its kind lets them; services are bound by their system roles alone."""
    if not rights.identity.is_host and how not in info.writable:
        raise NotSupported("AUTH-NOT-WRITABLE", action=_WORDS[how], kind=info.name)
