"""The request of a session for an X11 display (RFC 4254 §6.3.1)."""

from __future__ import annotations

import re
from typing import NamedTuple

from asyncssh.packet import PacketDecodeError, SSHPacket

LAST_SCREEN = 255
"""Displays have a handful of screens."""
_PROTOCOL = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_COOKIE = re.compile(rb"(?:[0-9A-Fa-f]{2}){1,256}")


class X11Request(NamedTuple):
    """What the client's programs are to be given. The cookie is one that the client made up for this session: it
    puts the real one in its place when a program comes with it, and closes the channel of any other."""

    single_connection: bool
    """Whether only the first program may connect."""
    protocol: str
    """Name of the way to authenticate, for example `MIT-MAGIC-COOKIE-1`."""
    cookie: bytes
    screen: int


def read_x11(packet: SSHPacket) -> X11Request | None:
    """Read the request, the fields behind `want reply`; None if it has not the form."""
    try:
        single, protocol, cookie = packet.get_boolean(), packet.get_string(), packet.get_string()
        screen = packet.get_uint32()
        packet.check_end()
    except PacketDecodeError:
        return None
    if _PROTOCOL.fullmatch(protocol) is None or _COOKIE.fullmatch(cookie) is None or screen > LAST_SCREEN:
        return None
    return X11Request(single, protocol.decode(), bytes.fromhex(cookie.decode()), screen)
