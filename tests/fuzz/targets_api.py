"""Targets of the API: frames of HTTP/2, and the messages of calls inside them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import struct
from collections.abc import Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
from google.protobuf.empty_pb2 import Empty

from teleport.api import rpc
from teleport.api.caller import EVERYONE, NOBODY, Caller
from teleport.api.pb import audit_pb2, status_pb2
from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import CLASSES
from teleport.model.identity import Identity
from tests.fuzz.engine import Run, Target, register
from tests.fuzz.loops import loop

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


class _Wires(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.written = bytearray()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        """Everything has been fed by then."""

    def resume_reading(self) -> None:
        """The same."""


_ECHO = rpc.call("Test", "Echo", status_pb2.PingReply, status_pb2.PingReply)
_EMIT = rpc.call("Test", "Emit", audit_pb2.EmitRequest, Empty)
_DENIED = rpc.call("Test", "Denied", Empty, Empty)
_ALICE = Caller(Identity(name="alice", cluster="c", roles=("access",), expires=NOW + dt.timedelta(hours=1)))


class _Api:
    """A server of three methods, and what one connection with it says."""

    def __init__(self) -> None:
        self.defects: list[object] = []
        self.server = rpc.Server(
            [
                rpc.Method(_ECHO, EVERYONE, self._echo),
                rpc.Method(_EMIT, EVERYONE, self._nothing),
                rpc.Method(_DENIED, frozenset({NOBODY}), self._nothing),
            ],
            clock=ManualClock(NOW),
            entropy=SeededEntropy(1),
            on_defect=lambda *defect: self.defects.append(defect),
        )

    async def _echo(self, caller: Caller, request: status_pb2.PingReply) -> status_pb2.PingReply:
        return request

    async def _nothing(self, caller: Caller, request: Any) -> Empty:
        return Empty()

    async def converse(self, *parts: bytes) -> bytes:
        """Feed bytes to a new connection and return what it answered until it was idle."""
        connection, wires = self.server.protocol(_ALICE), _Wires()
        connection.connection_made(wires)
        for part in parts:
            connection.data_received(part)
            for _ in range(8):
                await asyncio.sleep(0)
        connection.connection_lost(None)
        await connection.wait_closed()
        assert self.defects == []
        return bytes(wires.written)


def _client() -> h2.connection.H2Connection:
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    client.initiate_connection()
    return client


def _call(client: h2.connection.H2Connection, path: str) -> int:
    number = int(client.get_next_available_stream_id())
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "c", "te": "trailers",
              "content-type": "application/grpc+proto"}  # fmt: skip
    client.send_headers(number, list(fields.items()))
    return number


def _statuses(client: h2.connection.H2Connection, answer: bytes) -> list[str]:
    """Return the gRPC statuses in what a server said."""
    found = []
    for event in client.receive_data(answer):
        if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
            found += [str(value) for name, value in event.headers or () if str(name) == "grpc-status"]
    return found


@contextlib.contextmanager
def _rpc() -> Iterator[Run]:
    """What stands in the DATA of a call, cut as it comes. There is one status, and it is one of ours."""
    known = {"0"} | {str(cls.kind.grpc) for cls in CLASSES}
    with loop() as runner:
        api = _Api()

        def run(data: bytes) -> object:
            client = _client()
            path = (_ECHO, _EMIT, _DENIED)[len(data) % 3].path
            number = _call(client, path)
            parts = [client.data_to_send()]
            cut = len(data) // 2
            client.send_data(number, data[:cut])
            parts.append(client.data_to_send())
            client.send_data(number, data[cut:], end_stream=True)
            parts.append(client.data_to_send())
            (status,) = _statuses(client, runner.run(api.converse(*parts)))
            assert status in known
            assert status != "13"
            return path, status

        yield run


def _messages() -> list[bytes]:
    made = [
        status_pb2.PingReply(cluster="c", version="v").SerializeToString(),
        audit_pb2.EmitRequest(events=[b'{"event":"exec"}']).SerializeToString() + b"\x0a\x02ab",
        b"",
    ]
    return [struct.pack(">BI", 0, len(body)) + body for body in made] + [
        struct.pack(">BI", 0, 200 << 20), struct.pack(">BI", 1, 3) + b"abc", struct.pack(">BI", 0, 5) + b"ab", b"\0\0",
    ]  # fmt: skip


register(
    Target(
        "api.rpc",
        _rpc,
        _messages,
        (),
        widths=(1, 4),
        limit=9000,
        dictionary=(
            b"\x0a\xff\xff\xff\xff\x0f",
            b"\x0b",
            b"\x0c",
            b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
            b"\xff",
            struct.pack(">BI", 0, 0),
            struct.pack(">BI", 0, 4 << 20),
            struct.pack(">BI", 2, 1),
        ),
    )
)


@contextlib.contextmanager
def _http2() -> Iterator[Run]:
    """Bytes after the preface: whatever the frames are, the connection says goodbye or answers; nothing breaks."""
    with loop() as runner:
        api = _Api()

        def run(data: bytes) -> object:
            answer = runner.run(
                api.converse(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", data[: len(data) // 2], data[len(data) // 2 :])
            )
            kinds, at = set(), 0
            while at + 9 <= len(answer):
                kinds.add(answer[at + 3])
                at += 9 + int.from_bytes(answer[at : at + 3], "big")
            assert at == len(answer)
            return tuple(sorted(kinds))

        yield run


@functools.cache
def _frames() -> list[bytes]:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    client = _client()
    number = _call(client, _ECHO.path)
    client.send_data(number, _messages()[0], end_stream=True)
    client.ping(b"12345678")
    client.reset_stream(_call(client, _EMIT.path))
    whole = client.data_to_send().removeprefix(preface)
    settings = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\xff\xff"
    return [
        whole,
        settings,
        settings + b"\0\0\x04\x08\0\0\0\0\0\x7f\xff\xff\xff",
        settings + b"\0\0\0\x01\x04\0\0\0\x01",
    ]


register(
    Target(
        "api.http2",
        _http2,
        _frames,
        (),
        widths=(3,),
        limit=20_000,
        dictionary=(
            b"\0\0\0\x04\x01\0\0\0\0",
            b"\0\0\x08\x06\0\0\0\0\0abcdefgh",
            b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08",
            b"\0\0\0\x09\x04\0\0\0\x01",
            b"\0\0\0\0\x01\0\0\0\x01",
            b"\0\0\x01\x01\x05\0\0\0\x03\x82",
            b"\x3f\xe1\x7f",
            b"\0\0\x05\x02\0\0\0\0\x01\0\0\0\x01\0",
            b"\x7f\xff\xff\xff",
            b"\0\0\x06\x04\0\0\0\0\0\0\x01\xff\xff\xff\xff",
        ),
    )
)
