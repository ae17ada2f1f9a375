"""The agent pool: tunnels from this process to the proxies of its cluster, and connections that come through them.

What is here: one agent for each proxy that is known, which dials, claims the proxy, serves what the proxy opens, and
dials again when the tunnel is lost. A load balancer decides which proxy a connection reaches, so an agent that reaches
one that another agent holds already hangs up and tries again. What is not: the tunnel (`net.tunnel`), the way to the
proxy (handed in), and the service behind it.

A tunnel that does not answer for some seconds is left to its connections, and another one takes its place: either the
way is lost, and who waited for its end would be away for half a minute, or it is slow, and connections that would
survive that should not be ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any

from teleport.access.system import system_roles
from teleport.base import tasks
from teleport.base.entropy import Entropy, fraction
from teleport.base.errors import AccessDenied, TeleportError, Unavailable
from teleport.base.log import logger
from teleport.model.identity import Identity
from teleport.net.peek import PeekStream
from teleport.net.stream import Peer, Stream
from teleport.net.tunnel import Call, Tunnel
from teleport.pki import codec, x509
from teleport.wire.buffer import NeedMore
from teleport.wire.tunnel import DISCOVERY, DISCOVERY_LIMIT, TRANSPORT, read_discovery, read_opening

log = logger("NODE:PROXY")

STEP, LONGEST = 1.0, 8.0
"""Seconds by which the wait grows with each failure, and the longest wait; it begins anew after LONGEST."""
LOOK = 5.0
"""Seconds between two questions to the proxy whether it is there."""
LEFT = 4
"""Tunnels in doubt for each proxy that are left to their connections; with more, the last one is kept."""
MOST = 64
"""Proxies to which tunnels are kept; more would be a mistake of whoever names them."""

Serve = Callable[[Stream], Awaitable[None]]


class AgentPool:
    """Keeps tunnels for one service. It is a listener to whoever drains the process (`process.drain`)."""

    def __init__(
        self, *, dial: Callable[[], Awaitable[Stream]], serve: Serve, target: str, kind: str, entropy: Entropy,
        most: int = MOST, moved: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """`dial` opens a connection to a proxy that was verified, `serve` takes one connection for the service.
        `target` is the address that is dialled, for the log; `kind` the service's name in tunnels; `most` how many
        proxies tunnels are kept to, of those that there are; `moved` is called when these are others."""
        self._dial = dial
        self._serve = serve
        self._target = target
        self._kind = kind
        self._most = min(most, MOST)
        self._moved = moved
        self._entropy = entropy
        self._agents: dict[int, Agent] = {}
        self._leases = 0
        self._claimed: dict[str, int] = {}
        self._proxies: frozenset[str] = frozenset()
        self._keepers = 0
        """Tasks that keep a tunnel each, or look for a proxy."""
        self._news = asyncio.Event()
        """Set, and replaced, when other proxies are named or others are claimed."""
        self._serving: set[asyncio.Task[None]] = set()
        self._left: set[asyncio.Task[None]] = set()
        """Tunnels whose place others have taken, and which end with their connections."""
        self._telling: set[asyncio.Task[None]] = set()
        """Tell proxies that this end drains. Their control streams stay open, so these are waited for by nobody."""
        self._draining = False
        self._ready: Callable[[], None] = lambda: None
        self.address = f"tunnel to {target}"
        """For whoever counts connections."""
        self.waited_for, self.spare = True, False

    # -- what the service asks

    @property
    def connected(self) -> bool:
        """Whether others can reach the service through a tunnel that answers."""
        return bool(self._claimed)

    @property
    def proxies(self) -> tuple[str, ...]:
        """Ids of the proxies to which there is a tunnel, sorted."""
        return tuple(sorted(self._claimed))

    def __len__(self) -> int:
        """Return how many connections are served."""
        return len(self._serving)

    async def run(self, ready: Callable[[], None]) -> None:
        """Keep tunnels until cancelled; `ready` is called when there is the first one."""
        self._ready = ready
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    await self._grow(group)
                finally:
                    for agent in self._agents.values():
                        log.debug("Pool is closing agent.", leaseID=agent.lease, target=self._target)
        finally:
            for task in (*self._serving, *self._telling, *self._left):
                await tasks.cancel(task)

    async def _grow(self, group: asyncio.TaskGroup) -> None:
        while True:
            while self._keepers < self._wanted and not self._draining:
                self._keepers += 1
                group.create_task(self._keep())
            await self._news.wait()

    def drain(self, bound: float, on_error: Callable[[BaseException], None]) -> None:
        """Take no more connections; those that are open go on, for `bound` seconds at most."""
        self._draining = True
        for agent in self._agents.values():
            self._track(agent.drain(), self._telling, on_error)

    @property
    def _wanted(self) -> int:
        """How many tunnels there should be: one to each proxy that is named or reached."""
        return min(max(1, len(self._proxies | self._claimed.keys())), self._most)

    # -- one keeper: one tunnel at a time

    async def _keep(self) -> None:
        """Keep a tunnel as long as there are so many proxies."""
        failures = 0
        loop = asyncio.get_running_loop()
        try:
            while self._keepers <= self._wanted and not self._draining:
                began = loop.time()
                agent, lasted = self._lease(), 0.0
                if await agent.connect():
                    lasted = await self._attend(agent)
                # A tunnel that is cut as soon as it is there is as good as none: dialling on and on would help nobody.
                failures = 0 if lasted > LONGEST else failures % int(LONGEST / STEP) + 1
                wait = min(failures * STEP, LONGEST) * (0.5 + fraction(self._entropy) / 2) if failures else 0.0
                # Who has waited for an answer in vain has waited.
                if await self._pause(wait - (loop.time() - began - lasted)):
                    failures = 0
        finally:
            self._keepers -= 1

    async def _pause(self, seconds: float) -> bool:
        """Wait before the next attempt; cut short, and say so, when more proxies are named."""
        named = self._proxies
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                while self._proxies <= named:
                    await self._news.wait()
        except TimeoutError:
            return False
        await asyncio.sleep(STEP * fraction(self._entropy))  # many agents hear of a new proxy at the same moment
        return True

    async def _attend(self, agent: Agent) -> float:
        """Let an agent serve, and others that take its place, until a tunnel is lost; return the seconds in which there
        was one."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            serving = tasks.spawn(agent.serve(), name="tunnel", on_error=_connection_failed)
            try:
                heir = await self._heir(agent, serving)
            except BaseException:
                await tasks.cancel(serving)
                raise
            if heir is None:
                if agent.retiring:
                    log.info("A proxy stops, what goes through it goes on", leaseID=agent.lease, target=self._target)
                    self._track(agent.leave(serving), self._left, _connection_failed)
                    self.release(agent.lease)
                return loop.time() - began
            log.info("A tunnel does not answer, another one takes its place", leaseID=agent.lease, target=self._target)
            self._track(agent.leave(serving), self._left, _connection_failed)
            agent = heir

    async def _heir(self, agent: Agent, serving: asyncio.Task[None]) -> Agent | None:
        """Return an agent that is connected when the former one is in doubt; None when that one's tunnel is lost or its
        proxy stops."""
        while not serving.done():
            await agent.doubt(True)
            if agent.retiring:
                break
            if agent.lost or len(self._left) >= LEFT * self._wanted:
                await asyncio.wait([serving])
                break
            heir = self._lease()
            connecting = tasks.spawn(heir.connect(agent), name="tunnel", on_error=_connection_failed)
            sure = tasks.spawn(agent.doubt(False), name="tunnel", on_error=_connection_failed)
            try:
                await asyncio.wait([connecting, sure, serving], return_when=asyncio.FIRST_COMPLETED)
                if connecting.done() and connecting.result():
                    return heir
                if connecting.done():  # no way at the moment
                    await asyncio.wait([sure, serving], timeout=STEP, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await tasks.cancel(sure)
                await tasks.cancel(connecting)
        return None

    def _lease(self) -> Agent:
        self._leases += 1
        agent = self._agents[self._leases] = Agent(self, self._leases, self._target)
        return agent

    # -- what agents ask

    async def dial(self) -> Stream:
        """Return a connection to a proxy."""
        return await self._dial()

    def claim(self, proxy: str, lease: int, former: int = 0) -> bool:
        """Take a proxy for an agent, also from the one whose place it takes; False if another one has it."""
        if self._claimed.get(proxy, lease) not in (lease, former):
            return False
        self._claimed[proxy] = lease
        self._ready()
        self._tell()
        self._moved()
        return True

    def release(self, lease: int) -> None:
        """Give back what an agent has claimed."""
        self._claimed = {proxy: holder for proxy, holder in self._claimed.items() if holder != lease}
        self._tell()
        self._moved()

    def forget(self, lease: int) -> None:
        """An agent has ended."""
        self._agents.pop(lease, None)

    def discovered(self, proxies: Collection[str]) -> None:
        """Take the list of proxies that one of them has sent."""
        if self._proxies != frozenset(proxies):
            self._proxies = frozenset(proxies)
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def take(self, call: Call) -> None:
        """Serve a connection in the background."""
        self._track(self._serve_call(call), self._serving, _connection_failed)

    def refuses(self, kind: str) -> str:
        """Return why a connection for a service is not taken; empty: it is."""
        if self._draining:
            return "agent connection is draining"
        return "" if kind == self._kind else f"connection rejected: no local {kind[:40]}"

    async def _serve_call(self, call: Call) -> None:
        opening = read_opening(call.header)
        stream = PeekStream(await call.answer())
        stream.know(Peer(address=opening.client_src_addr))
        try:
            await self._serve(stream)
        finally:
            await stream.close()

    @staticmethod
    def _track(
        work: Coroutine[Any, Any, None], held: set[asyncio.Task[None]], on_error: Callable[[BaseException], None]
    ) -> None:
        task = tasks.spawn(work, name="tunnel connection", on_error=on_error)
        held.add(task)
        task.add_done_callback(held.discard)


class Agent:
    """One attempt to have a tunnel, from the dial to its end: initial, connecting, connected, closed."""

    def __init__(self, pool: AgentPool, lease: int, target: str) -> None:
        self._pool = pool
        self.lease = lease
        self._target = target
        self._tunnel: Tunnel | None = None
        self.state = "initial"

    async def connect(self, former: Agent | None = None) -> bool:
        """Connect, in the place of a `former` one perhaps, and say whether there is a tunnel now. Failures are told to
        the log."""
        self._become("connecting")
        try:
            stream = await self._pool.dial()
            names = await self._claim(stream, former)
        except TeleportError as error:
            tell = log.debug if error.code == "AGENT-CLAIMED" else log.warn
            tell("An agent cannot connect to its proxy", leaseID=self.lease, target=self._target, error=error)
            self._closed()
            return False
        except asyncio.CancelledError:
            self._closed()
            raise
        self._tunnel = Tunnel(stream, interval=LOOK)
        self._say(f"Agent connected to proxy: [{' '.join(names)}].")
        self._become("connected")
        return True

    async def serve(self) -> None:
        """Serve until the tunnel is lost. Failures are told to the log."""
        tunnel = self._tunnel
        assert tunnel is not None  # noqa: S101 - connected first
        try:
            await self._accept(tunnel)
            reason = await tunnel.closed()
            log.info("A tunnel has ended", leaseID=self.lease, target=self._target, reason=reason, why=reason.why)
        finally:
            self._pool.release(self.lease)
            await tunnel.close("the agent closed it")
            self._closed()

    @property
    def lost(self) -> bool:
        """Whether there is no tunnel."""
        return self._tunnel is None or self._tunnel.reason is not None

    @property
    def retiring(self) -> bool:
        """Whether its proxy takes no more streams, and the tunnel is there."""
        return not self.lost and self._tunnel is not None and self._tunnel.retiring

    async def doubt(self, there: bool) -> None:
        """Wait until it is in doubt whether the proxy answers, or with `there` False, until it is not any more; or
        until the tunnel is lost or the proxy stops."""
        if self._tunnel is not None:
            await self._tunnel.doubt(there)

    async def leave(self, serving: asyncio.Task[None]) -> None:
        """Let the tunnel end with the connections in it; one of a proxy that stops may have new ones until that
        closes it."""
        try:
            if self.retiring:
                await asyncio.wait([serving])
            await self.drain()
            if self._tunnel is not None:
                await self._tunnel.close("another tunnel has taken its place")
        finally:
            await tasks.cancel(serving)

    def _closed(self) -> None:
        self._pool.forget(self.lease)
        self._become("closed")

    async def _claim(self, stream: Stream, former: Agent | None) -> Sequence[str]:
        """Find out which proxy was reached, and claim it. Raises AccessDenied (AGENT-NOT-A-PROXY), Unavailable
        (AGENT-CLAIMED); the stream is closed then."""
        try:
            proxy = _proxy_at(stream)
            names = proxy.principals
            if not self._pool.claim(names[0].partition(".")[0], self.lease, former.lease if former else 0):
                raise Unavailable("AGENT-CLAIMED", proxy=" ".join(names))
        except BaseException:
            await stream.close()
            raise
        return names

    async def _accept(self, tunnel: Tunnel) -> None:
        control: asyncio.Task[None] | None = None
        try:
            async for call in tunnel.accept():
                try:
                    opening = read_opening(call.header)
                except TeleportError as error:
                    await call.refuse(error.what)
                    continue
                if opening.channel == DISCOVERY and control is None:
                    control = tasks.spawn(self._discover(call), name="tunnel discovery", on_error=_control_failed)
                elif opening.channel != TRANSPORT:
                    await call.refuse("no such channel")
                elif refusal := self._pool.refuses(opening.conn_type):
                    await call.refuse(refusal)
                else:
                    self._pool.take(call)
        finally:
            if control is not None:
                await tasks.cancel(control)

    async def _discover(self, call: Call) -> None:
        """Read which proxies there are, as often as the proxy says."""
        stream = await call.answer()
        self._say(f"Discovery request channel opened: {DISCOVERY}.")
        self._say("handleDiscovery requests channel.")
        held = b""
        try:
            while data := await stream.read(DISCOVERY_LIMIT):
                held += data
                with contextlib.suppress(NeedMore):
                    while held:
                        proxies, size = read_discovery(held)
                        held = held[size:]
                        self._pool.discovered(proxies)
        finally:
            await stream.close()

    async def drain(self) -> None:
        """Take no new streams, and wait for those that are open."""
        if self._tunnel is not None:
            self._pool.release(self.lease)
            await self._tunnel.drain()

    def _become(self, state: str) -> None:
        former, self.state = self.state, state
        self._say(f"Changing state {former} -> {state}.")

    def _say(self, message: str) -> None:
        log.debug(message, leaseID=self.lease, target=self._target)


def _proxy_at(stream: Stream) -> Identity:
    """Return who is at the other end. The certificate was verified by TLS, but Auth Services have such a one too."""
    certificate = stream.peer.certificate
    identity = codec.from_x509(x509.parse(certificate)) if certificate else None
    if identity is None or not identity.is_host or "Proxy" not in system_roles(identity) or not identity.principals:
        raise AccessDenied("AGENT-NOT-A-PROXY", address=stream.peer.address)
    return identity


def _connection_failed(error: BaseException) -> None:
    log.debug("A connection through a tunnel has failed", error=error)


def _control_failed(error: BaseException) -> None:
    log.debug("The control stream of a tunnel has ended", error=error)
