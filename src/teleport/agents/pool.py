"""The agent pool: tunnels from this process to the proxies of its cluster, and connections that come through them.

What is here: one agent for each proxy that is known, which dials, claims the proxy, serves what the proxy opens, and
dials again when the tunnel is lost. A load balancer decides which proxy a connection reaches, so an agent that reaches
one that another agent holds already hangs up and tries again. What is not: the tunnel (`net.tunnel`), the way to the
proxy (handed in), and the service behind it.
"""

from __future__ import annotations

import asyncio
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
MOST = 64
"""Proxies to which tunnels are kept; more would be a mistake of whoever names them."""

Serve = Callable[[Stream], Awaitable[None]]


class AgentPool:
    """Keeps tunnels for one service. It is a listener to whoever drains the process (`process.drain`)."""

    def __init__(
        self, *, dial: Callable[[], Awaitable[Stream]], serve: Serve, target: str, kind: str, entropy: Entropy
    ) -> None:
        """`dial` opens a connection to a proxy that was verified, `serve` takes one connection for the service.
        `target` is the address that is dialled, for the log; `kind` the service's name in tunnels."""
        self._dial = dial
        self._serve = serve
        self._target = target
        self._kind = kind
        self._entropy = entropy
        self._agents: dict[int, Agent] = {}
        self._leases = 0
        self._claimed: dict[str, int] = {}
        self._proxies: frozenset[str] = frozenset()
        self._more = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()
        self._telling: set[asyncio.Task[None]] = set()
        """Tell proxies that this end drains, or keep tunnels of proxies that leave. Control streams stay open, so these
        are waited for by nobody."""
        self._draining = False
        self._ready: Callable[[], None] = lambda: None
        self.address = f"tunnel to {target}"
        """For whoever counts connections."""
        self.waited_for = True

    # -- what the service asks

    @property
    def connected(self) -> bool:
        """Whether others can reach the service through a tunnel that answers."""
        return bool(self._claimed)

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
            for task in (*self._serving, *self._telling):
                await tasks.cancel(task)

    async def _grow(self, group: asyncio.TaskGroup) -> None:
        slots = 0
        while True:
            while slots < self._wanted:
                slots += 1
                group.create_task(self._keep(slots))
            self._more.clear()
            await self._more.wait()

    def drain(self, bound: float, on_error: Callable[[BaseException], None]) -> None:
        """Take no more connections; those that are open go on, for `bound` seconds at most."""
        self._draining = True
        for agent in self._agents.values():
            self._track(agent.drain(), self._telling, on_error)

    @property
    def _wanted(self) -> int:
        return min(max(1, len(self._proxies)), MOST)

    # -- one slot: one tunnel at a time

    async def _keep(self, slot: int) -> None:
        """Keep a tunnel as long as there are so many proxies."""
        failures = 0
        while slot <= self._wanted and not self._draining:
            agent = self._lease()
            try:
                lasted = await agent.run()
            finally:
                del self._agents[agent.lease]
            # A tunnel that is cut as soon as it is there is as good as none: dialling on and on would help nobody.
            failures = 0 if lasted > LONGEST else failures % int(LONGEST / STEP) + 1
            await asyncio.sleep(min(failures * STEP, LONGEST) * (0.5 + fraction(self._entropy) / 2) if failures else 0)

    def _lease(self) -> Agent:
        self._leases += 1
        agent = self._agents[self._leases] = Agent(self, self._leases, self._target)
        return agent

    # -- what agents ask

    async def dial(self) -> Stream:
        """Return a connection to a proxy."""
        return await self._dial()

    def claim(self, proxy: str, lease: int) -> bool:
        """Take a proxy for an agent; False if another one has it."""
        if self._claimed.setdefault(proxy, lease) != lease:
            return False
        self._ready()
        return True

    def release(self, lease: int) -> None:
        """Give back what an agent has claimed."""
        self._claimed = {proxy: holder for proxy, holder in self._claimed.items() if holder != lease}

    def leave(self, serving: asyncio.Task[None]) -> None:
        """Keep what serves the tunnel of a proxy that takes no more connections; its slot gets another tunnel."""
        self._telling.add(serving)
        serving.add_done_callback(self._telling.discard)

    def discovered(self, proxies: Collection[str]) -> None:
        """Take the list of proxies that one of them has sent."""
        self._proxies = frozenset(proxies)
        self._more.set()

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

    async def run(self) -> float:
        """Connect and serve until the tunnel is lost or its proxy leaves; return how many seconds there was one.
        Failures are told to the log."""
        self._become("connecting")
        try:
            stream = await self._pool.dial()
            names = await self._claim(stream)
        except TeleportError as error:
            tell = log.debug if error.code == "AGENT-CLAIMED" else log.warn
            tell("An agent cannot connect to its proxy", leaseID=self.lease, target=self._target, error=error)
            self._become("closed")
            return 0.0
        tunnel = self._tunnel = Tunnel(stream)
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._say(f"Agent connected to proxy: [{' '.join(names)}].")
        self._become("connected")
        serving = tasks.spawn(self._serve(tunnel), name="tunnel", on_error=_control_failed)
        try:
            await tunnel.parting()
        except BaseException:
            await tasks.cancel(serving)
            raise
        finally:
            self._pool.release(self.lease)
        if tunnel.reason is None:
            log.info("A proxy leaves, its tunnel stays for what is open", leaseID=self.lease, target=self._target)
            self._pool.leave(serving)
        else:
            await asyncio.wait([serving])
        return loop.time() - began

    async def _serve(self, tunnel: Tunnel) -> None:
        """Take connections until the tunnel is closed."""
        try:
            await self._accept(tunnel)
            reason = await tunnel.closed()
            log.info("A tunnel has ended", leaseID=self.lease, target=self._target, reason=reason)
        finally:
            await tunnel.close("the agent closed it")
            self._become("closed")

    async def _claim(self, stream: Stream) -> Sequence[str]:
        """Find out which proxy was reached, and claim it. Raises AccessDenied (AGENT-NOT-A-PROXY), Unavailable
        (AGENT-CLAIMED); the stream is closed then."""
        try:
            proxy = _proxy_at(stream)
            names = proxy.principals
            if not self._pool.claim(names[0].partition(".")[0], self.lease):
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
        while data := await stream.read(DISCOVERY_LIMIT):
            held += data
            try:
                while held:
                    proxies, size = read_discovery(held)
                    held = held[size:]
                    self._pool.discovered(proxies)
            except NeedMore:
                continue

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
