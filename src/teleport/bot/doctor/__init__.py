"""tbot doctor: what is wrong with a bot, in the order in which it works: configuration, storage, identity, network,
what the cluster says of it, outputs.

Nothing is changed, and nothing is renewed: asking for the bot's next certificates is what locks a bot whose storage
was copied. Certificates that outputs would get are asked for, for keys that are thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence

from teleport.bot.doctor import config, identity, network, outputs, place, sharing, ssh, standing, token
from teleport.bot.doctor.case import Case
from teleport.client.doctor.check import Check


def checks(case: Case) -> Sequence[Check[Case]]:
    """Return what is looked at: for each output a check of its own."""
    return (
        Check("config", config.run),
        Check("storage", place.run),
        Check("sharing", sharing.run, ("storage",)),
        Check("identity", identity.run, ("storage",)),
        Check("token", token.run, ("storage",)),
        *network.checks(case),
        Check("standing", standing.run, ("identity", "auth")),
        *(Check(name, outputs.Look(section, name).run) for section, name in case.sections),
        *(Check(f"{name} ssh", ssh.Look(section, name).run, (name,)) for section, name in case.with_ssh),
    )
