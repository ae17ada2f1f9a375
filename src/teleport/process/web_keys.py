"""The certificates of the web port while the process runs: which one a client gets, and how new ones come into use.

What is here: one TLS context for each pair of `https_keypairs`, chosen by the name that the client asks for, read
again at SIGHUP and every `https_keypairs_reload_interval`. What is not: the files' form (`proxy.web_certificate`).
"""

from __future__ import annotations

import ssl

from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.pki import contexts
from teleport.process.settings import Settings
from teleport.proxy import join_door, web_certificate
from teleport.proxy.web_certificate import Pair

log = logger("PROXY")

ALPN = ("http/1.1", "teleport-reversetunnel", join_door.ALPN)


class WebKeys:
    """The certificates in use. New handshakes get new ones; connections that are open stay as they are."""

    def __init__(self, settings: Settings, *, disk: Disk, clock: Clock, entropy: Entropy) -> None:
        """Read the pairs. Raises BadParameter (PROXY-KEYPAIR, PKI-KEY) and what reading files raises."""
        self._settings = settings
        self._disk = disk
        self._clock = clock
        self._entropy = entropy
        self._pairs = self._read(settings)
        self._contexts = _contexts(self._pairs)

    def context(self, server_name: str) -> ssl.SSLContext:
        """Return the first context whose certificate has the name, else the first."""
        for names, context in self._contexts:
            if web_certificate.covers(names, server_name):
                return context
        return self._contexts[0][1]

    def renew(self, settings: Settings) -> bool:
        """Read the pairs that the settings name; say whether they differ. Raises as the constructor, and then nothing
        has changed."""
        found = self._read(settings)
        if found == self._pairs:
            self._settings = settings
            return False
        self._contexts = _contexts(found)
        self._pairs, self._settings = found, settings
        return True

    async def follow(self) -> None:
        """Read the files again, as often as the configuration says, until cancelled. At once over if it does not."""
        interval = float(self._settings.proxy.https_keypairs_reload_interval)
        if interval > 0:
            await tasks.every(interval, self._again, entropy=self._entropy, first=interval)

    async def _again(self) -> None:
        try:
            if self.renew(self._settings):
                log.info("The web port uses new certificates")
        except TeleportError as error:
            log.error("The certificates of the web port were not read again, the former ones stay", error=error)

    def _read(self, settings: Settings) -> tuple[Pair, ...]:
        if settings.proxy.https_keypairs:
            files = settings.proxy.https_keypairs
            return tuple(web_certificate.configured(pair.cert_file, pair.key_file, self._disk) for pair in files)
        names = [*(address.host for address in settings.proxy.public), settings.nodename, "localhost", "127.0.0.1"]
        own = web_certificate.self_signed(
            str(settings.data_dir), list(dict.fromkeys(names)), disk=self._disk, clock=self._clock,
            entropy=self._entropy,
        )  # fmt: skip
        return (own,)


def _contexts(pairs: tuple[Pair, ...]) -> list[tuple[tuple[str, ...], ssl.SSLContext]]:
    return [
        (web_certificate.names(certificate), contexts.web_context(certificate=certificate, key=key, alpn=ALPN))
        for certificate, key in pairs
    ]
