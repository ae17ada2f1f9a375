"""`teleport`: what concerns the whole process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from teleport.base.errors import BadParameter
from teleport.model.address import Address, parse_addr
from teleport.model.config.log import LogSection
from teleport.model.config.section import Fault, OneOrMore, Section, addresses, listed, trying, unknown
from teleport.model.kinds.token import METHODS
from teleport.model.later import Later, Unacted
from teleport.model.naming import check_name

AUTH_PORT = 3025
PROXY_PORT = 3080
PROXY_PORTS = (443, PROXY_PORT)
"""An address with one of these is taken for a proxy's, where a configuration does not say which it is."""
PIN = re.compile(r"sha256:[0-9a-f]{64}")


class AzureJoin(Section, frozen=True, kw_only=True):
    """For the join method azure."""

    client_id: str = ""
    """Which managed identity, where the machine has several."""


class JoinParams(Section, frozen=True, kw_only=True):
    """How the process joins a cluster whose Auth Service runs elsewhere."""

    token_name: str = ""
    """Name of the token, for the method `token` its secret; or the absolute path of a file that holds it."""
    method: str = "token"
    azure: AzureJoin = AzureJoin()

    def __repr__(self) -> str:
        return f"JoinParams(method={self.method!r})"  # the name may be a secret


class TeleportSection(Section, frozen=True, kw_only=True):
    """Name, state directory, log, and how to reach and join the Auth Service where it runs elsewhere."""

    nodename: str = ""
    """Name of the host in tables and certificates; empty: the host's own name."""
    data_dir: str = "/var/lib/teleport"
    pid_file: str = ""
    log: LogSection = LogSection()

    auth_token: str = ""
    """The older form of `join_params` with the method `token`."""
    join_params: JoinParams = JoinParams()
    ca_pin: OneOrMore = ()
    """Hashes of the host authority's keys, `sha256:<hex>`, or absolute paths of files that hold them: what the Auth
    Service must show before it is told the token."""
    auth_server: str = ""
    """Address of the Auth Service (v3)."""
    auth_servers: OneOrMore = ()
    """The same in v1 and v2, where an address may be a proxy's too."""
    proxy_server: str = ""
    """Address of the proxy through which the Auth Service is reached (v3)."""
    advertise_ip: str = ""
    """Address, or address and port, under which others reach this machine; empty: found out."""

    diag_addr: Unacted = None
    cache: Unacted = None
    connection_limits: Unacted = None
    storage: Annotated[Any, Later(({"type": "sqlite"}, {"type": "dir"}))] = None
    ciphers: Unacted = None
    kex_algos: Unacted = None
    mac_algos: Unacted = None
    ciphersuites: Unacted = None
    ca_signature_algo: Unacted = None

    @property
    def token(self) -> str:
        """The token or the path of its file; empty where none is written."""
        return self.join_params.token_name or self.auth_token

    @property
    def auth_addresses(self) -> tuple[Address, ...]:
        """Where the file says that Auth Services are."""
        return addresses(self.auth_server or self.auth_servers, AUTH_PORT)

    @property
    def proxy_address(self) -> Address | None:
        """Where the file says that the proxy is."""
        return parse_addr(self.proxy_server, PROXY_PORT) if self.proxy_server else None

    @property
    def advertised(self) -> Address | None:
        """What the file says of the machine's own address; port 0 where it says none."""
        return parse_addr(self.advertise_ip, 0) if self.advertise_ip else None

    @property
    def pins(self) -> tuple[str, ...]:
        """Pins and paths of files with pins."""
        return listed(self.ca_pin)

    def faults(self) -> Iterator[Fault]:
        """Return names, paths and addresses that cannot be used."""
        if self.nodename:
            yield from trying(("nodename",), check_name, "host", self.nodename)
        for key, value in (("data_dir", self.data_dir), ("pid_file", self.pid_file)):
            if (value and not value.startswith("/")) or "\0" in value or (key == "data_dir" and not value):
                yield Fault((key,), BadParameter("CONFIG-PATH", key=f"teleport.{key}", value=ascii(value[:80])))
        yield from self._joining_faults()
        for path, error in self.log.faults():
            yield Fault(("log", *path), error)

    def _joining_faults(self) -> Iterator[Fault]:
        if self.join_params.method not in METHODS:
            wrong = unknown("join method", self.join_params.method, ", ".join(METHODS))
            yield Fault(("join_params", "method"), wrong)
        if self.auth_token and self.join_params.token_name:
            yield Fault(("auth_token",), BadParameter("CONFIG-TWO-TOKENS"))
        yield from trying(("auth_server",), lambda: addresses(self.auth_server, AUTH_PORT))
        yield from trying(("auth_servers",), addresses, self.auth_servers, AUTH_PORT)
        yield from trying(("proxy_server",), lambda: self.proxy_address)
        yield from trying(("advertise_ip",), lambda: self.advertised)
        for pin in self.pins:
            if not (PIN.fullmatch(pin) or pin.startswith("/")):
                yield Fault(("ca_pin",), unknown("CA pin", pin, "sha256: and 64 hexadecimal digits, or /path/of/file"))

    def version_faults(self, version: str) -> Iterator[Fault]:
        """Return keys that this version of the format does not have, and servers of which only one can count."""
        newest = version in ("", "v3")
        for key in ("auth_servers",) if newest else ("auth_server", "proxy_server"):
            if getattr(self, key):
                instead = "auth_server or proxy_server" if newest else "auth_servers"
                error = BadParameter("CONFIG-SERVER-VERSION", key=key, version=version or "v3", instead=instead)
                yield Fault((key,), error)
        if self.auth_server and self.proxy_server:
            yield Fault(("proxy_server",), BadParameter("CONFIG-TWO-SERVERS"))
