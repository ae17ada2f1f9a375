"""Forwarding: ends users' connections to other servers at the proxy, with the SSH Service's own decisions and records.

Before each user the proxy stands with a host certificate for the names of the server, which the Auth Service makes for
an hour at a time. Everything behind that - who may have a session, what is recorded, what a lock cuts - is
`agents.ssh`, with the server as the node; only the command runs elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
from collections import OrderedDict
from collections.abc import Callable

from teleport.agents.forwarding.authority import TargetAuthority, Trackers, View
from teleport.agents.forwarding.session import RelaySession
from teleport.agents.forwarding.side import OnwardSide
from teleport.agents.forwarding.way import Certifier, Way
from teleport.agents.ssh.connection import ClientConnection, World
from teleport.agents.ssh.cuts import Cuts
from teleport.agents.ssh.ends import Ends
from teleport.agents.ssh.joining import Rooms
from teleport.agents.ssh.leases import Leases
from teleport.agents.ssh.recorder import Recorder
from teleport.agents.ssh.service import LIMIT_HIT
from teleport.agents.ssh.switches import Switches
from teleport.agents.ssh.throttle import Throttle
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.counters import Counters
from teleport.base.entropy import Entropy
from teleport.base.errors import LimitExceeded, TeleportError, Unavailable
from teleport.base.log import logger
from teleport.model.kinds.node import Node
from teleport.model.resource import Metadata
from teleport.net import ssh, ssh_onward, ssh_settings
from teleport.net.socket_stream import SocketStream
from teleport.net.stream import Peer, Stream
from teleport.pki import keys

log = logger("PROXY:SSH")

CACHED = 256
"""Servers whose certificates are kept."""
RENEW = dt.timedelta(minutes=10)
"""How long before its end a certificate is made anew."""
MOST = 4096
"""Connections that are ended here at a time."""
STRANGERS = 60
SERVER_LOST = "server_lost"
"""Why a connection ends whose server has gone."""


class Forwarding:
    """Implements `proxy.reach.Forwarder`."""

    def __init__(
        self, *, view: View, trackers: Trackers, certifier: Certifier, recorder: Recorder, clock: Clock,
        entropy: Entropy, cluster: str, proxy: str, ends: Callable[[], Ends] = Ends,
        keep_alive: Callable[[], ssh_settings.KeepAlive] = ssh_settings.KeepAlive, web_address: str = "",
        counters: Counters | None = None,
    ) -> None:  # fmt: skip
        """`proxy` is the id of this proxy's host."""
        self._view = view
        self._trackers = trackers
        self._certifier = certifier
        self._recorder = recorder
        self._clock = clock
        self._entropy = entropy
        self._cluster = cluster
        self._proxy = proxy
        self._ends = ends
        self._keep_alive = keep_alive
        self._web_address = web_address
        self._strangers = Throttle(clock, limit=STRANGERS, window=dt.timedelta(minutes=1))
        self._rooms = Rooms()
        self._key = keys.make_ed25519(entropy)
        self._settings: OrderedDict[tuple[str, ...], tuple[dt.datetime, ssh_settings.ServerOptions]] = OrderedDict()
        held = TargetAuthority(view, trackers, Node(version="v2", metadata=Metadata(name="none")), proxy=proxy)
        self._leases = Leases(held.hold_leases, entropy, (counters or Counters()).get(*LIMIT_HIT))
        self._renewal: asyncio.Task[None] | None = None
        self._serving: set[asyncio.Task[None]] = set()

    def takes(self, node: Node) -> bool:
        """Whether connections to this node end at the proxy."""
        config = self._view.recording_config()
        return node.agentless or (config is not None and config.at_proxy)

    async def open(self, node: Node, way: Stream, client: Peer) -> Stream:
        """Return a connection on which a user speaks to the node as it seems to them. `way` is one to the node itself,
        on which nothing was said; both are ours from here on.

        Raises what the Auth Service says to `issue_target`, and LimitExceeded (SSH-LIMIT-FORWARDED).
        """
        if len(self._serving) >= MOST:
            raise LimitExceeded("SSH-LIMIT-FORWARDED", limit=MOST)
        if self._renewal is None:
            self._renewal = tasks.spawn(self._leases.run(), name="ssh-leases", on_error=self._failed)
        settings = await self._options(node)
        theirs, ours = socket.socketpair()
        stream = SocketStream(ours, peer=Peer(address=client.address))
        task = tasks.spawn(self._serve(stream, node, way, settings), name="ssh-forwarding", on_error=self._failed)
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        return SocketStream(theirs, peer=way.peer)

    async def _options(self, node: Node) -> ssh_settings.ServerOptions:
        """Return settings with a certificate for the node, made anew when its names change or it soon ends."""
        keep_alive = self._keep_alive()
        named = (node.name, node.spec.hostname, node.spec.addr, *node.spec.public_addrs, str(keep_alive))
        found = self._settings.get(named)
        if found is None or found[0] - RENEW <= self._clock.now():
            issued = await self._certifier.issue_target(node.name, keys.ssh_blob(self._key.public_key()))
            host_key = ssh_settings.HostKey(keys.private_pem(self._key), issued.certificate)
            found = issued.expires, ssh_settings.options([host_key], keep_alive=keep_alive)
            self._settings[named] = found
        self._settings.move_to_end(named)
        if len(self._settings) > CACHED:
            self._settings.popitem(last=False)
        return found[1]

    async def _serve(self, stream: Stream, node: Node, way: Stream, settings: ssh_settings.ServerOptions) -> None:
        authority = TargetAuthority(self._view, self._trackers, node, proxy=self._proxy)
        cuts = Cuts(authority, self._clock, self._entropy, self._cluster)
        made: list[tuple[ClientConnection, Way]] = []

        def lost(error: Exception | None) -> None:
            problem = str(error or "the server closed the connection")
            ended = Unavailable("NET-SSH-SERVER", host=node.spec.hostname, problem=problem)
            for client, _ in made:
                client.cut(SERVER_LOST, ssh.one_line(ended))

        def refused(kind: str, error: TeleportError) -> None:
            for client, _ in made:
                client.background(client.not_let_through(kind, error))

        def handler(connection: ssh.ServerConnection) -> ClientConnection:
            further = Way(
                connection, way, authority=authority, certifier=self._certifier, clock=self._clock,
                entropy=self._entropy, cluster=self._cluster, checks_host_keys=self._checks_host_keys,
                watch=ssh_onward.Watch(refused, lost),
            )  # fmt: skip
            made.append((ClientConnection(self._world(authority, cuts, further), connection), further))
            return made[0][0]

        trust = ssh.Trust(clock=self._clock, cluster=self._cluster, authorities=authority.authorities)
        cutting = tasks.spawn(cuts.run(), name="ssh-cuts", on_error=self._failed)
        try:
            await ssh.serve(stream, settings=settings, trust=trust, handler=handler)
        finally:
            for client, further in made:
                await client.settle()
                await further.close()
            await tasks.cancel(cutting)
            with contextlib.suppress(Exception):
                await way.close()

    def _world(self, authority: TargetAuthority, cuts: Cuts, further: Way) -> World:
        return World(
            clock=self._clock, entropy=self._entropy, authority=authority, spawner=None, cluster=self._cluster,
            strangers=self._strangers, rooms=self._rooms, ends=self._ends, cuts=cuts, recorder=self._recorder,
            leases=self._leases, switches=Switches(closed=()), user_side=OnwardSide(further, self._entropy),
            web_address=self._web_address, sessions=lambda host: RelaySession(host, further),
        )  # fmt: skip

    def _checks_host_keys(self) -> bool:
        config = self._view.recording_config()
        return config is None or config.checks_host_keys

    def _failed(self, error: BaseException) -> None:
        log.error("A connection that ends at the proxy failed", error=error)

    async def close(self) -> None:
        """End every connection; returns when what was recorded is closed."""
        if self._renewal is not None:
            await tasks.cancel(self._renewal)
        for task in list(self._serving):
            await tasks.cancel(task)
