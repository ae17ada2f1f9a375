"""What a server of SSH decides: the contract between the transport (`net.ssh`) and the service behind it.

A connection asks its `Handler` at every step; a handler that is `Forwards` or `Listens` has more kinds of channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from teleport.base.clock import Clock
from teleport.base.errors import TeleportError
from teleport.base.log import escape
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki import ssh

if TYPE_CHECKING:
    from teleport.net.ssh_channel import Session
    from teleport.net.ssh_stream import StreamSession


@dataclass(frozen=True)
class Trust:
    """What a certificate is checked against, each time anew."""

    clock: Clock
    cluster: str
    authorities: Callable[[], Sequence[CertAuthority]]
    user_names: bool = False
    """Whether a user's own name is accepted beside the principals: where nobody enters an account."""


@dataclass(frozen=True)
class Proof:
    """What somebody else needs to check for themselves that a client logged in (RFC 4252 §7)."""

    session_id: bytes
    """Of this connection: the exchange hash of its first key exchange (RFC 4253 §7.2)."""
    message: bytes
    """The request to authenticate, from its message number up to the signature."""
    signature: bytes
    """Over `string(session_id) + message`, by the key in `certificate`."""
    certificate: bytes
    login: str


@dataclass(frozen=True)
class Refusal:
    """A channel or request that was not accepted."""

    kind: str
    """Type of the channel or name of the global request, as in RFC 4254 and OpenSSH's PROTOCOL."""
    detail: str = ""
    """What it was for, for example `localhost:80`."""


class Handler(Protocol):
    """What the service decides about one connection. Every error it raises refuses, and its text is shown."""

    async def authorize(self, identity: Identity, login: str) -> None:
        """The certificate is good and its key proven: may the connection exist? Raises TeleportError."""
        ...

    async def refused(self, error: TeleportError, certificate: ssh.SSHCertificate, login: str) -> TeleportError:
        """Record that somebody who holds the key of `certificate` was refused; return the error to show,
        with the id of the record."""
        ...

    async def open_session(self) -> Session:
        """A session channel is to be opened. Raises TeleportError to refuse it."""
        ...

    async def declined(self, refusal: Refusal) -> TeleportError:
        """Record something that is never accepted; return the error to show."""
        ...

    def failed(self, error: BaseException) -> None:
        """A defect ended the connection."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a client wants to be connected, or wants us to listen: a TCP address, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@runtime_checkable
class Forwards(Protocol):
    """A handler that also connects a client to somewhere else (`direct-tcpip`, RFC 4254 §7.2)."""

    async def open_direct(self, host: str, port: int) -> StreamSession:
        """Return what carries the bytes, already connected. Raises TeleportError to refuse it."""
        ...


@runtime_checkable
class Listens(Forwards, Protocol):
    """A handler that also connects to unix sockets, and listens for a client (RFC 4254 §7.1, OpenSSH's PROTOCOL §2.4).
    What is accepted goes to the client by `ServerConnection.open_outward`."""

    async def open_direct_unix(self, path: str) -> StreamSession:
        """See open_direct."""
        ...

    async def listen(self, place: Place) -> int:
        """Listen for the client until the connection ends or `unlisten`; return the port, 0 for a unix socket.
        Raises TeleportError to refuse it."""
        ...

    async def unlisten(self, place: Place) -> bool:
        """Stop listening; False if this connection does not listen there."""
        ...


def one_line(error: TeleportError) -> str:
    """Return what a client is shown of an error: code, what, why, fix and id in one line without control characters."""
    text = f"{error.code}: {error.what}"
    text += f" ({error.why})" if error.why else ""
    text += f"; {error.fix}" if error.fix else ""
    text += f" [id {error.id}]" if error.id else ""
    return escape(text)
