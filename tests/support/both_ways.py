"""Bytes both ways at once through `cat` on a server, and what came back."""

from __future__ import annotations

import hashlib
import os
import socket
import threading

from teleport.client.ssh_client.connection import Connection
from teleport.client.ssh_client.session import Ends, Wanted

MEGABYTE = 1 << 20


def echoed(connection: Connection, megabytes: int) -> bool:
    """Whether all that is sent comes back unchanged, the end included."""
    block = os.urandom(MEGABYTE)
    sent, came = hashlib.sha256(), hashlib.sha256()
    sending, source = socket.socketpair()
    sink, receiving = socket.socketpair()
    for sock in (source, sink):
        sock.setblocking(False)

    def feed() -> None:
        for _ in range(megabytes):
            sending.sendall(block)
            sent.update(block)
        sending.shutdown(socket.SHUT_WR)

    def drain() -> None:
        while data := receiving.recv(MEGABYTE):
            came.update(data)

    threads = [threading.Thread(target=feed), threading.Thread(target=drain)]
    for thread in threads:
        thread.start()
    session = connection.open_session(Ends(source.fileno(), sink.fileno(), sink.fileno()), Wanted("cat"))
    finished = connection.run(lambda: session.done, 100)
    sink.shutdown(socket.SHUT_WR)
    for thread in threads:
        thread.join(30)
    for sock in (sending, source, sink, receiving):
        sock.close()
    return finished and session.result() == 0 and sent.digest() == came.digest()
