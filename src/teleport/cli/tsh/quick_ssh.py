"""`tsh ssh [-l LOGIN] [LOGIN@]HOST COMMAND...` at once: over a connection that is held, else over a new one.

Everything else - shells, terminals, forwards, labels, identity files, mistakes - is left to the full command. Nothing
is imported here before it is needed: with a held connection that is `client.holder_call` alone.
"""

from __future__ import annotations

import gc
import os

from teleport.client import holder_call

TYPE_CHECKING = False  # without importing `typing`
if TYPE_CHECKING:
    from collections.abc import Sequence

_USER = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Variables with one's own login, in the order of `getpass.getuser`."""


def ssh(arguments: Sequence[str]) -> int | None:
    """Run a command on a node and return its exit status; None if the arguments are not a plain call."""
    found = _read(arguments)
    if found is None or os.environ.get("TELEPORT_IDENTITY_FILE"):
        return None
    login, host, command, may_hold, may_resume = found
    cluster = os.environ.get("TELEPORT_CLUSTER") or os.environ.get("TELEPORT_SITE", "")
    key = holder_call.key(os.environ, login, host, cluster) if may_hold else b""
    try:
        answer = holder_call.run(os.environ, key, command.encode("utf-8", "surrogateescape"))
    except holder_call.Gone:
        from teleport.base.errors import Unavailable

        raise Unavailable("CLIENT-HOLDER", host=host) from None
    if isinstance(answer, bytes):
        from teleport.wire.reach import read_answer

        error, _ = read_answer(answer)
        raise error or ValueError("no error")
    return answer if answer is not None else _anew(login, host, cluster, command, key, may_resume)


def _read(arguments: Sequence[str]) -> tuple[str, str, str, bool, bool] | None:
    """Return login, host, command, whether a held connection may be used, and whether one that is lost is resumed."""
    words, may_hold, may_resume = list(arguments), True, True
    login = os.environ.get("TELEPORT_LOGIN", "")
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in ("-l", "--login") and words:
            login = words.pop(0)
        elif word == "--no-holder":
            may_hold = False
        elif word == "--no-resume":
            may_hold = may_resume = False
        elif word != "-T":
            return None
    if len(words) < 2 or words[1].startswith("-"):
        return None
    named, at, host = words[0].rpartition("@")
    login = named or login or next((os.environ[name] for name in _USER if os.environ.get(name)), "")
    plain = host.replace("-", "").replace(".", "").isalnum() and host.isascii() and host[0].isalnum()
    if not (plain and login.isprintable() and login) or (at and not named):
        return None
    return login, host, " ".join(words[1:]), may_hold, may_resume


def _anew(login: str, host: str, cluster: str, command: str, key: bytes, may_resume: bool) -> int | None:
    """Make a connection; it may be held afterwards."""
    gc.disable()  # nothing of what is imported now becomes garbage, and looking for it takes a tenth of the time
    from teleport.base.clock import SystemClock
    from teleport.base.errors import BadParameter
    from teleport.cli.tsh.quick import credentials, resumes
    from teleport.client.credentials import Wanted
    from teleport.client.reach import ask, knock
    from teleport.wire.reach import Request

    chosen = credentials(Wanted())
    chosen.check_valid(SystemClock())
    with chosen.in_use(login):
        request = Request(host, cluster, login)
        way = knock(chosen.home, chosen.profile)
        import teleport.pki.library  # noqa: F401 - while the proxy does its half of the handshake

        ask(way, request)
        from teleport.client import ssh as client  # while it decides, and connects to the node
        from teleport.client.ssh_client.session import Ends
        from teleport.client.ssh_client.session import Wanted as Session

        try:
            tell = resumes(os.environ, off=not may_resume, quiet=False)
            connection = client.connect(chosen.home, chosen.profile, request, host=host, way=way, tell=tell)
        except BadParameter:
            gc.enable()
            return None  # a name of several nodes, perhaps: the full command says which
        try:
            status = client.run_on(connection, Session(command), Ends())
        except BaseException:
            connection.close()
            raise
    client.keep(connection, os.environ, chosen.profile, key)
    return status
