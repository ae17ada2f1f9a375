"""A bot's way to a control plane in memory, without a network between, and a storage that can be struck.

The client's and the server's own code speak with each other; what is left out is gRPC itself. `strike` of each is
called before and after everything that another machine or a power cut could see, and may raise.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from teleport.api.bot_calls import BotCalls
from teleport.api.bot_messages import Renewal
from teleport.api.caller import Caller, admit
from teleport.api.join_calls import JoinCalls
from teleport.api.join_messages import Asked
from teleport.auth.service import AuthService
from teleport.base.clock import Clock
from teleport.base.errors import TeleportError, Unavailable
from teleport.bot.held import held_of, public_keys
from teleport.bot.parts import Held
from teleport.client.joining.join import Method, converse
from teleport.client.joining.token import TokenMethod
from tests.support.bots import HOME

Strike = Callable[[str], None]


class Killed(BaseException):
    """The bot ended here, without another word."""


def nothing(moment: str) -> None:
    """Strike never."""


class Place:
    """A `Destination` in memory that outlives the bot."""

    folder = "/var/lib/teleport/bot"

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.strike: Strike = nothing
        self.moments: list[str] = []

    def copy(self) -> Place:
        """Return another storage with what is in this one now."""
        made = Place()
        made.files = dict(self.files)
        return made

    async def prepare(self, names: Sequence[str]) -> None:
        self._now("prepare")

    async def check(self) -> None:
        self._now("check")

    async def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    async def write(self, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            self._now(f"before {name}")
            self.files[name] = data
            self._now(f"after {name}")

    def _now(self, moment: str) -> None:
        self.moments.append(moment)
        self.strike(moment)

    def __str__(self) -> str:
        return f"directory: {self.folder}"


class Line:
    """Calls of one caller that reach an Auth Service directly. Takes the place of `api.rpc.Channel`."""

    def __init__(self, service: AuthService, caller: Caller, clock: Clock) -> None:
        self._methods = service.methods
        self._caller = caller
        self._clock = clock

    async def unary(self, call: Any, request: Any, *, timeout: float = 0) -> Any:
        method = self._methods[call.path]
        admit(self._caller, method.audience, call.path, self._clock)
        return await method.run(self._caller, request)

    @asynccontextmanager
    async def talk(self, call: Any) -> AsyncIterator[Any]:
        said: asyncio.Queue[Any] = asyncio.Queue()
        method = self._methods[call.path]
        admit(self._caller, method.audience, call.path, self._clock)

        async def requests() -> AsyncIterator[Any]:
            while (request := await said.get()) is not None:
                yield request

        async def send(request: Any) -> None:
            said.put_nowait(request)

        replies = method.run(self._caller, requests())
        try:
            yield SimpleNamespace(send=send, receive=replies.__anext__)
        finally:
            said.put_nowait(None)
            await replies.aclose()


class AuthDoor:
    """A `bot.identity.Door` to an Auth Service."""

    def __init__(
        self, service: AuthService, clock: Clock, token: str, *, address: str = HOME, method: Method | None = None,
        hostname: str = "build-7",
    ) -> None:  # fmt: skip
        self.service = service
        self.clock = clock
        self.token = token
        self.address = address
        self.method = method or TokenMethod()
        self.hostname = hostname
        self.strike: Strike = nothing
        self.asked: list[tuple[str, str]] = []
        """What was asked (`join`, `join again`, `renew`), and for which key."""

    async def join(self, key: str, former: Held | None) -> Held:
        self.asked.append(("join again" if former else "join", key))
        self.strike("before asking")
        ssh, tls = public_keys(key)
        asked = Asked(
            token=self.token, ssh_public_key=ssh, tls_public_key=tls, system_role="Bot", host_name=self.hostname,
            join_method=self.method.name,
        )  # fmt: skip
        async with JoinCalls(self._client(former)).open() as conversation:
            made = (await converse(conversation, asked, self.method)).certificates
        self.strike("after the answer")
        return held_of(key, made)

    async def renew(self, held: Held, key: str) -> Held:
        self.asked.append(("renew", key))
        self.strike("before asking")
        ssh, tls = public_keys(key)
        made = await BotCalls(self._client(held)).renew(Renewal(ssh_public_key=ssh, tls_public_key=tls))
        self.strike("after the answer")
        return held_of(key, made)

    def _client(self, held: Held | None) -> Any:
        caller = Caller(held.identity if held else None, self.address)
        return SimpleNamespace(channel=Line(self.service, caller, self.clock))


def at(wanted: str, error: Callable[[], BaseException], times: int = 1) -> Strike:
    """Return what strikes at a moment, and then lets everything pass."""
    left = [times]

    def strike(moment: str) -> None:
        if moment == wanted and left[0]:
            left[0] -= 1
            raise error()

    return strike


def full() -> TeleportError:
    """A disk without room."""
    return Unavailable("DISK-FULL", path="/var/lib/teleport/bot")


def lost() -> TeleportError:
    """An answer that did not arrive."""
    return Unavailable("API-UNAVAILABLE", method="Renew", problem="the connection was lost")
