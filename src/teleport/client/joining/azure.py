"""Join method azure: what Azure attests of this machine, and a token of its managed identity."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from teleport.api.join_messages import Accepted
from teleport.api.join_proofs import AzureSolution, Challenge, read, write
from teleport.base.errors import Unavailable
from teleport.client.joining.imds import AZURE, ask
from teleport.net.fetch import Fetch

RESOURCE = "https://management.azure.com/"
_HEADERS = {"Metadata": "true"}


class _Attested(msgspec.Struct):
    encoding: str
    signature: str


class _Token(msgspec.Struct):
    access_token: str


_T = TypeVar("_T", _Attested, _Token)


class AzureMethod:
    """Implements `client.joining.join.Method`."""

    name = "azure"

    def __init__(self, fetch: Fetch, *, client_id: str = "", address: str = "") -> None:
        """`fetch` must let plain HTTP pass. `client_id` names one of several managed identities, `address` the metadata
        service where it is not the usual one."""
        self._fetch = fetch
        self._client_id = client_id
        self._address = (address or AZURE).rstrip("/")

    async def first(self, accepted: Accepted) -> bytes:
        """Nothing: the proof has to repeat a challenge."""
        return b""

    async def solve(self, challenge: bytes) -> bytes:
        """Return the document with the challenge in it, and the token. Raises Unavailable (CLIENT-JOIN-PROOF)."""
        nonce = read(challenge, Challenge).challenge
        attested = await self._ask("attested/document", _Attested, {"api-version": "2020-09-01", "nonce": nonce})
        if attested.encoding != "pkcs7":
            raise self._bad(f"the attested document is encoded as {attested.encoding[:20]!r} and not as pkcs7")
        which = {"client_id": self._client_id} if self._client_id else {}
        wanted = {"api-version": "2018-02-01", "resource": RESOURCE, **which}
        token = await self._ask("identity/oauth2/token", _Token, wanted)
        return write(AzureSolution(attested_data=attested.signature, access_token=token.access_token))

    async def keep(self, keepsake: bytes) -> None:
        """There is nothing to keep."""

    async def _ask(self, path: str, shape: type[_T], query: dict[str, str]) -> _T:
        found = await ask(self._fetch, self.name, f"{self._address}/metadata/{path}?{urlencode(query)}", _HEADERS)
        try:
            return msgspec.json.decode(found, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._bad(f"the metadata service answered {path} with something else") from None

    def _bad(self, problem: str) -> Unavailable:
        return Unavailable("CLIENT-JOIN-PROOF", method=self.name, problem=problem)
