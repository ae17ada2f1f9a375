"""An HTTP/2 client with bad manners: sends the frames that a test wants, and collects what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import h2.events
from h2.config import H2Configuration
from h2.connection import H2Connection

from teleport.base.errors import TeleportError
from teleport.net.stream import Stream

HEADERS = (
    (":method", "POST"), (":scheme", "https"), (":authority", "teleport.cluster.local"),
    ("te", "trailers"), ("content-type", "application/grpc"),
)  # fmt: skip


class RawH2:
    """The client's end of `stream`."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.h2 = H2Connection(H2Configuration(header_encoding="utf-8", validate_outbound_headers=False))
        self.h2.initiate_connection()
        self.events: list[h2.events.Event] = []
        self.ended = False

    def call(self, path: str, more: Sequence[tuple[str, str]] = ()) -> int:
        """Begin a call; return its stream's number."""
        number = self.h2.get_next_available_stream_id()
        self.h2.send_headers(number, [*HEADERS, (":path", path), *more])
        return number

    async def flush(self, extra: bytes = b"") -> None:
        """Send what is prepared, and `extra` after it."""
        if data := self.h2.data_to_send() + extra:
            await self.stream.write(data)

    async def until(self, wanted: Callable[[h2.events.Event], bool], seconds: float = 20) -> h2.events.Event:
        """Read until an event is as wanted; fails at the end of the connection."""
        async with asyncio.timeout(seconds):
            while True:
                for event in self.events:
                    if wanted(event):
                        return event
                assert not self.ended, f"the connection ended after {[type(e).__name__ for e in self.events][-5:]}"
                await self.flush()
                await self._read()

    async def until_end(self, seconds: float = 20) -> None:
        """Read until the server ends the connection."""
        async with asyncio.timeout(seconds):
            while not self.ended:
                await self._read()

    async def trailers(self, number: int, seconds: float = 20) -> dict[str, str]:
        """Return the trailers of a call, or the headers of an answer that is nothing but trailers."""

        def is_last(event: h2.events.Event) -> bool:
            headers = isinstance(event, h2.events.TrailersReceived | h2.events.ResponseReceived)
            return headers and event.stream_id == number and event.stream_ended is not None

        found = await self.until(is_last, seconds)
        return dict(found.headers)  # type: ignore[attr-defined]

    @property
    def goodbye(self) -> int | None:
        """The code of the GOAWAY that came; None if there was none."""
        codes = [e.error_code for e in self.events if isinstance(e, h2.events.ConnectionTerminated)]
        return int(codes[0]) if codes else None

    async def _read(self) -> None:
        try:
            data = await self.stream.read()
        except TeleportError:
            data = b""
        self.ended = not data
        self.events += self.h2.receive_data(data) if data else []
