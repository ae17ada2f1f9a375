"""The SSH agent of the person at this machine (SSH_AUTH_SOCK): keys of sign-ins go in and out, others are not touched.

Blocking, with a limit for each answer. The agent is a convenience: `load` and `unload` say in the log what went wrong
and never fail, so that a broken agent does not keep anybody from signing in.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType

from teleport.base.clock import Clock
from teleport.base.errors import NotFound, TeleportError, Unavailable
from teleport.base.log import logger
from teleport.client.profile import MAX_FILE, Home, Profile
from teleport.wire import ssh_agent
from teleport.wire.buffer import NeedMore
from teleport.wire.ssh_agent import Identity

log = logger("CLIENT")

VARIABLE = "SSH_AUTH_SOCK"
TIMEOUT = 10.0
"""Seconds for the connection and for each answer. An agent that asks its user before it signs takes longer."""
SIGN_TIMEOUT = 120.0
_CHUNK = 65536
_OURS = "teleport:"


class Agent:
    """A connection to an agent. Calls raise Unavailable (CLIENT-AGENT) and BadParameter (WIRE-AGENT)."""

    def __init__(self, path: str) -> None:
        """Connect to the socket at `path`. Raises Unavailable (CLIENT-AGENT)."""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(TIMEOUT)
            self._socket.connect(path)
        except (OSError, ValueError) as problem:
            self._socket.close()
            raise _unavailable(problem) from None

    def __enter__(self) -> Agent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def identities(self) -> list[Identity]:
        """Return the keys that the agent has."""
        return ssh_agent.read_identities(self._ask(ssh_agent.list_identities()))

    def add(self, private: bytes, certificate: str, *, comment: str, lifetime: int) -> None:
        """Add a private key (the content of a file of OpenSSH) with its certificate (a line) for `lifetime` seconds.

        Raises BadParameter (PKI-KEY) as well.
        """
        from cryptography.hazmat.primitives.asymmetric import ed25519

        from teleport.pki import keys

        key, blob = keys.load_private(private), keys.load_ssh_line(certificate)
        if isinstance(key, ed25519.Ed25519PrivateKey):
            request = ssh_agent.add_ed25519(
                blob, key.public_key().public_bytes_raw(), key.private_bytes_raw(), comment=comment, lifetime=lifetime
            )
        else:
            scalar = key.private_numbers().private_value
            request = ssh_agent.add_p256(blob, scalar, comment=comment, lifetime=lifetime)
        ssh_agent.read_success(self._ask(request))

    def remove(self, blob: bytes) -> None:
        """Let the agent forget one key."""
        ssh_agent.read_success(self._ask(ssh_agent.remove(blob)))

    def sign(self, blob: bytes, data: bytes) -> bytes:
        """Return a signature (an SSH signature blob) by one of `identities`."""
        return ssh_agent.read_signature(self._ask(ssh_agent.sign(blob, data), timeout=SIGN_TIMEOUT))

    def _ask(self, request: bytes, *, timeout: float = TIMEOUT) -> bytes:
        received = b""
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(request)
            while True:
                with contextlib.suppress(NeedMore):
                    return ssh_agent.frame(received)[0]
                data = self._socket.recv(_CHUNK)
                if not data:
                    raise _unavailable("it ended the connection")
                received += data
        except OSError as problem:
            raise _unavailable(problem) from None


def comment_of(profile: Profile) -> str:
    """Return the comment under which an agent shows the key of a sign-in."""
    return f"{_OURS}{profile.proxy_host}:{profile.cluster}:{profile.user}"


def load(home: Home, profile: Profile, environment: Mapping[str, str], clock: Clock) -> TeleportError | None:
    """Put the key and certificate of a sign-in into the agent, in place of an earlier one's, until it expires.

    Returns why that failed, if there is an agent and it did.
    """
    if profile.valid_until <= clock.now():
        return None

    def work(agent: Agent) -> None:
        files, disk = home.files(profile), home.disk
        private = disk.read(files.ssh_key, limit=MAX_FILE, private=True)
        _put(agent, profile, private, disk.read(files.ssh_certificate, limit=MAX_FILE).decode(errors="replace"), clock)

    return _with_agent(environment, work)


def check(environment: Mapping[str, str]) -> None:
    """Raise Unavailable (CLIENT-AGENT), BadParameter (WIRE-AGENT) unless there is an agent that works."""
    with Agent(_path(environment)) as agent:
        agent.identities()


def has_key(home: Home, profile: Profile, environment: Mapping[str, str]) -> bool:
    """Whether the agent has the key that a sign-in's certificate is for."""
    try:
        line = home.disk.read(home.files(profile).ssh_certificate, limit=MAX_FILE).decode(errors="replace")
        from teleport.pki import keys

        signer(environment, keys.load_ssh_line(line))
    except TeleportError:
        return False
    return True


