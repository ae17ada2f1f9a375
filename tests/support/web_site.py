"""The web application over memory streams, before a real Auth Service, and an HTTP client that hides nothing."""

from __future__ import annotations

import asyncio
import html
import http.client
import io
import json
import re
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from email.message import Message
from typing import Any, Literal, NamedTuple

from teleport.api.client import AuthClient
from teleport.api.openssh_calls import OpenSSHCalls
from teleport.base import tasks
from teleport.net.memory import MemoryStream, memory_pair
from teleport.net.stream import Peer
from teleport.proxy import ping
from teleport.web import app
from teleport.web.server import WebServer
from tests.support import auth_cluster

Factor = Literal["otp", "off"]

CLIENT = "192.0.2.7"
HOST = "proxy.example.com"
SETTINGS = ping.settings(cluster=auth_cluster.CLUSTER, web_address="0.0.0.0:3080", public_addresses=[f"{HOST}:443"])
AUTH_SETTINGS = ping.auth_settings(second_factor="off")


class Reply(NamedTuple):
    """An answer."""

    status: int
    headers: Message
    text: str

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.text)

    @property
    def shown(self) -> str:
        """What people read of a page: its text without the markup."""
        return html.unescape(re.sub(r"<[^>]*>", "", self.text))

    @property
    def secret(self) -> str:
        """The secret for an authenticator app, as people type it."""
        found = re.search(r'id="secret">([A-Z2-7 ]+)<', self.text)
        assert found is not None, self.text
        return found[1]

    @property
    def session(self) -> str:
        """The session that the browser is told to keep, as a cookie; empty when it is told to forget it."""
        for line in self.headers.get_all("Set-Cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            if name == "__Host-session":
                return value.strip('"')
        raise AssertionError("no session was given")

    @property
    def csrf(self) -> str:
        """The hidden field of a form."""
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.text)
        assert found is not None, self.text
        return found[1]


class Site:
    """A running web server and what sends it requests."""

    def __init__(self, server: WebServer) -> None:
        self.server = server
        self._serving: set[asyncio.Task[None]] = set()
        self.failures: list[BaseException] = []

    def connect(self) -> MemoryStream:
        """Open a connection and return the client's end."""
        theirs, ours = memory_pair(peers=(Peer(address="server"), Peer(address=f"{CLIENT}:50000")))
        task = tasks.spawn(self.server.serve(ours), name="web", on_error=self.failures.append)
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        return theirs

    async def raw(self, data: bytes) -> bytes:
        """Send bytes and return everything until the server closes."""
        stream = self.connect()
        await stream.write(data)
        return await until_end(stream)

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        """Send one request; `content_type` as a name of a header means `Content-Type`."""
        fields = {"Host": HOST, "Connection": "close", "Content-Length": str(len(body))}
        fields |= {name.replace("_", "-").title(): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return parse(await self.raw(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body), method)

    async def form(self, path: str, fields: Mapping[str, str], **headers: str) -> Reply:
        """Send a form."""
        body = urllib.parse.urlencode(fields).encode()
        return await self.ask("POST", path, body, **{"content_type": "application/x-www-form-urlencoded", **headers})

    async def post(self, path: str, document: object, **headers: str) -> Reply:
        """Send JSON."""
        body = json.dumps(document).encode()
        return await self.ask("POST", path, body, **{"content_type": "application/json", **headers})

    async def ended(self) -> None:
        """Wait until every connection is over."""
        while self._serving:
            await asyncio.wait(self._serving)


async def until_end(stream: MemoryStream) -> bytes:
    """Read everything that comes."""
    parts = []
    while data := await stream.read():
        parts.append(data)
    await stream.close()
    return b"".join(parts)


def parse(data: bytes, method: str = "GET") -> Reply:
    """Read an answer with the standard library's client."""
    response = http.client.HTTPResponse(_Recorded(data), method=method)  # type: ignore[arg-type]
    response.begin()
    return Reply(response.status, response.headers, response.read().decode())


class _Recorded:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


@asynccontextmanager
async def serving(
    accounts: app.Accounts, entropy: Any, public_address: str = f"{HOST}:443", second_factor: Factor = "off",
    **more: Any,
) -> Any:  # fmt: skip
    """Yield a site whose accounts are these."""
    application = app.build(
        accounts=accounts, entropy=entropy, cluster=auth_cluster.CLUSTER, public_address=public_address,
        settings=SETTINGS, servers=OpenSSHCalls(accounts) if isinstance(accounts, AuthClient) else None,
        auth_settings=ping.auth_settings(second_factor=second_factor), **more,
    )  # fmt: skip
    async with WebServer(application) as server:
        site = Site(server)
        yield site
        await site.ended()
    assert site.failures == []


def run(story: Callable[[auth_cluster.Cluster, Site], Awaitable[None]], second_factor: Factor = "off") -> None:
    """Run a story on a fresh cluster with a site in front of it."""

    async def body(cluster: auth_cluster.Cluster) -> None:
        async with serving(cluster.proxy, cluster.entropy, second_factor=second_factor) as site:
            await story(cluster, site)

    auth_cluster.run(body, second_factor)
