"""The two doors to nodes on the proxy's port: a framed request inside TLS, and SSH itself.

Both prove who the caller is by a certificate of the user authority and both end in `Reach.open`; after that
bytes are copied and not looked at. SSH serves stock clients: `direct-tcpip` for `ssh -J`, and the subsystem
`proxy:host:port@cluster`. Nothing else exists behind it: no command, no shell, no other forwarding.
"""

from __future__ import annotations

import asyncio
import ssl as tls_library
from collections.abc import Callable

from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_id
from teleport.base.errors import BadParameter, Internal, NotSupported, TeleportError, Unavailable
from teleport.base.log import logger
from teleport.model.events.access import AuthAttempt
from teleport.model.identity import Identity
from teleport.net import ssh, tls
from teleport.net.peek import TIMEOUT, PeekStream, peek, take
from teleport.net.relay import Relay
from teleport.net.router import RoutedStream
from teleport.net.ssh_channel import REFUSED, Session, SessionChannel
from teleport.net.ssh_settings import ServerOptions
from teleport.net.ssh_stream import StreamSession
from teleport.net.stream import Peer, Sink, Stream, hand_on, write_now
from teleport.pki.check import check_x509
from teleport.pki.ssh import SSHCertificate
from teleport.proxy.cluster import Cluster
from teleport.proxy.reach import Asker, Reach
from teleport.wire.reach import Request, read_request, write_answer
from teleport.wire.tls_hello import ClientHello

log = logger("PROXY:SSH")

PREFIX = b"SSH-2.0"
"""First bytes of a client (RFC 4253 §4.2)."""
OURS = frozenset({"PKI-EXPIRED", "PKI-LOGIN-NOT-IN-PRINCIPALS", "PKI-SOURCE-ADDRESS"})
"""Refusals of certificates that the cluster itself issued: these are audited, what strangers bring is logged."""


class Doors:
    """Serves accepted connections of both kinds."""

    def __init__(
        self, *, reach: Reach, cluster: Cluster, name: str, clock: Clock, entropy: Entropy,
        context: Callable[[], tls_library.SSLContext], settings: Callable[[], ServerOptions],
    ) -> None:  # fmt: skip
        """`context` demands a certificate of the user authority; `settings` hold the proxy's SSH host key. Each
        connection asks for them anew."""
        self.reach = reach
        self.cluster = cluster
        self.entropy = entropy
        self._name = name
        self._clock = clock
        self._context = context
        self._settings = settings
        self._trust = ssh.Trust(clock=clock, cluster=name, authorities=cluster.authorities, user_names=True)

    async def serve_tls(self, stream: RoutedStream, hello: ClientHello) -> None:
        """Serve a connection that asked for `teleport-proxy-ssh`. Raises what the handshake raises."""
        opened = PeekStream(await tls.server_handshake(stream, self._context(), server_name=hello.server_name))
        try:
            node = await self._answer(opened)
            if node is not None:
                await Relay(_SSHOnly(opened), node).run()
        finally:
            await opened.close()

    async def _answer(self, stream: PeekStream) -> Stream | None:
        """Read the request and answer it; return the node, or None after a refusal."""
        try:
            request, size = await peek(stream, read_request, timeout=TIMEOUT)
            await take(stream, size)
            node = await self.reach.open(Asker(self._identify(stream.peer), stream.peer.address), request)
        except TeleportError as error:
            log.info("A node was not reached", client=stream.peer.address, error=error, id=error.id)
            await stream.write(write_answer(error))
            return None
        try:
            await stream.write(write_answer(None))
        except BaseException:
            await node.close()
            raise
        return node

    def _identify(self, peer: Peer) -> Identity:
        return check_x509(
            peer.certificate, authorities=self.cluster.authorities(), now=self._clock.now(),
            source_ip=peer.proven_ip, cluster=self._name,
        )  # fmt: skip

    async def serve_ssh(self, stream: RoutedStream) -> None:
        """Serve a connection that began with `SSH-`."""
        made: list[Jump] = []

        def handler(connection: ssh.ServerConnection) -> Jump:
            made.append(Jump(self, connection))
            return made[0]

        try:
            await ssh.serve(stream, settings=self._settings(), trust=self._trust, handler=handler)
        finally:
            for jump in made:
                await jump.end()