def keep(environment: Mapping[str, str], profile: Profile, private: bytes, certificate: str, clock: Clock) -> None:
    """Put a key that is nowhere else into the agent. Raises Unavailable (CLIENT-AGENT), BadParameter (WIRE-AGENT)."""
    with Agent(_path(environment)) as agent:
        _put(agent, profile, private, certificate, clock)


def signer(environment: Mapping[str, str], certificate: bytes) -> Callable[[bytes], bytes]:
    """Return what signs with the key that a certificate is for. Raises NotFound (CLIENT-AGENT-KEY) if the agent has
    not got it, or there is none; calls of the result raise Unavailable (CLIENT-AGENT), BadParameter (WIRE-AGENT)."""
    try:
        with Agent(_path(environment)) as agent:
            found = any(identity.blob == certificate for identity in agent.identities())
    except TeleportError:
        found = False
    if not found:
        raise NotFound("CLIENT-AGENT-KEY")

    def sign(data: bytes) -> bytes:
        with Agent(_path(environment)) as agent:
            return agent.sign(certificate, data)

    return sign


def unload(profile: Profile, environment: Mapping[str, str]) -> TeleportError | None:
    """Take the keys of a sign-in out of the agent. Returns why that failed, if there is an agent and it did."""
    return _with_agent(environment, lambda agent: _forget(agent, profile))


def present(environment: Mapping[str, str]) -> bool:
    """Whether the environment names an agent."""
    return bool(environment.get(VARIABLE))


def _with_agent(environment: Mapping[str, str], work: Callable[[Agent], None]) -> TeleportError | None:
    if not present(environment):
        log.debug("No SSH agent is known", variable=VARIABLE)
        return None
    try:
        with Agent(_path(environment)) as agent:
            work(agent)
    except TeleportError as error:
        log.debug("The SSH agent does not do what was asked", error=error)
        return error
    return None


def _put(agent: Agent, profile: Profile, private: bytes, certificate: str, clock: Clock) -> None:
    _forget(agent, profile)
    left = int((profile.valid_until - clock.now()).total_seconds())
    agent.add(private, certificate, comment=comment_of(profile), lifetime=left)


def _path(environment: Mapping[str, str]) -> str:
    path = environment.get(VARIABLE, "")
    if not path:
        raise _unavailable(f"{VARIABLE} is not set")
    return os.path.expanduser(path)


def _forget(agent: Agent, profile: Profile) -> None:
    for identity in _of(agent, profile):
        agent.remove(identity.blob)


def _of(agent: Agent, profile: Profile) -> Iterator[Identity]:
    """Yield what was put in for a sign-in: certificates under its comment. A plain key is somebody's own."""
    from teleport.pki import ssh

    for identity in agent.identities():
        if identity.comment == comment_of(profile) and ssh.is_certificate(identity.blob):
            yield identity


def _unavailable(problem: object) -> Unavailable:
    return Unavailable("CLIENT-AGENT", problem=problem)
