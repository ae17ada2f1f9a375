"""The way back of a bot that the cluster does not serve any more: a new instance, with a token for this once.

The token need not be written into the configuration: the storage remembers the configured one as the token that it
comes from, so the next start goes on with the new identity and does not try the former token again.
"""

from __future__ import annotations

import msgspec

from teleport.base.errors import BadParameter, TeleportError
from teleport.bot.destinations import hold
from teleport.bot.parts import Held
from teleport.bot.run import BotProcess, World
from teleport.bot.storage import Storage, hash_of
from teleport.model.config.tbot_yaml import TbotYaml

SECRET = "token"  # noqa: S105 - the name of a join method


async def recover(config: TbotYaml, world: World, token: str) -> Held:
    """Join as a new instance, in the place of what the storage holds. `token` is a secret token, or the absolute path
    of a file with it.

    Raises Unavailable (BOT-DIR-SHARED) while a bot runs, BadParameter (BOT-RECOVER-TOKEN) for the token that the
    storage comes from, what joining raises (AUTH-*, NET-*), and DISK-*. What is stored stays until there is something
    new."""
    once = msgspec.structs.replace(config.onboarding, token=token, join_method=SECRET)
    process = BotProcess(msgspec.structs.replace(config, onboarding=once, services=()), world)
    place = world.destination(config.storage)
    storage = Storage(place)
    await storage.prepare()
    lock = hold(place, host=world.host_name)
    try:
        if await storage.token_hash() == hash_of(process.token()):
            raise BadParameter("BOT-RECOVER-TOKEN")
        held = await process.identity.begin()
        await storage.save(held, _remembered(config, world))
    finally:
        lock.release()
    return held


def _remembered(config: TbotYaml, world: World) -> str:
    """Return the hash of the configured token; empty where there is none."""
    try:
        token = BotProcess(msgspec.structs.replace(config, services=()), world).token()
    except TeleportError:
        return ""
    return hash_of(token) if token else ""
