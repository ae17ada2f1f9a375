"""What goes with a bot: its user and its role are written and removed in the same commit as the bot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from teleport.auth.hooks import Hooks
from teleport.base.clock import Clock
from teleport.base.errors import AlreadyExists, NotFound
from teleport.model.identity import Identity
from teleport.model.kinds.bot import LABEL, Bot, BotStatus, bot_user
from teleport.model.kinds.bot_instance import BotInstance
from teleport.model.kinds.role import Role
from teleport.model.kinds.token import Token
from teleport.model.kinds.user import Author, CreatedBy, User
from teleport.model.resource import Resource
from teleport.store.backend import Absent, At, Check, Delete, Op, Present
from teleport.store.resources import Resources, info_of, key_of

_PATTERN = frozenset("*^")
"""Characters of which one stands in every pattern of names, and in no name."""


class BotHooks(Hooks):
    """The roles that a bot may have must exist; nothing else may have the names of its user and role."""

    refers = True

    def __init__(self, resources: Resources, clock: Clock) -> None:
        self._resources = resources
        self._clock = clock

    async def prepare(
        self, new: Resource[Any], old: Resource[Any] | None, by: Identity
    ) -> tuple[Resource[Any], Sequence[Op]]:
        assert isinstance(new, Bot)  # noqa: S101 - the table of hooks pairs kind and hooks
        role, user = await self._stored(Role, new), await self._stored(User, new)
        made = user.spec.created_by if user else CreatedBy(time=self._clock.now(), user=Author(name=by.name))
        wanted = new.user()
        wanted = msgspec.structs.replace(wanted, spec=msgspec.structs.replace(wanted.spec, created_by=made))
        ops: list[Op] = [
            self._resources.put_op(new.role(), _unchanged(role)), self._resources.put_op(wanted, _unchanged(user)),
        ]  # fmt: skip
        named = [name for name in dict.fromkeys(new.spec.roles) if not _PATTERN & {*name}]
        ops += [Check(key_of(info_of(Role), name), Present()) for name in named]
        status = BotStatus(user_name=wanted.name, role_name=wanted.name)
        return msgspec.structs.replace(new, status=status), ops

    async def before_delete(self, old: Resource[Any]) -> Sequence[Op]:
        assert isinstance(old, Bot)  # noqa: S101 - as above
        found = [await self._found(kind, old) for kind in (User, Role)]
        parts = [each for each in found if each is not None and _is_of(each, old)]
        instances = [each for each in await self._resources.list(BotInstance) if each.spec.bot_name == old.name]
        tokens = [each for each in await self._resources.list(Token) if _only_for(each, old)]
        gone: list[Resource[Any]] = [*parts, *instances, *tokens]
        return [Delete(key_of(each.info, each.name)) for each in gone]

    async def _stored(self, kind: type[Resource[Any]], bot: Bot) -> Any:
        """Return the bot's user or role, or None. Raises AlreadyExists (AUTH-BOT-NAME) if it is somebody else's."""
        found = await self._found(kind, bot)
        if found is not None and not _is_of(found, bot):
            raise AlreadyExists("AUTH-BOT-NAME", bot=bot.name, kind=kind.info.name, name=found.name)
        return found

    async def _found(self, kind: type[Resource[Any]], bot: Bot) -> Any:
        try:
            return await self._resources.get(kind, bot_user(bot.name))
        except NotFound:
            return None


def _is_of(part: Resource[Any], bot: Bot) -> bool:
    return part.metadata.labels.get(LABEL) == bot.name


def _only_for(token: Token, bot: Bot) -> bool:
    return token.spec.bot_name == bot.name and {*token.spec.roles} == {"Bot"} and not token.is_static


def _unchanged(found: Resource[Any] | None) -> Absent | At:
    return Absent() if found is None else At(int(found.metadata.revision))
