"""A way to a node without TLS or a proxy, where tests need what `client.reach` returns."""

from __future__ import annotations

import socket
from collections.abc import Callable

from teleport.base.errors import Unavailable
from teleport.wire.buffer import NeedMore
from tests.support.ssh_server import SocketCarrier


class PlainWay(SocketCarrier):
    """See BlockingTls."""

    address = "proxy:443"

    asked = b""
    """What was asked last."""

    def ask(self, request: bytes) -> None:
        self.asked = request
        self.sock.sendall(request)

    def answer(self, parse: Callable[[bytes], tuple[object, int]]) -> None:
        while True:
            try:
                _, size = parse(self._in)
                break
            except NeedMore:
                data = self.sock.recv(65536)
                if not data:
                    raise Unavailable("NET-TLS-TRUNCATED", address=self.address) from None
                self._in += data
        self._in = self._in[size:]

    def take(self) -> bytes:
        if not self._in and not self.ended:
            self.fill()
        return super().take()

    def drop(self) -> None:
        self._out = b""

    def give_end(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)
