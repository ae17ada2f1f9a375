"""Relay: copy both ways between two Streams until both have ended.

What is here: counts, half close, idle limit, deadline and a handle to cut; with two plain sockets the bytes
stay in the kernel (`net.splice`). What is not: any look into the bytes.
"""

from __future__ import annotations

import asyncio

from teleport.base import tasks
from teleport.base.errors import AccessDenied, TimedOut, Unavailable
from teleport.net.socket_stream import SocketStream, drop
from teleport.net.splice import Count, PipePool, end, splice
from teleport.net.stream import Stream, hand_on, write_now

_CHUNK = 262144


class Relay:
    """One relayed connection between `client` and `server`. Make it, keep it for `cut`, and `await run()`."""

    def __init__(
        self,
        client: Stream,
        server: Stream,
        *,
        idle: float = 0.0,
        deadline: float = 0.0,
        pipes: PipePool | None = None,
    ) -> None:
        """`idle`: seconds without any data after which it ends, `deadline`: seconds from now that it may live;
        0 is no limit. `pipes`: shared pipes for sockets; without it the relay makes its own."""
        self._loop = asyncio.get_running_loop()
        self._streams = (client, server)
        self._idle = idle
        self._deadline = self._loop.time() + deadline if deadline else 0.0
        self._pipes = pipes
        self._up, self._down = Count(), Count()
        self._open = 2
        self._over: asyncio.Future[BaseException | None] = self._loop.create_future()

    @property
    def sent(self) -> int:
        """Bytes that went from the client to the server."""
        return self._up.bytes

    @property
    def received(self) -> int:
        """Bytes that went from the server to the client."""
        return self._down.bytes

    def cut(self, reason: str) -> None:
        """End the connection now: `run` raises AccessDenied (NET-CUT)."""
        self._end(AccessDenied("NET-CUT", reason=reason))

    async def run(self) -> None:
        """Copy until both sides have ended, then close both streams.

        A side that can no longer be written to ends only its own direction: what it sent before still arrives.
        Raises what reading raised (NET-RESET), TimedOut (NET-IDLE, NET-DEADLINE), AccessDenied (NET-CUT).
        """
        client, server = self._streams
        pipes = self._pipes or PipePool()
        running = [
            tasks.spawn(self._direction(client, server, self._up, pipes), name="relay up", on_error=self._end),
            tasks.spawn(self._direction(server, client, self._down, pipes), name="relay down", on_error=self._end),
        ]
        if self._idle or self._deadline:
            running.append(tasks.spawn(self._watch(), name="relay limits", on_error=self._end))
        try:
            if (error := await self._over) is not None:
                raise error
        except BaseException:
            for stream in self._streams:
                drop(stream)  # what went through is not the whole: nobody should take it for that
            raise
        finally:
            if left := [task for task in running if not task.done()]:
                for task in left:
                    task.cancel()
                await asyncio.wait(left)
            for stream in self._streams:
                await stream.close()
            if self._pipes is None:
                pipes.close()

    async def _direction(self, source: Stream, target: Stream, count: Count, pipes: PipePool) -> None:
        """Copy one way. The relay is over when both ways have ended well, or one has not."""
        await _pump(source, target, count, pipes)
        self._open -= 1
        if not self._open:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        if not self._over.done():
            self._over.set_result(error)

    async def _watch(self) -> None:
        """Sleep until a limit may be reached. Data only moves the counts, so watching costs nothing per byte."""
        seen, since = -1, self._loop.time()
        while True:
            now, moved = self._loop.time(), self.sent + self.received
            if self._deadline and now >= self._deadline:
                raise TimedOut("NET-DEADLINE")
            if moved != seen:
                seen, since = moved, now
            elif self._idle and now - since >= self._idle:
                raise TimedOut("NET-IDLE", seconds=f"{self._idle:g}")
            # A quarter of the idle limit: it then ends between 1 and 1.25 times the limit after the last byte.
            steps = ([self._idle / 4] if self._idle else []) + ([self._deadline - now] if self._deadline else [])
            await asyncio.sleep(min(steps))


async def _pump(source: Stream, target: Stream, count: Count, pipes: PipePool) -> None:
    if isinstance(source, SocketStream) and isinstance(target, SocketStream):
        await splice(source, target, count, pipes)
        return
    send = write_now(target)

    def sink(data: bytes | memoryview) -> int:
        sent = send(data)
        count.bytes += sent
        return sent

    hand_on(source, sink)
    try:
        while data := await source.read(_CHUNK):
            try:
                await target.write(data)
            except Unavailable:
                return  # the target reads no more; it may still have something to say
            count.bytes += len(data)
    finally:
        hand_on(source, None)
    await end(target)
