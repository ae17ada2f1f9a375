"""What the environment says about the way to other machines: HTTP CONNECT proxies, and connection upgrades.

What is here: HTTPS_PROXY, HTTP_PROXY and NO_PROXY in upper and lower case (network specification, section 8), and
TELEPORT_TLS_ROUTING_CONN_UPGRADE (section 5). What is not: the connections (`net.way`).
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote

from teleport.base.errors import BadParameter
from teleport.model.address import Address, parse_addr

VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
"""Variables with a proxy; the first that is not empty counts."""
EXCEPTIONS = ("NO_PROXY", "no_proxy")
UPGRADE = ("TELEPORT_TLS_ROUTING_CONN_UPGRADE", "TELEPORT_TLS_ROUTING_UPGRADE")
"""Variables that force or forbid the connection upgrade; the first that is not empty counts."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::")  # noqa: S104 - the last two mean the same to a dialler
_PORTS = {"http": 80, "https": 443}
_TRUE, _FALSE = ("true", "1", "yes", "on", "t"), ("false", "0", "no", "off", "f")
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class ConnectProxy(NamedTuple):
    """An HTTP CONNECT proxy to go through."""

    address: Address
    tls: bool
    """Whether the proxy itself is spoken to over TLS."""
    authorization: str
    """Value of the Proxy-Authorization header, a secret; empty without credentials."""
    variable: str
    """Variable that names the proxy, for messages."""

    def __repr__(self) -> str:
        return f"ConnectProxy({'https' if self.tls else 'http'}://{self.address} of {self.variable})"


def connect_proxy(environment: Mapping[str, str], host: str, port: int) -> ConnectProxy | None:
    """Return the proxy through which `host:port` is reached; None for the straight way.

    Raises BadParameter (NET-CONNECT-VALUE, NET-CONNECT-LOOPBACK).
    """
    variable = _first(environment, VARIABLES)
    exceptions = environment.get(_first(environment, EXCEPTIONS), "")
    if not variable or _excepted(exceptions, host.lower().rstrip("."), port):
        return None
    return read_proxy(variable, environment[variable].strip())


def read_proxy(variable: str, value: str) -> ConnectProxy:
    """Read `scheme://[user[:password]@]host:port`; the scheme is http without one, and a path is passed over.

    Raises BadParameter (NET-CONNECT-VALUE, NET-CONNECT-LOOPBACK).
    """
    scheme, separator, rest = value.partition("://")
    scheme, rest = (scheme.lower(), rest) if separator else ("http", value)
    if scheme not in _PORTS:
        raise BadParameter("NET-CONNECT-VALUE", variable=variable, problem="the scheme is neither http nor https")
    authority = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    credentials, at, where = authority.rpartition("@")
    try:
        if where.startswith(":"):
            raise BadParameter("NET-CONNECT-VALUE", variable=variable, problem="it names no host")
        address = parse_addr(where, _PORTS[scheme])
    except BadParameter:  # its text would show the value, and with it perhaps a password
        raise BadParameter("NET-CONNECT-VALUE", variable=variable, problem="it names no host") from None
    ip = _ip(address.host)
    if address.host.lower().rstrip(".") in _LOOPBACK or str(getattr(ip, "ipv4_mapped", None)) in _LOOPBACK:
        raise BadParameter("NET-CONNECT-LOOPBACK", variable=variable, host=address.host)
    return ConnectProxy(address, scheme == "https", _basic(variable, credentials) if at else "", variable)


def upgrade_wanted(environment: Mapping[str, str], address: Address) -> bool | None:
    """Return whether connections to `address` are to be upgraded; None where the environment does not say.

    The value is `true`, `false`, or a list of those (for all others) and of `host[:port]=true` entries. Raises
    BadParameter (NET-UPGRADE-VALUE).
    """
    variable = _first(environment, UPGRADE)
    general: bool | None = None
    for entry in environment.get(variable, "").replace(";", ",").split(","):
        where, equals, word = entry.strip().rpartition("=")
        if not entry.strip():
            continue
        if word.strip().lower() not in _TRUE + _FALSE:
            raise BadParameter("NET-UPGRADE-VALUE", variable=variable, entry=entry.strip()[:80])
        wanted = word.strip().lower() in _TRUE
        if not equals:
            general = wanted
        elif where.strip().lower() in (str(address).lower(), address.host.lower()):
            return wanted
    return general


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((name for name in names if environment.get(name, "").strip()), "")


def _basic(variable: str, credentials: str) -> str:
    user, _, password = credentials.partition(":")
    words = f"{unquote(user)}:{unquote(password)}"
    if not words.isprintable():
        raise BadParameter("NET-CONNECT-VALUE", variable=variable, problem="the user or password is not printable")
    return "Basic " + base64.b64encode(words.encode(errors="replace")).decode()


def _excepted(exceptions: str, host: str, port: int) -> bool:
    return any(_covers(entry.strip().lower(), host, port) for entry in exceptions.split(",") if entry.strip())


def _covers(entry: str, host: str, port: int) -> bool:
    """Say whether an entry of NO_PROXY means a host: `*`, a CIDR, an address, a name with all below it (`.name` and
    `*.name` mean what is below alone), each but the CIDR perhaps with a port."""
    if entry == "*":
        return True
    if (network := _network(entry)) is not None:
        return (address := _ip(host)) is not None and address in network
    name, number = _with_port(entry)
    if number not in ("", str(port)):
        return False
    if (address := _ip(name)) is not None:
        return address == _ip(host)
    if name.startswith(("*.", ".")):
        return bool(name.lstrip("*.")) and host.endswith("." + name.lstrip("*."))
    return host == name or (bool(name) and host.endswith("." + name))


def _with_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, rest.removeprefix(":")
    if entry.count(":") > 1:
        return entry, ""
    name, _, port = entry.partition(":")
    return name.rstrip("."), port


def _network(text: str) -> _Network | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
