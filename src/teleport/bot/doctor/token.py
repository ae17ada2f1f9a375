"""Whether there is a token to join with where the bot has to join, and whether it is the one that was used."""

from __future__ import annotations

import os

from teleport.base.errors import NotFound, TeleportError
from teleport.bot.doctor.case import Case
from teleport.bot.storage import hash_of
from teleport.client.doctor.report import Finding


async def run(case: Case) -> str | Finding:
    """Compares the configured token with what the storage remembers of the one that was used."""
    joined = case.held is not None
    try:
        token = case.token()
    except TeleportError as error:
        return Finding.of("token", error, "warn" if joined else "fail")
    if not token:
        if joined:
            return "none is configured, and none is needed: the bot has joined"
        raise NotFound("BOT-NO-TOKEN")
    if not joined or case.found is None:
        return "a token is configured, with which the bot will join"
    if not case.found.token_hash or case.found.token_hash == hash_of(token):
        return "the configured token is the one with which the bot has joined"
    folder = case.storage.folder
    holder = case.machine.holder(os.path.join(folder, "lock")) if folder else None
    if holder is None:
        return "the configured token is a new one: the bot joins anew with it at its next start"
    evidence = f"the configured token is a new one, and process {holder.pid} goes on with the identity of the former"
    return Finding.told("token", "BOT-ONBOARD-IGNORED", evidence, "warn", pid=holder.pid)
