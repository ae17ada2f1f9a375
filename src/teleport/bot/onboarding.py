"""Onboarding: how a bot gets certificates of its own, with the join method and the token of its configuration.

Directly at an Auth Service that is recognised by its CA pins, or through a proxy that is recognised by its web
certificate; what is said then is the same (`client.joining`). The token leaves the process on a connection to a peer
that was verified, and nowhere else.
"""

from __future__ import annotations

import base64
import datetime as dt
import ssl
from collections.abc import Mapping

from teleport.api.bot_calls import BotCalls
from teleport.api.bot_messages import Renewal
from teleport.api.join_calls import PROXY_ALPN
from teleport.api.join_messages import BOT, Asked
from teleport.base.clock import Clock
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.base.errors import NotFound, TeleportError
from teleport.base.log import logger
from teleport.bot.held import held_of, public_keys
from teleport.bot.parts import Held
from teleport.bot.reach import Reach
from teleport.client.joining import methods, pins
from teleport.client.joining.join import Dial, Method, join
from teleport.model.config.tbot_yaml import Onboarding
from teleport.net.stream import Stream
from teleport.pki import contexts, tls_settings, x509

log = logger("TBOT")

LONGEST_FILE = 64 * 1024
"""Bytes of a file with a token, a secret or authorities."""
SECRET_METHOD = "token"  # noqa: S105 - the name of a join method


class Door:
    """Implements `bot.identity.Door`."""

    def __init__(
        self, onboarding: Onboarding, reach: Reach, *, ttl: float, host_name: str, environment: Mapping[str, str],
        disk: Disk, folder: str, clock: Clock, entropy: Entropy, insecure: bool = False, host_id: str = "",
    ) -> None:  # fmt: skip
        """`ttl`: seconds that certificates shall last. `folder`, of `disk`, is where a join method may keep what is its
        own. `insecure`: whoever answers is believed. `host_id` says which machine this is, as evidence."""
        self._onboarding = onboarding
        self._reach = reach
        self._ttl = ttl
        self._host_name = host_name
        self._host_id = host_id
        self._environment = _environment(onboarding, environment)
        self._disk = disk
        self._folder = folder
        self._clock = clock
        self._entropy = entropy
        self._insecure = insecure

    @property
    def method(self) -> str:
        """Name of the join method."""
        return self._onboarding.join_method or SECRET_METHOD

    def token(self) -> str:
        """Return the token, read from its file where it is the path of one: when it is needed, since files are put
        right. Raises what reading raises (DISK-*)."""
        return self._text(self._onboarding.token)

    async def join(self, key: str, former: Held | None) -> Held:
        """Join with the token; who has certificates already shows them. Raises what the server refuses it with
        (AUTH-JOIN-*, AUTH-BOT-*), AccessDenied (CLIENT-CA-*), and what dialling raises."""
        ssh_line, tls_pem = public_keys(key)
        asked = Asked(
            token=self.token(), ssh_public_key=ssh_line, tls_public_key=tls_pem, system_role=BOT,
            host_name=self._host_name, expires=self._expires(),
        )  # fmt: skip
        try:
            joined = await join(await self._dial(former), asked, self._method())
        except TeleportError as error:
            raise (error if former is None else await self._reach.told(error, former)) from error.__cause__
        return held_of(key, joined.certificates)

    async def renew(self, held: Held, key: str) -> Held:
        """Return the next certificates, for a new key. Raises AccessDenied (AUTH-BOT-*, POL-*) and what dialling
        raises."""
        ssh_line, tls_pem = public_keys(key)
        wanted = Renewal(
            ssh_public_key=ssh_line, tls_public_key=tls_pem, expires=self._expires(), hostname=self._host_name,
            host_id=self._host_id,
        )  # fmt: skip
        async with self._reach.client(lambda: held) as client:
            return held_of(key, await BotCalls(client).renew(wanted))

    def _expires(self) -> dt.datetime:
        return self._clock.now() + dt.timedelta(seconds=self._ttl)

    def _method(self) -> Method:
        return methods.method(
            self.method, self._environment | self._secret(), self._disk, self._folder, self._clock, self._entropy
        )  # fmt: skip

    def _secret(self) -> dict[str, str]:
        said = self._onboarding.bound_keypair
        found = said.registration_secret or self._text(said.registration_secret_path)
        found_key = self._disk.read(said.static_key_path, private=True) if said.static_key_path else b""
        key = {methods.STATIC_KEY: base64.b64encode(found_key).decode()} if found_key else {}
        return {methods.SECRET: found, **key} if found else key

    async def _dial(self, former: Held | None) -> Dial:
        """Return what opens a connection to a verified peer."""
        way = self._reach.way
        if former is not None:
            return lambda: self._reach.dial(former)
        if way.proxies:
            context = tls_settings.public_context(insecure=self._insecure)
            unnamed = tls_settings.public_context(insecure=True)
            return lambda: way.open(context, (PROXY_ALPN,), vouched=unnamed)
        roots = await self._roots()
        return lambda: self._open(contexts.client_context(host_authorities=roots))

    async def _roots(self) -> tuple[bytes, ...]:
        """Return the certificates (DER) by which the Auth Service is recognised: what pins say goes before a file."""
        said = self._onboarding
        if said.ca_path and not said.ca_pins and not self._insecure and (found := self._authorities(said.ca_path)):
            return found
        wanted = [pin for text in said.ca_pins for pin in self._text(text).split()]
        return await pins.roots(self._open, wanted, now=self._clock.now(), insecure=self._insecure)

    def _authorities(self, path: str) -> tuple[bytes, ...]:
        try:
            text = self._disk.read(path, limit=LONGEST_FILE).decode(errors="replace")
        except NotFound:
            text = ""
        found = tuple(x509.split_pem(text)) if text.strip() else ()
        if not found:
            log.warn("There is no certificate at ca_path: the Auth Service is believed unseen", path=path)
        return found

    async def _open(self, context: ssl.SSLContext) -> Stream:
        return await self._reach.way.open(context, pins.ALPN, x509.CLUSTER_NAME)

    def _text(self, said: str) -> str:
        """Return a value, read from a file where it is an absolute path."""
        if not said.startswith("/"):
            return said
        return self._disk.read(said, limit=LONGEST_FILE).decode(errors="replace").strip()


def _environment(onboarding: Onboarding, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that join methods read, with what the configuration says in place of them."""
    said = {
        "AZURE_CLIENT_ID": onboarding.azure.client_id,
        "KUBERNETES_TOKEN_PATH": onboarding.kubernetes.token_path,
        "TBOT_GITLAB_JWT": environment.get(onboarding.gitlab.token_env_var_name, ""),
    }
    return {**environment, **{name: value for name, value in said.items() if value}}
