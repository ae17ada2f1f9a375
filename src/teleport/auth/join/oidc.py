"""Tokens that somebody else signed: what github, gitlab, gcp and kubernetes share.

The keys of an issuer are published by itself (OpenID Connect Discovery 1.0, section 4) and kept for some minutes; a
token that names a key which is not among them makes us look once more, but not more often than every half minute.
"""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from teleport.api import join_proofs
from teleport.auth.join.method import Request
from teleport.base.clock import Clock
from teleport.base.errors import BadParameter, TeleportError, Unavailable
from teleport.net.fetch import Fetch
from teleport.pki import jws

KEPT = dt.timedelta(minutes=10)
AGAIN = dt.timedelta(seconds=30)
_ISSUERS = 64

Keys = tuple[jws.SigningKey, ...]


class _Discovery(msgspec.Struct):
    issuer: str
    jwks_uri: str


class Issuers:
    """Knows the keys of issuers, and verifies tokens with them."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._known: OrderedDict[str, tuple[dt.datetime, Keys]] = OrderedDict()

    async def claims(
        self, request: Request, *, issuer: str | None, audience: str, static: str = ""
    ) -> Mapping[str, Any]:
        """Return the claims of the token that who joins has sent. `static` are the keys, where the token of the
        cluster has them. Raises AccessDenied (AUTH-JOIN-PROOF), BadParameter (API-JOIN-PROOF)."""
        said = join_proofs.read(request.start.proof, join_proofs.IdToken)
        try:
            token = jws.read(said.id_token.strip())
            if static:
                keys: Sequence[jws.SigningKey] = jws.load_keys(static)
            else:
                keys = await self._keys(issuer or "", token)
            return jws.verify(token, keys, issuer=issuer, audience=audience, now=self._clock.now())
        except TeleportError as error:
            raise request.refuse(error.what) from None

    async def _keys(self, issuer: str, token: jws.Token) -> Keys:
        now = self._clock.now()
        when, keys = self._known.get(issuer, (now, ()))
        if keys and now - when < KEPT and (jws.knows(keys, token) or now - when < AGAIN):
            return keys
        if token.claims.get("iss") != issuer:  # nothing is fetched for a token that will not be accepted
            raise BadParameter("PKI-JWT", problem=f"its issuer is not {issuer!r}")
        keys = await self._published(issuer)
        self._known[issuer] = (now, keys)
        self._known.move_to_end(issuer)
        while len(self._known) > _ISSUERS:
            self._known.popitem(last=False)
        return keys

    async def _published(self, issuer: str) -> Keys:
        found = await self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        try:
            told = msgspec.json.decode(found, type=_Discovery)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadParameter("PKI-JWT", problem=f"its issuer does not say where its keys are: {error}") from None
        if told.issuer != issuer:
            raise BadParameter("PKI-JWT", problem=f"{issuer} says that it is {told.issuer[:200]!r}")
        return jws.load_keys(await self._get(told.jwks_uri))

    async def _get(self, url: str) -> bytes:
        answer = await self._fetch(url, headers={"Accept": "application/json"})
        if answer.status != 200:
            raise Unavailable("NET-FETCH", url=url[:200], problem=f"status {answer.status}")
        return answer.body


def attributes(claims: Mapping[str, Any], *names: str) -> dict[str, str]:
    """Return the claims of these names that are texts, for the record."""
    return {name: claims[name][:256] for name in names if isinstance(claims.get(name), str)}
