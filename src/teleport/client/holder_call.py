"""The caller's half of the connection holder: hand a command and three descriptors to a process that has a connection.

This is all that `tsh ssh` loads when there is such a process, so it imports next to nothing: not `typing`, not
`socket` (its C half does), no class of ours. The process itself is `holder`.

Messages over a SEQPACKET socket. The call: VERSION, what it asks for, the key behind its length, the command. Answers:
`A` it runs; `N` no, make a connection of your own; `S` and the exit status; `P` nobody reads the output; `E` and an
error (`wire.reach`). Before `A` nothing has happened on the node.
"""

from __future__ import annotations

import _socket
import os
import stat

TYPE_CHECKING = False  # without importing `typing`
if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = b"TSH1"
CALL, END = b"C", b"Q"
"""What a message asks for: to run a command, or that the process ends."""
LARGEST = 65536
"""Most bytes of a call."""
OFF = "TELEPORT_NO_HOLDER"
"""Variable that switches holders off."""
_SO_PEERCRED = 17  # asm-generic/socket.h
_BROKEN_PIPE = 141
_PRIME = (1 << 61) - 1


class Gone(Exception):
    """The process has ended while it ran the command."""


def folder(environment: Mapping[str, str]) -> str:
    """Return where the sockets are: in memory that ends with the user's session, else in the home of tsh."""
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    return os.path.join(runtime, "teleport") if runtime.startswith("/") else os.path.join(home(environment), "run")


def home(environment: Mapping[str, str]) -> str:
    """Return the home of tsh, as `client.profile` does."""
    return environment.get("TELEPORT_HOME") or os.path.join(os.path.expanduser("~"), ".tsh")


def key(environment: Mapping[str, str], login: str, host: str, cluster: str) -> bytes:
    """Return what a connection is for: who, signed in when and where, as which login on which node; empty if that
    cannot be said. Each sign-in writes the profile anew, so that its inode and time stand for the certificate."""
    root = home(environment)
    proxy = environment.get("TELEPORT_PROXY", "").removeprefix("https://").partition(":")[0]
    try:
        if not proxy:
            with open(f"{root}/current-profile", encoding="utf-8") as file:
                proxy = file.read(300).strip()
        facts = os.stat(f"{root}/{proxy}.yaml")
    except (OSError, ValueError):
        return b""
    if "/" in proxy:
        return b""
    parts = (root, proxy, facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size, login, host, cluster)
    return "\0".join(map(str, parts)).encode("utf-8", "surrogateescape")


def name_of(key: bytes) -> str:
    """Return the name of a socket. Two keys may share one: the whole key is compared behind it."""
    return f"ssh-{int.from_bytes(key, 'big') % _PRIME:016x}"


def open_folder(path: str) -> int:
    """Open the folder if it is ours alone. Raises OSError."""
    opened = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    facts = os.fstat(opened)
    if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o077:
        os.close(opened)
        raise PermissionError(f"{path} is not ours alone")
    return opened


def connect(path: str, name: str) -> _socket.socket:
    """Connect to a socket in the folder, if it is our own process that listens. Raises OSError."""
    opened = open_folder(path)
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        sock.connect(f"/proc/self/fd/{opened}/{name}")  # the whole path may be longer than an address takes
        if peer_uid(sock) != os.geteuid():
            raise PermissionError("another user listens there")
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(opened)
    return sock


def peer_uid(sock: _socket.socket) -> int:
    """Return the user at the other end of a unix socket."""
    facts = sock.getsockopt(_socket.SOL_SOCKET, _SO_PEERCRED, 12)
    return int.from_bytes(facts[4:8], "little")


def message(kind: bytes, key: bytes, command: bytes = b"") -> bytes:
    """Return a call."""
    return VERSION + kind + len(key).to_bytes(4, "big") + key + command


def read(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Return kind, key and command of a call; None if it is none of this version."""
    if data[:4] != VERSION or len(data) < 9:
        return None
    end = 9 + int.from_bytes(data[5:9], "big")
    return (data[4:5], data[9:end], data[end:]) if len(data) >= end else None


def run(environment: Mapping[str, str], key: bytes, command: bytes) -> int | bytes | None:
    """Let a holder run a command between our standard descriptors; return its exit status.

    None: there is none, or it cannot; nothing has happened. Bytes: an error, as `wire.reach` has it. Raises Gone.
    """
    call = message(CALL, key, command)
    if environment.get(OFF) or not key or len(call) > LARGEST:
        return None
    try:
        sock = connect(folder(environment), name_of(key))
    except OSError:
        return None
    try:
        descriptors = b"".join(number.to_bytes(4, "little") for number in (0, 1, 2))
        sock.sendmsg([call], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
        return _wait(sock)
    except OSError:
        return None
    finally:
        sock.close()


def _wait(sock: _socket.socket) -> int | bytes | None:
    runs = False
    while True:
        try:
            answer = sock.recv(LARGEST)
        except OSError:
            answer = b""
        match answer[:1]:
            case b"A":
                runs = True
            case b"S":
                return answer[1]
            case b"P":
                return _BROKEN_PIPE
            case b"E":
                return answer[1:]
            case b"N":
                return None
            case _ if runs:
                raise Gone
            case _:
                return None


def end_all(environment: Mapping[str, str], root: str, proxy: str) -> None:
    """Ask every holder of a sign-in to end: its user signs out."""
    path = folder(environment)
    try:
        names = [name for name in os.listdir(path) if name.startswith("ssh-")]
    except OSError:
        return
    for name in names:
        try:
            sock = connect(path, name)
            sock.settimeout(5)
            sock.send(message(END, f"{root}\0{proxy}\0".encode("utf-8", "surrogateescape")))
            sock.recv(1)  # it closes when it is done
            sock.close()
        except OSError:
            continue
