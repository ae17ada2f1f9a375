"""What the cluster says of the bot: whether it is locked, and whether its certificates are the last of their instance.

A bot that is locked is told the lock, and what the cluster's records of it point to: the verdict that `tctl bots
recover` shows to administrators.
"""

from __future__ import annotations

import base64
from typing import get_args

from teleport.api.bot_calls import BotCalls
from teleport.api.bot_messages import Standing
from teleport.base.errors import TeleportError
from teleport.bot.doctor.case import Case
from teleport.bot.doctor.identity import load
from teleport.bot.held import stamp
from teleport.bot.parts import Held
from teleport.client.doctor.bot.evidence import Verdict
from teleport.client.doctor.report import Finding
from teleport.pki import keys

_LOOKS = 5


async def run(case: Case) -> str | Finding:
    """Asks with the certificates of the storage. Raises what the cluster refuses that with."""
    held = case.held
    if held is None:
        return Finding("standing", "skip", "the bot has not joined yet")
    try:
        found = await _asked(case, held)
    except TeleportError as error:
        if error.code != "POL-LOCKED":
            raise
        return _locked(held, error)
    case.in_standing = True
    return found


async def _asked(case: Case, held: Held) -> str | Finding:
    """Ask, and once more while the storage changes: a bot that runs may be renewing."""
    for _ in range(_LOOKS):
        async with case.bot.client() as client:
            found = _place(case, held, await BotCalls(client).standing())
        before, case.found = case.found, await load(case.storage)
        if isinstance(found, str) or case.held is None or case.found == before:
            break
        held = case.held
    return found


def _locked(held: Held, error: TeleportError) -> Finding:
    bot, lock = held.identity.bot_name, error.fields.get("lock_name", "UUID")
    verdict, meaning = error.fields.get("verdict", ""), error.fields.get("meaning", "")
    code = verdict if verdict in get_args(Verdict) else "BOT-LOCKED"
    evidence = f"{error.what}; {meaning}" if meaning else error.what
    return Finding.told("standing", code, evidence, bot=bot, lock=lock, who="an administrator")


def _place(case: Case, held: Held, said: Standing) -> str | Finding:
    shown, given = held.identity.generation, said.generation
    when = stamp(said.authenticated_at) if said.authenticated_at else "an unknown time"
    last = f"the last was given at {when} to {said.address or 'an unknown address'} {said.hostname}".rstrip()
    underway = case.found.next if case.found else None
    lost = shown == given - 1 and underway is not None and _text(underway.key) == said.public_key
    if lost or shown == given or not held.identity.renewable:
        if case.interrupted:  # what is left of a renewal that was refused is no crash
            return Finding.told("standing", "BOT-SAVE-CRASH", case.interrupted, "warn", folder=case.storage.folder)
        return f"generation {shown} is the last one; {last}"
    evidence = f"renewable cert generation mismatch: stored={given}, presented={shown}; {last}"
    return Finding.told("standing", "BOT-UNLOCK-INCOMPLETE", evidence, bot=held.identity.bot_name)


def _text(key: str) -> str:
    """Return the public half of a key (PEM) as the Auth Service names it."""
    return base64.b64encode(keys.spki(keys.load_private(key.encode()).public_key())).decode()
