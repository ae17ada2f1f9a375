"""A TCP forwarder that counts: what stands between two programs, to see whether they met and to cut them apart."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading


class Forwarder:
    """Listens on a free port of loopback and passes connections on to another. Threads, so that any test can use it."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.connections = 0
        self.opened = threading.Event()
        """Set when a connection has carried bytes to the target and back."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Forwarder:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def cut(self) -> None:
        """Reset every connection."""
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                far = socket.create_connection(("127.0.0.1", self.target))
                self._sockets |= {near, far}
                pumps = [threading.Thread(target=self._pump, args=pair) for pair in ((near, far), (far, near))]
                self._threads += pumps
                for pump in pumps:
                    pump.start()
                closer = threading.Thread(target=self._close, args=(pumps, near, far))
                self._threads.append(closer)
                closer.start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                self.opened.set()
            target.shutdown(socket.SHUT_WR)

    def _close(self, pumps: list[threading.Thread], *ends: socket.socket) -> None:
        for pump in pumps:
            pump.join()
        self._sockets -= set(ends)
        for end in ends:
            end.close()
