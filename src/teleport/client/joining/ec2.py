"""Join method ec2: the identity document of this instance, as AWS has signed it."""

from __future__ import annotations

from teleport.api.join_messages import Accepted
from teleport.api.join_proofs import Ec2Init, write
from teleport.base.errors import NotSupported
from teleport.client.joining.imds import AWS, ask_aws
from teleport.net.fetch import Fetch

DOCUMENT = "/latest/dynamic/instance-identity/rsa2048"
"""Where the metadata service has the document within its RSA-2048 signature."""


class Ec2Method:
    """Implements `client.joining.join.Method`."""

    name = "ec2"

    def __init__(self, fetch: Fetch, address: str = "") -> None:
        """`fetch` must let plain HTTP pass. `address` is that of the metadata service; empty: the usual one."""
        self._fetch = fetch
        self._address = (address or AWS).rstrip("/")

    async def first(self, accepted: Accepted) -> bytes:
        """Return the document. Raises Unavailable (CLIENT-JOIN-PROOF)."""
        document = await ask_aws(self._fetch, self.name, self._address, DOCUMENT)
        return write(Ec2Init(identity_document=document.decode(errors="replace")))

    async def solve(self, challenge: bytes) -> bytes:
        """Nothing is ever asked. Raises NotSupported (CLIENT-JOIN-CHALLENGE)."""
        raise NotSupported("CLIENT-JOIN-CHALLENGE", method=self.name)

    async def keep(self, keepsake: bytes) -> None:
        """There is nothing to keep."""
