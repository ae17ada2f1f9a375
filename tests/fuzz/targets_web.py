"""Targets of the web port: requests, and the JSON in them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, NotFound, TeleportError
from teleport.net.memory import MemoryStream
from tests.fuzz.engine import Run, Target, register
from tests.fuzz.loops import PATIENCE, loop
from tests.support import web_site

_TURNS = 60
"""Turns of the event loop after which a server that can answer has done so."""


class _Accounts:
    """Accounts of nobody: sign-in fails, and says what it was asked with."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def login(self, user: str, password: str, **more: Any) -> Any:
        assert isinstance(user, str)
        assert isinstance(password, str)
        assert more["ttl"] == more["ttl"]
        self.asked.append(more)
        raise AccessDenied("WEB-CSRF")

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def refuse(*_: object, **__: object) -> Any:
            raise NotFound("WEB-NOT-FOUND")

        return refuse


@contextlib.asynccontextmanager
async def _site() -> AsyncIterator[web_site.Site]:
    async with web_site.serving(_Accounts(), SeededEntropy(1)) as site:  # type: ignore[arg-type]
        yield site


def _web(request: Callable[[bytes], bytes]) -> Callable[[], Any]:
    """Return `open` for a target of the web port: whatever is sent, no answer says that we are broken."""

    @contextlib.contextmanager
    def opened() -> Iterator[Run]:
        with loop() as runner:
            stack = contextlib.AsyncExitStack()
            site = runner.run(stack.enter_async_context(_site()))

            async def say(stream: MemoryStream, data: bytes) -> None:
                with contextlib.suppress(TeleportError):  # the server may have enough before all was said
                    await stream.write(data)
                    for _ in range(_TURNS):
                        await asyncio.sleep(0)
                    await stream.write_eof()

            async def send(data: bytes) -> bytes:
                parts: list[bytes] = []
                async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
                    stream = site.connect()
                    group.create_task(say(stream, data))
                    with contextlib.suppress(TeleportError):
                        while part := await stream.read():
                            parts.append(part)
                await stream.close()
                await site.ended()
                return b"".join(parts)

            def run(data: bytes) -> object:
                answer = runner.run(send(request(data)))
                assert site.failures == []
                statuses = []
                for part in answer.split(b"HTTP/1.1 ")[1:]:
                    if part.startswith(b"1"):  # "go on": not an answer yet
                        continue
                    statuses.append(part[:3].decode())
                    head = part.partition(b"\r\n\r\n")[0].lower()
                    assert b"content-security-policy" in head, part
                assert not any(status.startswith("5") for status in statuses), answer
                return tuple(statuses[:2])

            try:
                yield run
            finally:
                runner.run(stack.aclose())

    return opened


_LOGIN = {"user": "alice", "password": "p", "ssh_pub_key": "ssh-ed25519 AAAA", "tls_pub_key": "-----BEGIN", "ttl": "1h"}


_FINISH = {**_LOGIN, "totp_code": "123456", "webauthn_challenge_response": None, "route_to_cluster": "c"}


def _post(body: bytes, path: str = "/webapi/ssh/certs") -> bytes:
    head = f"Host: h\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return f"POST {path} HTTP/1.1\r\n{head}".encode() + body


register(
    Target(
        "web.login",
        _web(_post),
        lambda: [json.dumps(_LOGIN).encode(), b"{}", json.dumps({**_LOGIN, "code": "123456", "ttl": 5}).encode()],
        (),
        is_json=True,
        limit=70_000,
        dictionary=(
            b'"user":',
            b'"\\u0075ser":"root",',
            b'"ttl":1e400,',
            b'"ttl":"-1h",',
            b"\xff",
            b"[" * 3000,
            b"\\ud800",
            b"null",
            b"9" * 5000,
        ),
    )
)
register(
    Target(
        "web.mfa",
        _web(lambda body: _post(body, f"/webapi/mfa/login/{'begin' if len(body) % 4 == 0 else 'finish'}")),
        lambda: [json.dumps(_FINISH).encode(), b'{"user":"a","pass":"b","passwordless":false}'],
        (),
        is_json=True,
        limit=70_000,
        dictionary=(b'"totp_code":', b'"\\u0075ser":"root",', b'"passwordless":true', b"\xff", b"[" * 3000, b"null"),
    )
)
_REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    b"GET /webapi/ping HTTP/1.1\r\nHost: h\r\n\r\nGET /webapi/find HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    _post(json.dumps(_LOGIN).encode()),
    b"POST /webapi/ssh/certs HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    b"\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n",
    b"POST /web/invite/x HTTP/1.1\r\nHost: h\r\nCookie: __Host-csrf=" + b"a" * 64 + b"\r\nContent-Length: 15\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n\r\ncsrf=x&password",
]  # fmt: skip
register(
    Target(
        "web.http",
        _web(lambda data: data),
        lambda: _REQUESTS,
        (),
        limit=16_000,
        dictionary=(
            b"\r\n",
            b"Content-Length: 5\r\n",
            b"Content-Length: -1\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"\r\n\r\n",
            b"Transfer-Encoding: identity\r\n",
            b"Expect: 100-continue\r\n",
            b"Upgrade: websocket\r\n",
            b"HTTP/1.0",
            b"Connection: upgrade\r\n",
            b"Host: \r\n",
            b"/../../etc/passwd",
            b"/static/%2e%2e/app.py",
            b"%00",
            b"%ff",
            b"/web/reset/%0d%0a",
            b"Cookie: a=b; \r\n",
            b"Content-Encoding: gzip\r\n",
            b"OPTIONS * ",
            b"CONNECT h:1 ",
            b"\n",
            b" ",
            b"\x00",
            b"HTTP/9.9",
            b"Content-Type: multipart/form-data; boundary=x\r\n",
            b"--x\r\n",
            b"?",
            b"X: " + b"a" * 9000 + b"\r\n",
            b"\xff",
            b"Origin: https://evil\r\n",
            b"//evil.example/",
        ),
    )
)