class Jump:
    """One SSH connection to the proxy (`net.ssh.Handler`, `net.ssh.Forwards`)."""

    def __init__(self, doors: Doors, connection: ssh.ServerConnection) -> None:
        self._doors = doors
        self._connection = connection
        self._relays: set[asyncio.Task[None]] = set()
        self._over = False

    async def authorize(self, identity: Identity, login: str) -> None:
        """The certificate is enough: what it opens is decided for each channel."""

    async def refused(self, error: TeleportError, certificate: SSHCertificate, login: str) -> TeleportError:
        """Record a refused sign-in."""
        doors, client = self._doors, self._connection.client
        error.id = new_id(doors.entropy)
        log.warn("Login refused", error=error, id=error.id, client=client, login=login, user=certificate.key_id)
        if error.code in OURS:
            event = AuthAttempt(
                user=certificate.key_id, login=login, error=str(error), message=error.why, decision_id=error.id,
                addr_remote=client, addr_local=self._connection.local,
            )  # fmt: skip
            try:
                await doors.cluster.emit(event)
            except TeleportError as failure:
                log.error("A refused login was not recorded", error=failure, id=error.id)
        return error

    async def open_direct(self, host: str, port: int) -> StreamSession:
        """Connect to `host:port` as `ssh -J` asks for it. Raises what `Reach.open` raises."""
        return await self.connect(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", "", direct=True)

    async def connect(self, target: str, cluster: str, *, direct: bool) -> StreamSession:
        """Return a session whose bytes go to the node. The login is the node's to hear: SSH inside hides it."""
        session = StreamSession(Peer(address=self._connection.client), direct=direct)
        self.join(session, await self.open(target, cluster))
        return session

    async def open(self, target: str, cluster: str) -> Stream:
        """Return a connection to the node. Raises what `Reach.open` raises."""
        identity = self._connection.identity
        if identity is None:
            raise Internal("PROXY-INTERNAL")
        asker = Asker(identity, self._connection.client)
        try:
            node = await self._doors.reach.open(asker, Request(target, cluster))
        except TeleportError as error:
            log.info("A node was not reached", client=asker.address, error=error, id=error.id)
            raise
        if self._over:  # the client left meanwhile, and `end` has been here
            await node.close()
            raise Unavailable("NET-CLOSED", address=asker.address)
        return node

    def join(self, session: StreamSession, node: Stream) -> None:
        """Copy between a channel and a node until both have ended."""
        task = tasks.spawn(Relay(_SSHOnly(session), node).run(), name="ssh-jump", on_error=self._relay_failed)
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)

    async def open_session(self) -> Session:
        """A session may ask for the subsystem `proxy:`, and for nothing else."""
        return Subsystem(self, Peer(address=self._connection.client))

    async def declined(self, refusal: ssh.Refusal) -> TeleportError:
        """Nothing else exists on the proxy."""
        return NotSupported("PROXY-NO-SESSION", thing=refusal.kind)

    def failed(self, error: BaseException) -> None:
        """A defect: the transport closes the connection."""
        log.error("A connection failed", error=error, client=self._connection.client)

    def _relay_failed(self, error: BaseException) -> None:
        if isinstance(error, TeleportError):
            log.debug("A connection to a node ended early", error=error, client=self._connection.client)
        else:
            self.failed(error)

    async def end(self) -> None:
        """The client has gone: end what led to nodes."""
        self._over = True
        for task in list(self._relays):
            await tasks.cancel(task)


class Subsystem(StreamSession):
    """A session that becomes a connection to a node by the request for `proxy:host:port@cluster`."""

    def __init__(self, jump: Jump, peer: Peer) -> None:
        super().__init__(peer, direct=False)
        self._jump = jump
        self._failure: TeleportError | None = None

    async def start_subsystem(self, name: str) -> bool:
        try:
            target, cluster = parse_subsystem(name)
            self._jump.join(self, await self._jump.open(target, cluster))
        except TeleportError as error:
            self._failure = error
            return False
        return True

    async def run(self, command: bytes | None) -> bool:
        self._tell(NotSupported("PROXY-NO-SESSION", thing="shell" if command is None else "a command"))
        if self._channel is not None:
            self._channel.exit(REFUSED)
        return True

    async def declined(self, request: str, detail: str) -> None:
        if request != "env":
            self._tell(self._failure or NotSupported("PROXY-NO-SESSION", thing=request[:60]))

    def finish(self, channel: SessionChannel) -> None:
        channel.exit(0)

    def _tell(self, error: TeleportError) -> None:
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(ssh.one_line(error).encode(errors="replace") + b"\r\n", 1)


def parse_subsystem(name: str) -> tuple[str, str]:
    """Return target and cluster of `proxy:host:port@cluster` or `proxy:host:port`. Raises BadParameter
    (PROXY-SUBSYSTEM)."""
    kind, colon, rest = name.partition(":")
    target, _, cluster = rest.partition("@")
    cluster = cluster.rpartition("@")[2]  # older clients put a namespace in between
    if kind != "proxy" or not colon or not target or len(name) > 512 or not name.isprintable():
        raise BadParameter("PROXY-SUBSYSTEM", request=name[:100])
    return target.removesuffix(":"), cluster


class _SSHOnly:
    """A client's Stream that must begin as SSH clients do."""

    def __init__(self, inner: Stream) -> None:
        self._inner = inner
        self._expected = PREFIX
        self.write_now = write_now(inner)

    @property
    def peer(self) -> Peer:
        return self._inner.peer

    async def read(self, limit: int = 65536) -> bytes:
        data = await self._inner.read(limit)
        if self._expected:
            seen = data[: len(self._expected)]
            if not self._expected.startswith(seen):
                raise BadParameter("PROXY-NOT-SSH")
            self._expected = self._expected[len(seen) :]
        return data

    def hand_on(self, sink: Sink | None) -> None:
        hand_on(self._inner, sink and (lambda data: 0 if self._expected else sink(data)))

    async def write(self, data: bytes) -> None:
        await self._inner.write(data)

    async def write_eof(self) -> None:
        await self._inner.write_eof()

    async def close(self) -> None:
        await self._inner.close()

    def reset(self) -> None:
        reset: Callable[[], None] | None = getattr(self._inner, "reset", None)
        if reset is not None:
            reset()
