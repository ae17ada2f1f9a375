"""Fetch: one HTTPS request to a service of somebody else, bounded and without surprises.

No redirects, no cookies, no compression, nothing from the environment; the answer has a size, the whole a time. What is
fetched is judged by the caller.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from teleport.base.errors import BadParameter, LimitExceeded, Unavailable

TIMEOUT = 15.0
"""Seconds."""
LARGEST = 512 * 1024
"""Bytes of an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


class Fetch(Protocol):
    """Makes a request."""

    async def __call__(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Return the answer, whatever its status. `headers` are sent as they are. Raises BadParameter (NET-FETCH-URL)
        for what is not https, Unavailable (NET-FETCH), LimitExceeded (NET-FETCH-SIZE)."""
        ...


class SystemFetch:
    """The machine's way to the world."""

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        *,
        timeout: float = TIMEOUT,
        plain: bool = False,
        server_name: str = "",
    ) -> None:
        """`context`: whom to believe; the authorities of the system where none is given. `plain` lets HTTP without TLS
        pass as well: metadata services of clouds have no other. `server_name` is
        what the server's certificate names when that is not the host of the URL."""
        self._context = context
        self._timeout = timeout
        self._server_name = server_name
        self._schemes = ("https://", "http://") if plain else ("https://",)

    async def __call__(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """See `Fetch`."""
        import aiohttp  # few need it

        if not url.startswith(self._schemes):
            raise BadParameter("NET-FETCH-URL", url=url[:200])
        context = self._context or ssl.create_default_context()
        limits = aiohttp.ClientTimeout(total=self._timeout)
        # Kept for the session, which is this request: its end waits for the connection's, and `force_close` would not.
        connector = aiohttp.TCPConnector(ssl=context)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector, timeout=limits, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
                ) as session,
                session.request(
                    method, url, headers=headers, data=body or None, allow_redirects=False,
                    server_hostname=self._server_name or None,
                ) as reply,
            ):  # fmt: skip
                return Answer(reply.status, await _body(reply.content, url))
        except TimeoutError:
            raise Unavailable("NET-FETCH", url=url[:200], problem=f"no answer within {self._timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable("NET-FETCH", url=url[:200], problem=_words(error)) from None


def _words(error: Exception) -> str:
    """Say why there was no answer: in the system's words where it could not be connected."""
    import aiohttp

    words = str(error)
    if isinstance(error, OSError) and not isinstance(error, aiohttp.ClientSSLError) and (error.errno or 0) > 0:
        words = os.strerror(error.errno or 0).lower()
    return words[:200] or type(error).__name__


async def _body(content: Any, url: str) -> bytes:
    read = bytearray()
    while part := await content.read(64 * 1024):
        read += part
        if len(read) > LARGEST:
            raise LimitExceeded("NET-FETCH-SIZE", url=url[:200], limit=LARGEST)
    return bytes(read)
