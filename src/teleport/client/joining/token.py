"""Join method token: the name of the token is the whole proof."""

from __future__ import annotations

from teleport.api.join_messages import Accepted
from teleport.base.errors import NotSupported


class TokenMethod:
    """Implements `client.joining.join.Method`."""

    name = "token"

    async def first(self, accepted: Accepted) -> bytes:
        """Nothing: the name was said already."""
        return b""

    async def solve(self, challenge: bytes) -> bytes:
        """Nothing is ever asked. Raises NotSupported (CLIENT-JOIN-CHALLENGE)."""
        raise NotSupported("CLIENT-JOIN-CHALLENGE", method=self.name)

    async def keep(self, keepsake: bytes) -> None:
        """There is nothing to keep."""
