"""The service's end of a user-side helper: ask, and get descriptors (`user_side.UserSide`).

The helper is started by the first request and ends with `close`. Here nothing is opened, connected or bound: every
path and address goes to the helper as data, and what comes back are sockets to copy bytes with.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from teleport.agents.ssh import user_side_messages as messages
from teleport.agents.ssh.user_side import Display, Listening, Source
from teleport.base import errors
from teleport.base.errors import BadParameter, TeleportError, Unavailable
from teleport.net.socket_stream import format_address
from teleport.net.ssh_x11 import X11Request

Launch = Callable[[], Awaitable[socket.socket]]
"""Starts a helper and returns our end of its socket, non-blocking. Raises what `Spawner.help` raises."""
_Answer = tuple[messages.Given, list[socket.socket]]


class ListeningSocket:
    """A listening socket of this machine as a `user_side.Source`."""

    def __init__(self, listening: socket.socket) -> None:
        """`listening` is non-blocking, and ours from here on."""
        self._socket = listening

    async def accept(self) -> tuple[socket.socket, str]:
        """See Source.accept."""
        found, address = await asyncio.get_running_loop().sock_accept(self._socket)
        return found, format_address(address)

    def close(self) -> None:
        """See Source.close."""
        self._socket.close()


class HelperSide:
    """What one connection has done as its login. Used by one event loop."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._channel: socket.socket | None = None
        self._starting = asyncio.Lock()
        self._room = asyncio.Semaphore(messages.REQUESTS)
        self._waiting: dict[int, asyncio.Future[_Answer]] = {}
        self._left: dict[Source, int] = {}
        """The request that each listener came from, while it has something on disk."""
        self._next_id = 1
        self._closed = False

    async def serve_sftp(self, *, read_only: bool = False) -> socket.socket:
        """See UserSide.serve_sftp."""
        return await self._one(messages.ServeSftp(id=0, read_only=read_only))

    async def connect_tcp(self, host: str, port: int) -> socket.socket:
        """See UserSide.connect_tcp."""
        return await self._one(messages.ConnectTcp(id=0, host=_host(host), port=port))

    async def connect_unix(self, path: str) -> socket.socket:
        """See UserSide.connect_unix."""
        return await self._one(messages.ConnectUnix(id=0, path=_path(path)))

    async def listen_tcp(self, host: str, port: int) -> Listening:
        """See UserSide.listen_tcp."""
        given, sockets = await self._ask(messages.ListenTcp(id=0, host=_host(host), port=port), 1)
        return Listening(ListeningSocket(sockets[0]), port=given.port)

    async def listen_unix(self, path: str) -> Listening:
        """See UserSide.listen_unix."""
        return await self._at_path(messages.ListenUnix(id=0, path=_path(path)))

    async def listen_agent(self, session_id: str) -> Listening:
        """See UserSide.listen_agent."""
        return await self._at_path(messages.ListenAgent(id=0))

    async def open_display(self, session_id: str, wanted: X11Request, *, offset: int, most: int) -> Display:
        """See UserSide.open_display."""
        if len(wanted.cookie) > messages.COOKIE_BYTES or len(wanted.protocol) > messages.COOKIE_BYTES:
            raise BadParameter("SSH-USER-COOKIE", limit=messages.COOKIE_BYTES)
        request = messages.OpenDisplay(
            id=0, offset=offset, most=most, screen=wanted.screen, protocol=wanted.protocol, cookie=wanted.cookie
        )  # fmt: skip
        given, sockets = await self._ask(request, 1, messages.DESCRIPTORS)
        listening = tuple(Listening(ListeningSocket(each), port=given.port) for each in sockets)
        self._left.update((each.source, given.id) for each in listening)
        return Display(listening, given.name)

    async def forget(self, listening: Listening) -> None:
        """See UserSide.forget."""
        listener = self._left.pop(listening.source, None)
        if listener is None or self._channel is None:
            return
        for other in [each for each, id in self._left.items() if id == listener]:
            del self._left[other]
        try:
            await self._ask(messages.Forget(id=0, listener=listener), 0)
        except TeleportError:
            pass  # the helper removes what it made when it ends, too

    def close(self) -> None:
        """End the helper; whoever waits for an answer gets none."""
        self._closed = True
        self._lost("the connection is over")

    async def _one(self, request: messages.Request) -> socket.socket:
        return (await self._ask(request, 1))[1][0]

    async def _at_path(self, request: messages.Request) -> Listening:
        given, sockets = await self._ask(request, 1)
        source = ListeningSocket(sockets[0])
        self._left[source] = given.id
        return Listening(source, path=given.path.decode(errors="surrogateescape"))

    async def _ask(self, request: messages.Request, fewest: int, most: int = 0) -> _Answer:
        """Send a request and return its answer with `fewest` to `most` sockets."""
        try:
            async with asyncio.timeout(messages.SECONDS), self._room:
                given, sockets = await self._answer(request)
        except TimeoutError:
            raise Unavailable("SSH-USER-SLOW", request=type(request).__name__, seconds=messages.SECONDS) from None
        if fewest <= len(sockets) <= max(fewest, most):
            return given, sockets
        _close(sockets)
        raise Unavailable("SSH-USER-GONE", problem="its answer has another number of descriptors")

    async def _answer(self, request: messages.Request) -> _Answer:
        channel = await self._started()
        id, future = self._next(), asyncio.get_running_loop().create_future()
        self._waiting[id] = future
        try:
            channel.send(messages.encode(request._replace(id=id)))  # the buffer has room for all that is under way
            found: _Answer = await future
        except OSError as error:
            self._lost(error.strerror or str(error))
            raise Unavailable("SSH-USER-GONE", problem=error.strerror or str(error)) from None
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._drop(*future.result())
            raise
        finally:
            self._waiting.pop(id, None)
        return found

    def _next(self) -> int:
        id, self._next_id = self._next_id, self._next_id + 1
        return id

    async def _started(self) -> socket.socket:
        async with self._starting:
            if self._channel is not None:
                return self._channel
            launched = None if self._closed else await self._launch()
            if launched is None or self._is_closed():  # it may have been closed meanwhile
                _close([launched] if launched is not None else [])
                raise Unavailable("SSH-USER-GONE", problem="the connection is over")
            self._channel = launched
            asyncio.get_running_loop().add_reader(launched, self._receive)
            return launched

    def _is_closed(self) -> bool:
        return self._closed

    def _receive(self) -> None:
        if self._channel is None:
            return
        sockets: list[socket.socket] = []
        try:
            data, descriptors, flags, _ = socket.recv_fds(self._channel, messages.REPLY_BYTES + 1, messages.DESCRIPTORS)
            sockets = [_socket(descriptor) for descriptor in descriptors]
            if not data or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise Unavailable("SSH-USER-GONE", problem="it has ended")
            self._dispatch(messages.decode_reply(data), sockets)
        except BlockingIOError:
            pass
        except (OSError, TeleportError) as error:
            _close(sockets)
            self._lost(str(error))

    def _dispatch(self, reply: messages.Reply, sockets: list[socket.socket]) -> None:
        future = self._waiting.pop(reply.id, None)
        if future is None or future.done():
            if isinstance(reply, messages.Given):
                self._drop(reply, sockets)
        elif isinstance(reply, messages.Given):
            future.set_result((reply, sockets))
        else:
            _close(sockets)
            future.set_exception(errors.from_grpc(reply.status, reply.code, reply.fields))

    def _drop(self, given: messages.Given, sockets: list[socket.socket]) -> None:
        """Nobody waits for this answer any more."""
        _close(sockets)
        if (given.path or given.name) and self._channel is not None:
            try:
                self._channel.send(messages.encode(messages.Forget(id=self._next(), listener=given.id)))
            except OSError:
                pass  # it has ended, and removed what it made

    def _lost(self, problem: str) -> None:
        """The helper is gone; the next request starts another, unless the connection is over."""
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel)
            self._channel.close()
            self._channel = None
        self._left.clear()
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(Unavailable("SSH-USER-GONE", problem=problem))


def _host(host: str) -> str:
    if len(host) > messages.HOST_CHARACTERS or "\0" in host:
        raise BadParameter("SSH-USER-HOST-NAME", host=host[:80], limit=messages.HOST_CHARACTERS)
    return host


def _path(path: str) -> bytes:
    data = path.encode(errors="surrogateescape")
    if not data.startswith(b"/") or len(data) > messages.PATH_BYTES or b"\0" in data:
        raise BadParameter("SSH-USER-PATH", path=path[:120], limit=messages.PATH_BYTES)
    return data


def _socket(descriptor: int) -> socket.socket:
    made = socket.socket(fileno=descriptor)
    made.setblocking(False)
    return made


def _close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()
