"""X11 displays, with an xauth(1) of the test's own."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from teleport.agents.ssh import user_side_display as display
from teleport.agents.ssh.user_side_messages import OpenDisplay
from teleport.agents.ssh.user_side_sockets import Made, listening
from teleport.base.errors import BadParameter, LimitExceeded, NotFound, TeleportError, Unavailable

COOKIE = bytes(range(16))
XAUTH = '#!/bin/sh\necho "$@" >> "$HOME/arguments"\ncat >> "$HOME/input"\n'


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    return install(tmp_path, XAUTH)


def install(home: Path, program: str) -> Mapping[str, str]:
    (home / "xauth").write_text(program)
    (home / "xauth").chmod(0o755)
    return {"PATH": f"{home}:/usr/bin:/bin", "HOME": str(home)}


def wanted(**changes: Any) -> OpenDisplay:
    fields = {"id": 1, "offset": 21000, "most": 21999, "screen": 0, "protocol": "MIT-MAGIC-COOKIE-1", "cookie": COOKIE}
    return OpenDisplay(**{**fields, **changes})


def closed(made: Made) -> Made:
    for each in made.sockets:
        each.close()
    return made


def test_a_display_from_end_to_end(environment: Mapping[str, str], tmp_path: Path) -> None:
    made = display.open_display(wanted(screen=2), environment)
    number = made.port - display.PORT
    assert made.name == f"localhost:{number}.2"
    assert {each.getsockname()[:2] for each in made.sockets} >= {("127.0.0.1", made.port)}
    with socket.create_connection(("127.0.0.1", made.port)):
        closed(made)
    entry = f"unix:{number}.2"
    told = f"remove {entry}\nadd {entry} MIT-MAGIC-COOKIE-1 {COOKIE.hex()}\nexit\n"
    assert (tmp_path / "input").read_text() == told
    made.remove()
    assert (tmp_path / "input").read_text() == f"{told}remove {entry}\nexit\n"
    assert (tmp_path / "arguments").read_text() == "-q -\n" * 2  # and so no cookie


def test_the_first_free_number_is_taken(environment: Mapping[str, str]) -> None:
    first = display.open_display(wanted(), environment)
    second = display.open_display(wanted(offset=first.port - display.PORT), environment)
    assert second.port > first.port
    closed(first)
    closed(second)


def test_no_number_is_free(environment: Mapping[str, str], tmp_path: Path) -> None:
    made = display.open_display(wanted(), environment)
    number = made.port - display.PORT
    (tmp_path / "input").unlink()
    for request in (
        wanted(offset=number, most=number), wanted(offset=9, most=8), wanted(offset=-5, most=-1),
        wanted(offset=59536, most=70000),
    ):  # fmt: skip
        assert refusal(LimitExceeded, request, environment).code == "SSH-USER-DISPLAY"
    assert not (tmp_path / "input").exists()
    closed(made)


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": ""}, {"protocol": "A\nremove :0"}, {"protocol": "A B"}, {"protocol": "x" * 65}, {"cookie": b""},
        {"cookie": b"x" * 65}, {"screen": -1}, {"screen": 256},
    ],
)  # fmt: skip
def test_what_must_not_reach_xauth(environment: Mapping[str, str], changes: dict[str, Any], tmp_path: Path) -> None:
    assert refusal(BadParameter, wanted(**changes), environment).code == "SSH-USER-COOKIE"
    assert not (tmp_path / "input").exists()


def refusal(kind: type[TeleportError], request: OpenDisplay, environment: Mapping[str, str]) -> TeleportError:
    with pytest.raises(kind) as caught:
        display.open_display(request, environment)
    assert all((caught.value.what, caught.value.why, caught.value.fix))
    return caught.value


def test_without_xauth(tmp_path: Path) -> None:
    error = refusal(NotFound, wanted(), {"PATH": str(tmp_path)})
    assert "install the package xauth" in error.fix


def test_xauth_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = install(tmp_path, "#!/bin/sh\ncat >/dev/null; echo 'no  room' >&2; exit 1\n")
    assert "no room" in refusal(Unavailable, wanted(), failing).what
    silent = install(tmp_path, "#!/bin/sh\ncat >/dev/null; exit 3\n")
    assert "status 3" in refusal(Unavailable, wanted(), silent).what
    broken = install(tmp_path, "#!/no/such/program\n")
    assert "No such file" in refusal(Unavailable, wanted(), broken).what
    monkeypatch.setattr(display, "XAUTH_SECONDS", 0.05)
    slow = install(tmp_path, "#!/bin/sh\nexec sleep 1000\n")
    assert "in time" in refusal(Unavailable, wanted(), slow).what


def test_removal_of_a_cookie_never_fails(environment: Mapping[str, str], tmp_path: Path) -> None:
    made = closed(display.open_display(wanted(), environment))
    (tmp_path / "xauth").unlink()
    made.remove()


@pytest.mark.parametrize(("problem", "count"), [(errno.EADDRNOTAVAIL, 1), (errno.EADDRINUSE, 2)])
def test_the_second_address(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, problem: int, count: int
) -> None:
    """Without IPv6 one address is enough; where somebody has the other, the number is theirs."""
    refused: list[Any] = []

    def once(family: socket.AddressFamily, address: Any) -> socket.socket:
        if family == socket.AF_INET6 and not refused:
            refused.append(address)
            raise OSError(problem, "no")
        return listening(family, address)

    monkeypatch.setattr(display, "listening", once)
    made = closed(display.open_display(wanted(), environment))
    assert len(made.sockets) == count
    assert (made.port > refused[0][1]) == (count == 2)
