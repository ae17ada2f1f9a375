"""Certificates of an output: asked for anew in each round, for a key that is kept.

A program that reads key and certificate one after the other must never see two that do not fit. Files are replaced one
by one, so the key stays the same from round to round as long as this process runs, for a day at most: the certificates
around it, before and after, are all for this one key. Docs: docs/adr/0027-keys-of-outputs.md.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

from teleport.api.bot_messages import Output
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.log import logger
from teleport.bot.held import described, make_key
from teleport.bot.parts import Bot, Destination, Held
from teleport.client import identity_file
from teleport.client.identity_file import IdentityFile
from teleport.pki import keys

log = logger("TBOT")

KEY_LIFE = dt.timedelta(hours=24)
WRITE_TEST = ".write-test"
NAMES = (
    "key", "key.pub", "key-cert.pub", "tlscert", "identity", "teleport-host-ca.crt", "teleport-user-ca.crt",
    "teleport-database-ca.crt", WRITE_TEST,
)  # fmt: skip
"""Files of the identity set."""
_BUNDLES = {"teleport-host-ca.crt": "host", "teleport-user-ca.crt": "user", "teleport-database-ca.crt": "db"}


class Certified:
    """The key of one output and its certificates."""

    def __init__(self, destination: Destination, *, ttl: float, clock: Clock, entropy: Entropy) -> None:
        """`ttl`: seconds that certificates shall last."""
        self._destination = destination
        self._ttl = ttl
        self._clock = clock
        self._entropy = entropy
        self._held: Held | None = None
        self._made: dt.datetime | None = None
        """When the key was made."""

    async def renew(self, bot: Bot, wanted: Output) -> Held:
        """Return new certificates. `wanted` says everything but keys and time. Raises what `Bot.issue` raises."""
        now = self._clock.now()
        made, key = self._key(now)
        asked = dataclasses.replace(wanted, expires=now + dt.timedelta(seconds=self._ttl))
        held = await bot.issue(asked, key)
        self._held, self._made = held, made
        return held

    def tell(self, held: Held) -> None:
        """Say in the log, after they were written, what the certificates are."""
        where = str(self._destination).replace(": ", " ", 1)
        line = f"Successfully renewed impersonated certificates for {where}, {described(held)}"
        log.info(line)

    def _key(self, now: dt.datetime) -> tuple[dt.datetime, str]:
        held, made = self._held, self._made
        if held is None or made is None or now - made >= KEY_LIFE or now >= held.expires:
            return now, make_key(self._entropy)
        return made, held.key


def identity_set(held: Held) -> dict[str, bytes]:
    """Return the files that every output with certificates has."""
    public = keys.load_private(held.key.encode()).public_key()
    ssh_line = keys.ssh_line(keys.ssh_blob(public))
    own = [each for each in held.authorities if each.cluster == held.identity.cluster]
    bundles = {
        name: "".join(text for each in own if each.type == kind for text in each.tls_certificates)
        for name, kind in _BUNDLES.items()
    }
    hosts = [each for each in own if each.type == "host"]
    parts = IdentityFile(
        key=held.key, ssh_certificate=held.ssh_certificate, tls_certificate=held.tls_certificate,
        ssh_authorities=tuple(line for each in hosts for line in each.ssh_keys),
        tls_authorities=bundles["teleport-host-ca.crt"],
    )  # fmt: skip
    texts = {
        "key": held.key, "key.pub": f"{ssh_line}\n", "key-cert.pub": f"{held.ssh_certificate}\n",
        "tlscert": held.tls_certificate, WRITE_TEST: "", **{name: text for name, text in bundles.items() if text},
    }  # fmt: skip
    written = {name: text.encode() for name, text in texts.items()}
    return {**written, "identity": identity_file.write(parts, held.identity.cluster)}
