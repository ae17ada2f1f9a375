"""join: one conversation with the Auth Service, directly or through a proxy, whatever the join method.

Here: the order of things. Not here: where the proof comes from (one file for each method beside this one), which
address is dialled and whether the peer is believed (`client.joining.pins`; through a proxy its web certificate), and
where keys and certificates are kept. Secrets leave only over the stream that `dial` opens: it must be one to a peer
that was verified.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from teleport.api.client import AuthClient, over_stream
from teleport.api.join_calls import Conversation, JoinCalls
from teleport.api.join_messages import Accepted, Asked, Joined
from teleport.base.errors import LimitExceeded
from teleport.net.stream import Stream

Dial = Callable[[], Awaitable[Stream]]
"""Opens a stream, TLS where it leaves the machine, over which the peer speaks gRPC."""

MOST_CHALLENGES = 8
"""A method asks a few times at most; a peer that asks on and on is none of ours."""


class Method(Protocol):
    """The client's side of a join method. Methods raise `base.errors`."""

    name: str
    """As a token writes it in `spec.join_method`."""

    async def first(self, accepted: Accepted) -> bytes:
        """Return the first part of the proof, which may be nothing."""
        ...

    async def solve(self, challenge: bytes) -> bytes:
        """Return the solution of a challenge."""
        ...

    async def keep(self, keepsake: bytes) -> None:
        """Store what the server wants to see the next time, which mostly is nothing."""
        ...


async def join(dial: Dial, asked: Asked, method: Method) -> Joined:
    """Join a cluster; the keys in `asked` get certificates. Raises what the server refuses it with (AUTH-JOIN-*,
    POL-LOCKED), Unavailable (API-UNAVAILABLE), TimedOut (API-DEADLINE), and what `dial` and `method` raise."""
    async with AuthClient(over_stream(dial)) as client, JoinCalls(client).open() as conversation:
        return await converse(conversation, replace(asked, join_method=method.name), method)


async def converse(conversation: Conversation, asked: Asked, method: Method) -> Joined:
    """Lead a conversation to its end."""
    accepted = await conversation.begin(asked)
    said = await conversation.start(asked, await method.first(accepted))
    for _ in range(MOST_CHALLENGES):
        if isinstance(said, Joined):
            await method.keep(said.keepsake)
            return said
        said = await conversation.answer(await method.solve(said))
    raise LimitExceeded("CLIENT-JOIN-CHALLENGES", limit=MOST_CHALLENGES)
