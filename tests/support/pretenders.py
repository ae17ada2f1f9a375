"""Servers that are not what they seem, for what no real program can be made to do."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Answer = Callable[[socket.socket], None]
"""Deals with one connection."""


@contextlib.contextmanager
def speaking(answer: Answer, host: str = "127.0.0.1") -> Iterator[str]:
    """Run what misbehaves at an address: `answer` gets each connection. No real program can be made to."""
    listener = socket.create_server((host, 0))
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(30)
                answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"{host}:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(30)


def saying(data: bytes) -> Answer:
    """Read something, answer with `data`, and close."""

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(4096)

    return answer


def web_server(pem: bytes, page: bytes, folder: Path) -> Answer:
    """Return what is a web server with a certificate (PEM, with its key), and no proxy of a cluster: it answers with
    `page`, once on each connection."""
    (file := folder / "web.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as opened:
            saying(page)(opened)

    return answer


def json_page(said: object, *fields: str) -> bytes:
    """Return an HTTP answer."""
    body = json.dumps(said).encode()
    more = "".join(f"{field}\r\n" for field in fields)
    return f"HTTP/1.1 200 OK\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body
