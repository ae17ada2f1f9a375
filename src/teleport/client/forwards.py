"""What `-L`, `-R` and `-D` of `ssh`(1) ask for: which end listens where, and where connections go.

What is here: reading the words as ssh(1) has them. What is not: sockets.
Hosts of IPv6 stand in brackets. A word that begins with `/` is the path of a Unix socket; one without `/` cannot be.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from teleport.base.errors import BadParameter

LOOPBACK = "localhost"
"""Where a port listens when no address is given: on this machine, or for `-R` on the node, alone."""
EVERYWHERE = ""
_PATH_LIMIT = 107
"""Bytes of a path that a Unix socket may have (unix(7), the last is a zero)."""
_PART = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::|$)")


class Tcp(NamedTuple):
    """A port. As a place to listen `host` may be EVERYWHERE; port 0 lets the node choose (`-R` alone)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host or '*'}:{self.port}"


class Unix(NamedTuple):
    """A socket in the file system."""

    path: str

    def __str__(self) -> str:
        return self.path


Place = Tcp | Unix


class Forward(NamedTuple):
    """One forward."""

    option: str
    """`L`: we listen, the node connects. `R`: the node listens, we connect. `D`: as L, SOCKS says where to."""
    listen: Place
    to: Place | None = None
    """None: SOCKS says it (`-D`, and `-R` with a port alone)."""

    def __str__(self) -> str:
        return f"-{self.option} {self.listen}" + (f" -> {self.to}" if self.to else "")


def parse(option: str, text: str) -> Forward:
    """Read the value of `-L`, `-R` or `-D`. Raises BadParameter (CLIENT-FORWARD)."""
    parts = _split(text)
    if parts is None or not parts or len(parts) > 4:
        raise _bad(option, text, "it is not [address:]port:host:port, with IPv6 in brackets")
    if option == "D":
        return Forward("D", _listen(option, text, parts))
    if option == "R" and len(parts) <= 2 and not parts[-1].startswith("/"):
        return Forward("R", _listen(option, text, parts))
    count = 1 if parts[-1].startswith("/") else 2
    before, after = parts[:-count], parts[-count:]
    return Forward(option, _listen(option, text, before), _to(option, text, after))


def _listen(option: str, text: str, parts: list[str]) -> Place:
    if len(parts) == 1 and parts[0].startswith("/") and option != "D":
        return Unix(_path(option, text, parts[0]))
    if len(parts) not in (1, 2):
        raise _bad(option, text, "where to listen is a port, address:port, or the path of a socket")
    address = LOOPBACK if len(parts) == 1 else EVERYWHERE if parts[0] in ("", "*") else parts[0]
    return Tcp(_host(option, text, address), _port(option, text, parts[-1], lowest=0 if option == "R" else 1))


def _to(option: str, text: str, parts: list[str]) -> Place:
    if len(parts) == 1:
        return Unix(_path(option, text, parts[0]))
    if len(parts) != 2 or not parts[0]:
        raise _bad(option, text, "where to connect is host:port, or the path of a socket")
    return Tcp(_host(option, text, parts[0]), _port(option, text, parts[1], lowest=1))


def _split(text: str) -> list[str] | None:
    """Return what stands between colons, brackets off; None where brackets do not fit."""
    parts, at = list[str](), 0
    while True:
        match = _PART.match(text, at)
        if match is None:
            return None
        parts.append(match[2] if match[1] is None else match[1])
        if not match[0].endswith(":"):
            return parts
        at = match.end()


def _host(option: str, text: str, host: str) -> str:
    if not host.isprintable() or " " in host or len(host) > 255 or "/" in host:
        raise _bad(option, text, f"{host[:80]!r} is no host")
    return host


def _port(option: str, text: str, word: str, *, lowest: int) -> int:
    number = int(word) if word.isascii() and word.isdigit() and len(word) <= 5 else -1
    if not lowest <= number <= 65535:
        raise _bad(option, text, f"{word[:80]!r} is no port from {lowest} to 65535")
    return number


def _path(option: str, text: str, path: str) -> str:
    if len(path.encode(errors="replace")) > _PATH_LIMIT or "\0" in path:
        raise _bad(option, text, f"the path of a socket has at most {_PATH_LIMIT} bytes")
    return path


def _bad(option: str, text: str, problem: str) -> BadParameter:
    return BadParameter("CLIENT-FORWARD", option=option, value=text[:120], problem=problem)
