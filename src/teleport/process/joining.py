"""Joining: how this process gets its first certificates, with the token of its configuration.

Directly at an Auth Service that is recognised by its CA pins, or through a proxy that is recognised by its web
certificate; what is said then is the same (`client.joining`). The token leaves the process on a connection to a peer
that was verified, and nowhere else.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence

from teleport.api.join_calls import PROXY_ALPN
from teleport.api.join_messages import Asked, Joined
from teleport.base.clock import Clock
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.client.auth_way import AuthWay
from teleport.client.joining import methods, pins
from teleport.client.joining.join import Dial, Method, join
from teleport.net.stream import Stream
from teleport.pki import contexts, tls_settings, x509
from teleport.process.identity import FOLDER, HostIdentity, KeyPair, Wanted
from teleport.process.membership import INSTANCE, Admission
from teleport.process.settings import Settings

LONGEST_TOKEN = 64 * 1024
"""Bytes of a file with a token or with pins."""


class Joining:
    """Implements `process.membership.Join`."""

    def __init__(self, settings: Settings, way: AuthWay, *, disk: Disk, clock: Clock, entropy: Entropy) -> None:
        self._settings = settings
        self._way = way
        self._disk = disk
        self._clock = clock
        self._entropy = entropy

    async def __call__(self, wanted: Wanted, held: Admission | None) -> Admission:
        """Join once. Raises what the server refuses it with (AUTH-JOIN-*), AccessDenied (CLIENT-CA-*),
        NotSupported (CLIENT-JOIN-METHOD) and what dialling and reading files raise."""
        pair = KeyPair.make(self._entropy)
        asked = Asked(
            token=self._text(self._settings.join.token), ssh_public_key=pair.ssh_public, tls_public_key=pair.tls_public,
            system_role=INSTANCE, host_name=wanted.node_name, additional_principals=wanted.principals,
            services=wanted.also,
        )  # fmt: skip
        joined = await join(await self._dial(held), asked, self._method())
        return self._admission(wanted, pair, joined)

    def _method(self) -> Method:
        settings, folder = self._settings, str(self._settings.data_dir / FOLDER)
        named = settings.join.azure_client_id
        environment = {**settings.environment, **({"AZURE_CLIENT_ID": named} if named else {})}
        return methods.method(settings.join.method, environment, self._disk, folder, self._clock, self._entropy)

    async def _dial(self, held: Admission | None) -> Dial:
        """Return what opens a connection to a verified peer; whoever has an identity shows it, and keeps its id."""
        way = self._way
        if held is not None:
            return lambda: held.dial(way)
        if way.proxies:
            public = tls_settings.public_context
            return lambda: way.open(public(), (PROXY_ALPN,), vouched=public(insecure=True))
        roots = await pins.roots(self._open_directly, self._pins(), now=self._clock.now())
        return lambda: self._open_directly(contexts.client_context(host_authorities=roots))

    async def _open_directly(self, context: ssl.SSLContext) -> Stream:
        return await self._way.open(context, pins.ALPN, x509.CLUSTER_NAME)

    def _pins(self) -> Sequence[str]:
        return [pin for said in self._settings.join.pins for pin in self._text(said).split()]

    def _text(self, said: str) -> str:
        """Return a value, read from a file where it is the path of one: anew each time, since files are put right."""
        if not said.startswith("/") or not self._disk.exists(said):
            return said
        return self._disk.read(os.path.abspath(said), limit=LONGEST_TOKEN).decode(errors="replace").strip()

    def _admission(self, wanted: Wanted, pair: KeyPair, joined: Joined) -> Admission:
        made = joined.certificates
        identity = HostIdentity(
            role=INSTANCE, host_uuid=joined.host_id, cluster=joined.cluster, keys=pair,
            ssh_certificate=made.ssh_certificate, tls_certificate=made.tls_certificate, issued=self._clock.now(),
            expires=made.expires, node_name=wanted.node_name, principals=wanted.principals,
            also=tuple(sorted(set(joined.system_roles) - {INSTANCE})),
        )  # fmt: skip
        trusted = [each for each in made.authorities if each.type == "host" and each.cluster == joined.cluster]
        certificates = [data for each in trusted for text in each.tls_certificates for data in x509.split_pem(text)]
        return Admission(identity, tuple(x509.pem(data) for data in certificates))
