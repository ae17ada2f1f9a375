"""Events of what an SSH connection has beside commands: forwarded ports and sockets, the agent, displays."""

from __future__ import annotations

from typing import Annotated

from teleport.model.events.base import Level, Public, Sensitive, event
from teleport.model.events.session import ServerEvent


class Forwarded(ServerEvent, frozen=True, kw_only=True):
    """Something was led through a connection."""

    success: Annotated[bool, Level.PUBLIC]
    error: Sensitive = ""
    decision_id: Public = ""
    """Of the decision that refused it."""
    connections: Annotated[int, Level.PUBLIC] = 0
    """How many came to a listener, at its end."""
    bytes_sent: Annotated[int, Level.PUBLIC] = 0
    """From the client to the node's side, at the end."""
    bytes_received: Annotated[int, Level.PUBLIC] = 0
    """From the node's side to the client."""


@event("T3003I", "T3003E", "T3003S")
class PortForward(Forwarded, frozen=True, kw_only=True, tag="port"):
    """A port, a unix socket or the agent was forwarded (T3003I), was not (T3003E), or no longer is (T3003S, given as
    `code`; of a display as well)."""

    addr: Sensitive
    """What was connected to, or where it listens: `host:port`, a path, or the name of a display."""
    channel: Public = ""
    """Type of the channel or request, as in RFC 4254 and OpenSSH's PROTOCOL."""
    origin: Sensitive = ""
    """Who came to a listener: the address of a TCP client."""


@event("T3008I", "T3008W")
class X11Forward(Forwarded, frozen=True, kw_only=True, tag="x11-forward"):
    """A display was forwarded, or was not. Its end is a `port` event."""

    display: Sensitive = ""
    """What programs are told, for example `localhost:10.0`."""
