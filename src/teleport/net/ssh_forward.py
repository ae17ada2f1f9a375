"""Channels that are connections: how their opening is read, and those that we open to a client.

Here: the forms of RFC 4254 §7 and of OpenSSH's PROTOCOL §2.4, and `OutwardChannel`. What is not: who may have one
(`ssh_handler`), and the bytes (`ssh_stream`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncssh
from asyncssh.packet import PacketDecodeError, SSHPacket

from teleport.base.errors import BadParameter, Unavailable
from teleport.base.log import escape
from teleport.net.ssh_channel import PACKET
from teleport.net.ssh_handler import Place, Refusal
from teleport.net.ssh_stream import DirectChannel, StreamSession

if TYPE_CHECKING:
    from teleport.net.ssh_doors import Doors

HOST_CHARACTERS = 255
"""Longest name of a host (RFC 1035 §2.3.4)."""
PATH_BYTES = 107
"""Longest path of a unix socket (unix(7)), without its last NUL."""
TCP_KINDS = frozenset({b"direct-tcpip", b"forwarded-tcpip", b"tcpip-forward", b"cancel-tcpip-forward"})
UNIX_KINDS = frozenset(
    {b"direct-streamlocal@openssh.com", b"streamlocal-forward@openssh.com", b"cancel-streamlocal-forward@openssh.com"}
)


def read_place(kind: bytes, packet: SSHPacket) -> Place:
    """Read where a channel or a global request leads: the fields that every one of its kind begins with."""
    if kind in UNIX_KINDS:
        return Place(path=packet.get_string().decode(errors="surrogateescape"))
    return Place(host=packet.get_string().decode(errors="replace"), port=packet.get_uint32())


def check_place(place: Place, *, unix: bool, listening: bool = False) -> None:
    """Raise BadParameter (SSH-PLACE) for what can be no address: it is refused before anybody is asked."""
    problem = ""
    if unix:
        if not place.path.startswith("/") or "\0" in place.path:
            problem = "a unix socket is named by an absolute path"
        elif len(place.path.encode(errors="surrogateescape")) > PATH_BYTES:
            problem = f"a path is at most {PATH_BYTES} bytes long"
    elif not (0 if listening else 1) <= place.port <= 65535:
        problem = "a port is a number from 1 to 65535"
    elif len(place.host) > HOST_CHARACTERS or not (place.host or listening) or not place.host.isprintable():
        problem = f"a host is a name or an address of at most {HOST_CHARACTERS} characters"
    if problem:
        raise BadParameter("SSH-PLACE", place=escape(str(place))[:120], problem=problem)


def refusal_of(kind: bytes, packet: SSHPacket) -> Refusal:
    """Read what a refused channel or request was for. A form that we do not know has no detail."""
    detail = ""
    try:
        if kind in TCP_KINDS or kind in UNIX_KINDS:
            place = read_place(kind, packet)
            detail = place.path if kind in UNIX_KINDS else f"{place.host}:{place.port}"
    except PacketDecodeError:
        pass
    return Refusal(kind=kind[:64].decode(errors="replace"), detail=detail.encode(errors="replace").decode()[:256])


class OutwardChannel(DirectChannel):
    """A channel that we open to the client."""

    def __init__(self, connection: Doors, session: StreamSession) -> None:
        super().__init__(connection)
        self._outward = session

    def process_open_confirmation(self, send_chan: int, send_window: int, send_pktsize: int, packet: SSHPacket) -> None:
        """Put the session behind the channel at once: the client's data, and its close, may be in the same segment."""
        super().process_open_confirmation(send_chan, send_window, min(send_pktsize, PACKET), packet)
        self._session: Any = self._outward
        self._outward.connection_made(self)

    async def begin(self, kind: bytes, *parts: bytes) -> None:
        """Ask the client to open the channel. Raises Unavailable (SSH-CLIENT-REFUSED)."""
        try:
            await self._open(kind, *parts)
        except asyncssh.ChannelOpenError as error:
            raise Unavailable(
                "SSH-CLIENT-REFUSED", kind=kind.decode(), reason=escape(error.reason)[:200]
            ) from None  # fmt: skip
