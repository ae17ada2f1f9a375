"""Targets of the other side: what a proxy answers to `tsh`, what stands in `~/.tsh`, what the spawner is told."""

# ruff: noqa: PT017 - laws about a refusal stand where it is caught

from __future__ import annotations

from typing import Any

import msgspec

from teleport.agents.ssh import spawner_messages, spawner_process, user_side_messages
from teleport.base.disk import MemoryDisk
from teleport.base.errors import BadParameter, TeleportError
from teleport.client import web_api
from teleport.client.profile import Home
from tests.fuzz.engine import Target, plain, register

_PROFILE = b"""{"web_proxy_addr":"proxy.example.com:443","user":"alice","cluster":"example.com","roles":["access"],
"logins":["alice"],"traits":{"team":["a"]},"valid_until":"2026-01-02T03:04:05Z"}"""


def _profile(data: bytes) -> object:
    """Whatever the file says, no path made from it leaves the folder."""
    disk = MemoryDisk()
    disk.make_dir("/h")
    disk.write("/h/proxy.example.com.yaml", data)
    found = Home("/h", disk).load("proxy.example.com")
    for path in Home("/h", disk).files(found).all():
        assert path.startswith("/h/keys/proxy.example.com/")
        assert "/.." not in path
        assert "\0" not in path
        assert path.count("/") <= 6
    return found.user == "alice", found.cluster == "example.com"


register(
    Target(
        "client.profile",
        plain(_profile),
        lambda: [_PROFILE],
        is_json=True,
        dictionary=(
            b"../",
            b"/",
            b"\\u002e\\u002e\\u002f",
            b"\\u0000",
            b'"user":"..",',
            b"\xff",
            b"[" * 3000,
            b"\\ud800",
            b'"cluster":"a/../b",',
            b"null",
            b"0001-01-01T00:00:00+14:00",
            b"9" * 40,
        ),
    )
)


def _answer(data: bytes) -> object:
    """The first byte chooses the status of the answer."""
    status = (200, 400, 403, 404, 429, 500, 503)[data[0] % 7] if data else 200
    try:
        return "answer", len(web_api._decode("proxy.example.com:443", status, data[1:])) > 0
    except TeleportError as error:
        assert isinstance(error.what + error.why + error.fix + error.id, str)
        return type(error).__name__, error.code


register(
    Target(
        "client.web_api",
        plain(_answer),
        lambda: [
            b'\0{"proxy":{},"cluster_name":"c"}',
            b'\2{"error":{"code":"POL-LOCKED","message":"m","id":"1","fields":{"message":"x"}}}',
            b'\1{"error":{"code":"CFG-DURATION","fields":{"value":"1","id":"2"}}}',
        ],
        (),
        is_json=True,
        dictionary=(
            b'"code":"',
            b'"fields":{"id":"x"}',
            b'"fields":[]',
            b'"error":',
            b"CFG-DURATION",
            b"NET-TIMEOUT",
            b"\xff",
            b"[" * 5000,
            b"\\ud800",
            b"1e400",
            b"9" * 5000,
            b'"self":1',
            b"null",
        ),
    )
)

_REQUESTS = (
    spawner_messages.Start(id=1, admission=2, login="alice", command=b"ls \xff", environment={"SSH_A": "b"}),
    spawner_messages.Trust(id=1, cluster="c", authorities={"ssh-ed25519 AAAA": "c"}),
    spawner_messages.Admit(id=1, login="a", session_id=b"i", message=b"\x32\xff", signature=b"s", source=""),
    spawner_messages.Dismiss(id=1),
    spawner_messages.Helper(id=1, admission=2),
    spawner_messages.Signal(id=1, name="TERM"),
    spawner_messages.HangUp(id=1),
)
_REPLIES = (
    spawner_messages.Started(id=1, pid=2),
    spawner_messages.Refused(id=1, status=7, code="SSH-SPAWN-MESSAGE", fields={"problem": "x"}),
    spawner_messages.Exited(id=1, status=3),
)


def _spawner(data: bytes) -> object:
    """Read as a request and as a reply; what may be started has a clean environment."""
    answers: list[Any] = []
    for decode in (spawner_messages.decode_request, spawner_messages.decode_reply):
        try:
            found = decode(data)
        except BadParameter as error:
            assert error.code == "SSH-SPAWN-MESSAGE"
            answers.append(error.fields["problem"][:20])
            continue
        assert decode(spawner_messages.encode(found)) == found
        answers.append(type(found).__name__)
        if isinstance(found, spawner_messages.Start):
            spawner_process.check(found, (0, 1, 2))
            assert all(name.startswith("SSH_") and value.isprintable() for name, value in found.environment.items())
            assert b"\0" not in found.command
    return tuple(answers)


register(
    Target(
        "agents.spawner",
        plain(_spawner),
        lambda: [spawner_messages.encode(one) for one in (*_REQUESTS, *_REPLIES)],
        widths=(1,),
        dictionary=(
            msgspec.msgpack.encode("LD_PRELOAD"),
            b"\xff",
            b"\x91" * 3000,
            b"\xc4\xff",
            b"\xdf\xff\xff\xff\xff",
            b"\xc1",
            b"\xcf" + b"\xff" * 8,
            b"\xa7SSH_A=B",
            msgspec.msgpack.encode("SSH_X\n"),
            b"\xc0",
            b"\xd9\x05\xff",
        ),
    )
)

_ASKED = (
    user_side_messages.ConnectTcp(id=1, host="localhost", port=80),
    user_side_messages.ConnectUnix(id=1, path=b"/a\xff"),
    user_side_messages.ListenTcp(id=1, host="*", port=0),
    user_side_messages.ListenUnix(id=1, path=b"/a"),
    user_side_messages.ListenAgent(id=1),
    user_side_messages.OpenDisplay(id=1, offset=10, most=20, screen=0, protocol="MIT-MAGIC-COOKIE-1", cookie=b"c"),
    user_side_messages.ServeSftp(id=1, read_only=True),
    user_side_messages.Forget(id=1, listener=2),
)
_GIVEN = (user_side_messages.Given(id=1, port=2, path=b"/a", name="n"), _REPLIES[1])


def _user_side(data: bytes) -> object:
    """Read as a request and as a reply; what was read can be written."""
    answers: list[Any] = []
    for decode in (user_side_messages.decode_request, user_side_messages.decode_reply):
        try:
            found = decode(data)
        except BadParameter as error:
            answers.append(error.fields["problem"][:20])
            continue
        assert decode(user_side_messages.encode(found)) == found
        answers.append(type(found).__name__)
    return tuple(answers)


register(
    Target(
        "agents.user_side",
        plain(_user_side),
        lambda: [user_side_messages.encode(one) for one in (*_ASKED, *_GIVEN)],
        widths=(1,),
    )
)
