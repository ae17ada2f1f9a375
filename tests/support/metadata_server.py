"""A metadata service of a cloud on loopback, for processes: what it answers is asked of a fake in memory."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from teleport.net.fetch import Fetch

USUAL = "http://169.254.169.254"
"""As whom the fakes know themselves."""
_OWN = ("host", "accept", "accept-encoding", "user-agent", "content-length", "content-type", "connection")


@contextmanager
def serving(fake: Fetch) -> Iterator[str]:
    """Serve what `fake` answers; return the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN}
            answer = asyncio.run(fake(USUAL + self.path, method=self.command, headers=headers))  # type: ignore[arg-type]
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_PUT = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
