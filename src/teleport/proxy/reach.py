"""Reach: the one way from a signed-in caller at the proxy to a node.

Resolve the name, decide, dial, in this order: nothing is dialled without a Grant, and only addresses that nodes
have registered. What does not exist and what the caller may not know of are refused alike. The node decides
again for itself, with the login that is really used.

The node sees the proxy's address instead of the caller's, so a certificate that is bound to an address is
refused here; taken along, it would be judged by the wrong one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec

from teleport.access import explain
from teleport.access.action import Conditions, Connect, Join, clock_text
from teleport.access.checker import Grant, decide, visible
from teleport.access.denial import Denial, Step
from teleport.access.roleset import RoleSet
from teleport.base.clock import Clock
from teleport.base.errors import AccessDenied, BadParameter, Internal, NotFound, TeleportError, Unavailable
from teleport.base.log import logger
from teleport.base.struct import encode
from teleport.base.text import label_text, shorten
from teleport.model.address import parse_addr
from teleport.model.identity import Identity
from teleport.model.kinds.node import SSH_PORT, Node, public_address
from teleport.model.login import JOIN
from teleport.model.node_lookup import ANY_PORT, Wanted, find, join, parse
from teleport.net.network import Network
from teleport.net.peek import TIMEOUT, PeekStream, peek, undetected
from teleport.net.socket_stream import SocketStream
from teleport.net.stream import Peer, Stream
from teleport.pki.check import check_carried
from teleport.proxy.cluster import Cluster
from teleport.proxy.tunnels import Tunnels
from teleport.wire.buffer import NeedMore
from teleport.wire.reach import Request
from teleport.wire.resumption_opening import GREETING

log = logger("PROXY:SSH")

KIND = "node"
BANNERS = (b"SSH-", GREETING)
"""How SSH servers begin (RFC 4253 §4.2), and nodes that offer resumption. What else listens on a registered address
gets no byte of ours."""
_SHOWN = 10


@dataclass(frozen=True)
class Asker:
    """Who asks, and from where."""

    identity: Identity
    address: str
    """`host:port` of the client."""

    @property
    def ip(self) -> str:
        """The address without its port."""
        return self.address.rpartition(":")[0].strip("[]")


@dataclass(frozen=True)
class _Question:
    """A request with everything that the answer depends on, read once."""

    asker: Asker
    request: Request
    wanted: Wanted
    roles: RoleSet
    conditions: Conditions

    @property
    def name(self) -> str:
        """What the caller called the node, without a port that clients add by themselves."""
        return join(self.wanted.host, 0 if self.wanted.port in ANY_PORT else self.wanted.port)

    @property
    def logins(self) -> tuple[str, ...]:
        """The login asked for; where the client cannot say it (`ssh -J`), any of the certificate will do."""
        return (self.request.login,) if self.request.login else self.asker.identity.logins or ("",)

    def decide(self, node: Node | str) -> Grant | Denial:
        """Return the first permission among the logins, else the first refusal."""
        first: Denial | None = None
        for login in self.logins:
            action = Join("observer") if login == JOIN else Connect(login)
            decision = decide(self.asker.identity, self.roles, action, node, self.conditions)
            if isinstance(decision, Grant):
                return decision
            first = first or decision
        if first is None:
            raise Internal("PROXY-INTERNAL")
        return first

    def shows(self, node: Node) -> bool:
        """Whether the caller may know of the node."""
        return visible(self.asker.identity, self.roles, node, self.conditions)


class Forwarder(Protocol):
    """Ends connections at the proxy: users then speak to it as if it were the node."""

    def takes(self, node: Node) -> bool:
        """Whether connections to this node end here."""
        ...

    async def open(self, node: Node, way: Stream, client: Peer) -> Stream:
        """Return a connection on which `client` speaks to the node; `way` leads to the node itself. Both belong to the
        forwarder, except when it raises."""
        ...


class Reach:
    """Connects callers to nodes of one cluster."""

    def __init__(
        self, *, cluster: Cluster, name: str, network: Network, clock: Clock, forwarder: Forwarder | None = None,
        tunnels: Tunnels | None = None,
    ) -> None:  # fmt: skip
        """`name` is the cluster's; without a `forwarder` no connection ends at the proxy, without `tunnels` every node
        is dialled."""
        self._cluster = cluster
        self._name = name
        self._network = network
        self._clock = clock
        self._forwarder = forwarder
        self._tunnels = tunnels

    async def open(self, asker: Asker, request: Request) -> Stream:
        """Return a connection to the node that is meant; its first byte is the node's.

        Raises NotFound (POL-NOT-FOUND, PROXY-CLUSTER), AccessDenied (POL-*, PROXY-PINNED-IP, PKI-CARRIED), BadParameter
        (KIND-ADDRESS, PROXY-AMBIGUOUS), Unavailable (PROXY-NODE-UNREACHABLE, and what recording a refusal raises).
        """
        check_carried(asker.identity)
        if request.cluster not in ("", self._name):
            raise NotFound("PROXY-CLUSTER", cluster=request.cluster, known=self._name)
        question = await self._question(asker, request)
        grant = await self._permit(question)
        if asker.identity.pinned_ip or question.roles.options.pin_source_ip:
            raise AccessDenied("PROXY-PINNED-IP", user=asker.identity.name)
        stream = await self._dial(grant, asker.address)
        if self._forwarder is None or not self._forwarder.takes(node_of(grant)):
            return stream
        try:
            return await self._forwarder.open(node_of(grant), stream, Peer(address=asker.address))
        except BaseException:
            await stream.close()
            raise

    async def _question(self, asker: Asker, request: Request) -> _Question:
        cluster = self._cluster
        conditions = Conditions(
            now=self._clock.now(), cluster=self._name, locks=cluster.locks(), locks_as_of=cluster.locks_as_of(),
            client_ip=asker.ip,
        )  # fmt: skip
        return _Question(asker, request, parse(request.target), await cluster.role_set(asker.identity), conditions)

    async def _permit(self, question: _Question) -> Grant:
        found = find(self._cluster.nodes(), question.wanted, self._name)
        if question.request.login == JOIN:  # who joins has read the id: other names must not be found out by asking
            found = [node for node in found if node.name == question.wanted.host]
        shown = [node for node in found if question.shows(node)] if len(found) > 1 else found
        if len(shown) > 1:
            raise _ambiguous(question.name, shown)
        if not found:
            raise await self._absent(question)
        decision = question.decide((shown or found)[0])
        if isinstance(decision, Grant):
            return decision
        raise await self._refuse(question, decision)

    async def _refuse(self, question: _Question, denial: Denial) -> TeleportError:
        """Keep a refusal. It is counted under the name that was asked for: two names of one hidden node must not
        be recognised by a common id."""
        record = explain.from_record(explain.to_record(denial))
        asked = f"{record.request.partition('@')[0]}@{question.name}"
        record = msgspec.structs.replace(record, request=asked)
        id = await self._cluster.record_denial(encode(record), question.asker.address)
        return explain.user_error(denial, id, asked=question.name)

    async def _absent(self, question: _Question) -> TeleportError:
        """Refuse a target that is not there, with the same work as one that is hidden. A caller who may reach
        nothing (locked, expired) hears that instead, as for every other target."""
        denial = question.decide(KIND)
        if isinstance(denial, Denial) and denial.code != "POL-NOT-CONNECTABLE":
            return await self._refuse(question, denial)
        who, target = question.asker, question.name
        step = Step(condition="target", matched=False, wanted=f'{KIND} "{target}"', found="none of that name")
        record = explain.Record(
            code="POL-NOT-FOUND", user=who.identity.name, user_kind=who.identity.kind, roles=who.identity.roles,
            request=f"ssh {question.logins[0]}@{target}", kind=KIND, name=target,
            time=clock_text(question.conditions.now), client_ip=who.ip, visible=False, steps=(step,), nearest=0,
            succeed_if=(),
        )  # fmt: skip
        id = await self._cluster.record_denial(encode(record), who.address)
        return explain.not_found(KIND, target, id)

    async def _dial(self, grant: Grant, client: str) -> Stream:
        """Connect to the node that a Grant is for, and see that an SSH server answers."""
        node = node_of(grant)
        stream: Stream | None = None
        try:
            stream = await self._connect(node, client)
            looked_at = stream if isinstance(stream, SocketStream) else PeekStream(stream)
            await peek(looked_at, _expect_banner, timeout=TIMEOUT)
            return looked_at
        except BaseException as error:
            if stream is not None:
                await stream.close()
            if isinstance(error, TeleportError):
                log.warn("A node cannot be reached", node=node.name, address=public_address(node), error=error)
                way, name = "reverse tunnel" if node.spec.use_tunnel else "direct dial", node.spec.hostname
                raise Unavailable("PROXY-NODE-UNREACHABLE", node=name, way=way, problem=error.what) from error
            raise

    async def _connect(self, node: Node, client: str) -> Stream:
        """Return a connection through a tunnel, if the node has one here; else to its address, if it has one."""
        if self._tunnels is not None and (node.spec.use_tunnel or self._tunnels.connected(node.name, KIND)):
            return await self._tunnels.dial(node.name, KIND, client)
        return await self._network.dial(str(parse_addr(public_address(node), SSH_PORT)))


def node_of(grant: Grant) -> Node:
    """Return the node that a Grant is for."""
    if not isinstance(grant.target, Node):
        raise Internal("PROXY-INTERNAL")
    return grant.target


def _expect_banner(data: bytes) -> None:
    """Raise NeedMore until the banner is there, BadParameter (NET-PROTOCOL) if something else is."""
    possible = [banner for banner in BANNERS if banner.startswith(data[: len(banner)])]
    if not possible:
        raise undetected(data, "an SSH server begins with SSH-")
    if missing := max(0, min(len(banner) for banner in possible) - len(data)):
        raise NeedMore(missing)


def _ambiguous(asked: str, nodes: list[Node]) -> BadParameter:
    listed = [
        f"{node.name} ({node.spec.hostname}, {public_address(node)}, {shorten(label_text(node.labels_now()), 60)})"
        for node in nodes[:_SHOWN]
    ]
    more = f"; and {len(nodes) - _SHOWN} more" if len(nodes) > _SHOWN else ""
    return BadParameter("PROXY-AMBIGUOUS", host=asked, nodes="; ".join(listed) + more, first=nodes[0].name)
