"""The caller's half of the connection holder: keys, folders, and answers of processes that are none of ours."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from teleport.client import holder_call as call


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "current-profile").write_text("proxy.example.com\n")
    (home / "proxy.example.com.yaml").write_text("{}")
    (home / "run").mkdir(mode=0o700)
    return {"TELEPORT_HOME": str(home)}


def key(environment: dict[str, str], login: str = "root", host: str = "node-1", cluster: str = "") -> bytes:
    return call.key(environment, login, host, cluster)


def test_a_key_is_of_one_sign_in_login_node_and_cluster(environment: dict[str, str]) -> None:
    first = key(environment)
    assert first == key(environment)
    assert first.startswith(f"{environment['TELEPORT_HOME']}\0proxy.example.com\0".encode())
    others = [key(environment, login="alice"), key(environment, host="node-2"), key(environment, cluster="leaf")]
    path = Path(environment["TELEPORT_HOME"], "proxy.example.com.yaml")
    path.unlink()
    path.write_text("{ }")
    others.append(key(environment))
    assert len({first, *others}) == 5


def test_the_proxy_may_be_named_with_its_port(environment: dict[str, str]) -> None:
    for proxy in ("proxy.example.com", "proxy.example.com:3080", "https://proxy.example.com:443"):
        assert key({**environment, "TELEPORT_PROXY": proxy}) == key(environment)


@pytest.mark.parametrize(
    "change", [{"TELEPORT_PROXY": "other.example.com"}, {"TELEPORT_PROXY": "../x"}, {"TELEPORT_HOME": "/nonexistent"}]
)
def test_no_key_without_a_profile(environment: dict[str, str], change: dict[str, str]) -> None:
    assert key({**environment, **change}) == b""


def test_a_profile_in_another_folder_is_none(environment: dict[str, str]) -> None:
    folder = Path(environment["TELEPORT_HOME"], "sub")
    folder.mkdir()
    (folder / "x.yaml").write_text("{}")
    assert key({**environment, "TELEPORT_PROXY": "sub/x"}) == b""


def test_where_the_sockets_are() -> None:
    assert call.folder({"XDG_RUNTIME_DIR": "/run/user/7"}) == "/run/user/7/teleport"
    assert call.folder({"XDG_RUNTIME_DIR": "relative", "TELEPORT_HOME": "/h"}) == "/h/run"
    assert call.folder({"HOME": "/x"}) == os.path.expanduser("~/.tsh/run")


def test_calls_are_read_strictly() -> None:
    message = call.message(call.CALL, b"key", b"ls")
    assert call.read(message) == (b"C", b"key", b"ls")
    assert call.read(b"TSH0" + message[4:]) is None
    for size in range(len(b"TSH1C") + 4 + 3):
        assert call.read(message[:size]) is None


@contextmanager
def answering(environment: dict[str, str], key: bytes, *answers: bytes) -> Iterator[list[bytes]]:
    """A process that gives these answers to a call, and ends."""
    path = os.path.join(call.folder(environment), call.name_of(key))
    short = os.open(call.folder(environment), os.O_PATH)
    got: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(f"/proc/self/fd/{short}/{os.path.basename(path)}")
        os.close(short)
        listening.listen()
        listening.settimeout(20)

        def serve() -> None:
            with listening.accept()[0] as sock:
                got.append(sock.recv(call.LARGEST))
                for answer in answers:
                    sock.send(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield got
        finally:
            thread.join(20)
    os.unlink(path)


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        ((b"A", b"S\x07"), 7), ((b"A", b"P"), 141), ((b"A", b"Eerror"), b"error"), ((b"N",), None), ((), None),
        ((b"A", b"N"), None), ((b"?",), None),
    ],
)  # fmt: skip
def test_answers(environment: dict[str, str], answers: tuple[bytes, ...], result: object) -> None:
    own = key(environment)
    with answering(environment, own, *answers) as got:
        assert call.run(environment, own, b"ls") == result
    assert got == [call.message(call.CALL, own, b"ls")]


def test_one_that_ends_after_it_began(environment: dict[str, str]) -> None:
    own = key(environment)
    with answering(environment, own, b"A"), pytest.raises(call.Gone):
        call.run(environment, own, b"ls")


def test_whatever_is_wrong_a_connection_of_ones_own_remains(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = key(environment)
    assert call.run(environment, own, b"ls") is None, "nobody listens"
    assert call.run({**environment, call.OFF: "1"}, own, b"ls") is None
    assert call.run(environment, b"", b"ls") is None
    assert call.run(environment, own, b"x" * call.LARGEST) is None
    path = Path(call.folder(environment), call.name_of(own))
    path.touch()
    assert call.run(environment, own, b"ls") is None, "no socket"
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to("/tmp")
    assert call.run(environment, own, b"ls") is None, "a link to somewhere else"


def test_a_folder_of_others_and_a_process_of_others_are_not_believed(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = key(environment)
    folder = Path(call.folder(environment))
    folder.chmod(0o770)
    with pytest.raises(PermissionError):
        call.connect(str(folder), call.name_of(own))
    folder.chmod(0o700)
    monkeypatch.setattr(call, "peer_uid", lambda sock: os.geteuid() + 1)
    with answering(environment, own), pytest.raises(PermissionError):
        call.connect(str(folder), call.name_of(own))
    with answering(environment, own) as got:
        assert call.run(environment, own, b"ls") is None
    assert got == [b""], "neither command nor descriptors were sent"


def test_signing_out_tells_all(environment: dict[str, str]) -> None:
    call.end_all({"TELEPORT_HOME": "/nonexistent"}, "/h", "p")
    own = key(environment)
    Path(call.folder(environment), "ssh-stale").touch()
    with answering(environment, own) as got:
        call.end_all(environment, "/h", "p")
    assert got == [call.message(call.END, b"/h\0p\0")]


def imported(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


SHOW: Callable[[str], str] = "{}; import sys; print(*sys.modules)".format


def test_a_call_imports_next_to_nothing() -> None:
    """What every `tsh ssh` over a held connection has to load."""
    found = imported(
        SHOW("from teleport.cli import entry; import teleport.cli.tsh; from teleport.cli.tsh import quick_ssh")
    )
    bare = imported(SHOW("pass"))
    ours = {name for name in found - bare if name.startswith("teleport")}
    assert ours <= {
        "teleport", "teleport.cli", "teleport.cli.entry", "teleport.cli.tsh", "teleport.cli.tsh.quick_ssh",
        "teleport.client", "teleport.client.holder_call",
    }  # fmt: skip
    assert not found & {
        "typing",
        "re",
        "socket",
        "ssl",
        "enum",
        "msgspec",
        "click",
        "asyncio",
        "asyncssh",
        "cryptography",
    }


def test_a_new_connection_imports_next_to_nothing() -> None:
    """What `tsh ssh` loads when nothing is held: of the standard library hardly more than its C halves, of the library
    of primitives its half in Rust. Whoever adds a module here makes every first command slower: see `base.lean`."""
    code = "import teleport.client.ssh, teleport.cli.tsh.quick, teleport.cli.tsh.quick_ssh, teleport.base.lean_json"
    found = quickly_imported(SHOW(code))
    assert {name for name in found if not name.startswith("teleport")} - quickly_imported(SHOW("import os")) <= {
        "__future__", "_cffi_backend", "_datetime", "_hashlib", "_json", "_operator", "_socket", "_ssl", "binascii",
        "cryptography", "cryptography.__about__", "cryptography.hazmat", "cryptography.hazmat.bindings",
        "cryptography.hazmat.bindings._rust", "errno", "gc", "math", "select", "types",
        "_collections", "_functools", "_openssl", "_openssl.lib",
    } | {name for name in found if name.startswith("cryptography.hazmat.bindings._rust")}  # fmt: skip
    assert len([name for name in found if name.startswith("teleport")]) <= 57


def test_a_command_over_a_new_connection_imports_no_more_than_that() -> None:
    """The same while it runs, up to where a connection is wanted."""
    code = (
        "import os; os.environ.clear(); os.environ['TELEPORT_HOME'] = '/nonexistent'\n"
        "from teleport.base.errors import NotFound\n"
        "from teleport.cli.tsh import quick_ssh\n"
        "try: quick_ssh.ssh(['root@node-1', 'true'])\n"
        "except NotFound: pass\n"
    )
    found = quickly_imported(code + SHOW("pass"))
    assert not found & {"typing", "re", "socket", "ssl", "enum", "datetime", "collections", "contextlib", "json"}


def quickly_imported(code: str) -> set[str]:
    """As `imported`, in a Python that was started as `bin/tsh` starts it."""
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{code}"
    done = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
