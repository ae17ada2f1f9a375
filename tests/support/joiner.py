"""Who joins a control plane in memory: a conversation from end to end, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from teleport.api.caller import Caller
from teleport.api.join_calls import JoinCalls
from teleport.api.join_messages import Accepted, Asked, Joined
from teleport.base.errors import TeleportError
from teleport.base.struct import Struct, encode
from teleport.client.joining.join import Method, converse
from teleport.client.joining.token import TokenMethod
from tests.support.auth_cluster import Cluster, document_of, public_keys

SECRET = "0123456789abcdef0123456789abcdef"
STRANGER = Caller(None, "192.0.2.7:40000")


class Shows:
    """A method of the client that shows what it is given, and answers challenges with what a function makes of them."""

    def __init__(self, name: str, proof: Struct | bytes = b"", solve: Any = None) -> None:
        self.name = name
        self._proof = proof
        self._solve = solve

    async def first(self, accepted: Accepted) -> bytes:
        return self._proof if isinstance(self._proof, bytes) else encode(self._proof)

    async def solve(self, challenge: bytes) -> bytes:
        return encode(self._solve(challenge))

    async def keep(self, keepsake: bytes) -> None:
        """Nothing is kept."""


async def make(cluster: Cluster, name: str = SECRET, **spec: Any) -> None:
    """Create a token, for nodes where nothing is said."""
    await cluster.admin.create(document_of("token", name, {"roles": ["Node"], **spec}))


async def join(
    cluster: Cluster, method: Method | None = None, caller: Caller = STRANGER, **fields: Any
) -> Joined:  # fmt: skip
    """Join with the secret token, or as `fields` of `Asked` say. `join_method` empty: the method's own is named."""
    chosen = method or TokenMethod()
    shape = {"token": SECRET, "host_name": "n1", "join_method": chosen.name}
    asked = Asked(**{**shape, **public_keys(cluster.entropy), **fields})
    async with JoinCalls(cluster.client(caller)).open() as conversation:
        return await converse(conversation, asked, chosen)


async def refused(cluster: Cluster, method: Method | None = None, **fields: Any) -> TeleportError:
    """Return the error with which a join is refused."""
    with pytest.raises(TeleportError) as caught:
        await join(cluster, method, **fields)
    return caught.value
