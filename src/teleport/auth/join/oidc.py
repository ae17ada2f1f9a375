"""Tokens that somebody else signed: what github, gitlab, gcp and kubernetes share, and all of what the first two do.

The keys of an issuer are published by itself (OpenID Connect Discovery 1.0, section 4) and kept for some minutes; a
token that names a key which is not among them makes us look once more, but not more often than every half minute.
"""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from teleport.api import join_proofs
from teleport.auth.join.method import Proven, Request
from teleport.base.clock import Clock
from teleport.base.errors import BadParameter, TeleportError, Unavailable
from teleport.base.struct import Struct
from teleport.model.token_methods.rules import matches
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
        return await self.verified(request, said.id_token, issuer=issuer, audience=audience, static=static)

    async def verified(
        self, request: Request, said: str, *, issuer: str | None, audience: str, static: str = ""
    ) -> Mapping[str, Any]:
        """Return the claims of a token. Raises AccessDenied (AUTH-JOIN-PROOF)."""
        try:
            token = jws.read(said.strip())
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


class Block(Protocol):
    """The block of a token's spec that such a method has under its own name."""

    @property
    def issuer(self) -> str:
        """Who signs."""
        ...

    @property
    def static_jwks(self) -> str:
        """The issuer's keys; empty: they are fetched from it."""
        ...

    @property
    def allow(self) -> Sequence[Struct]:
        """Rules, whose fields are called like the claims."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IdTokenFacts:
    """What one such method has of its own."""

    block: str
    """Field of the spec: a `Block`."""
    told: tuple[str, ...]
    """Claims that are recorded."""
    globs: tuple[str, ...] = ()
    """Fields of rules that may have `*` and `?`."""
    subject: tuple[str, str]
    """Who is turned away: words, and the claim that follows them."""


class IdTokenJoin:
    """Implements `auth.join.method.Prove` for tokens whose claims the rules compare one by one."""

    def __init__(self, facts: IdTokenFacts, issuers: Issuers, cluster: str) -> None:
        self._facts = facts
        self._issuers = issuers
        self._cluster = cluster

    async def __call__(self, request: Request) -> Proven:
        """Verify the token that was signed for this cluster, and find a rule for it."""
        facts, block = self._facts, self._block(request)
        claims = await self._issuers.claims(
            request, issuer=block.issuer, audience=self._cluster, static=block.static_jwks
        )  # fmt: skip
        if not any(matches(rule, claims, glob=facts.globs) for rule in block.allow):
            words, claim = facts.subject
            raise request.no_rule(f"{words} {claims.get(claim, '?')!s:.200}")
        return Proven(attributes=attributes(claims, *facts.told))

    def _block(self, request: Request) -> Block:
        found: Block = getattr(request.token.spec, self._facts.block)  # `Token.check` demands it
        return found
