"""Address: `host:port` as people write it, for listeners and for public names.

IPv6 addresses stand in brackets where a port follows. Names are not resolved here.
"""

from __future__ import annotations

from teleport.base.errors import BadParameter
from teleport.base.lean import NamedTuple

_WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
"""No regular expressions here: commands that must start at once read addresses."""
_DIGITS = "0123456789"
_LONGEST, _LONGEST_PORT, _LONGEST_ZONE = 253, 5, 15


class Address(NamedTuple):
    """A host (name or literal address, without brackets) and a port; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_addr(text: str, default_port: int) -> Address:
    """Read `host`, `host:port`, `[v6]`, `[v6]:port`, a bare v6 address, or `:port` (every interface).

    Raises BadParameter (KIND-ADDRESS).
    """
    host, port = _split(text)
    if not port:
        number = default_port
    elif len(port) <= _LONGEST_PORT and not port.strip(_DIGITS) and int(port) < 65536:
        number = int(port)
    else:
        raise _wrong(text, "the port is a number from 0 to 65535")
    if ":" in host:
        return Address(_v6(text, host), number)
    if host and not _is_host(host):
        raise _wrong(text, "the host is a name of letters, digits, '-' and '.', or an address")
    return Address(host or "0.0.0.0", number)  # noqa: S104 - what an empty host means


def _split(text: str) -> tuple[str, str]:
    if not text:
        raise _wrong(text, "it is empty")
    if "://" in text:
        raise _wrong(text, "here stands host:port, without a scheme such as https://")
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or ":" not in host or (rest and not rest.startswith(":")) or rest == ":":
            raise _wrong(text, "an IPv6 address is written [::1]:3022")
        return host, rest[1:]
    if text.count(":") > 1:
        return text, ""
    host, colon, port = text.partition(":")
    if colon and not port:
        raise _wrong(text, "nothing follows the colon")
    return host, port


def _is_host(host: str) -> bool:
    """Whether it begins with a letter or digit and ends with one or a dot, and has no two dots in a row."""
    fits = len(host) <= _LONGEST and host[0] in _WORD and host[-1] in _WORD + "."
    return fits and not host.strip(_WORD + ".-") and ".." not in host


def _is_zone(zone: str) -> bool:
    return 0 < len(zone) <= _LONGEST_ZONE and not zone.strip(_WORD + ".-")


def _v6(text: str, host: str) -> str:
    import ipaddress  # not for the names that most addresses have

    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        raise _wrong(text, "it is not an IPv6 address; with a port it is written [::1]:3022") from None
    if address.scope_id is not None and not _is_zone(address.scope_id):
        raise _wrong(text, "the zone after % is not the name of a network interface")
    return str(address)


def _wrong(text: str, problem: str) -> BadParameter:
    return BadParameter("KIND-ADDRESS", value=ascii(text[:80]), problem=problem)
