"""`teleport`: what concerns the whole process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from teleport.base.errors import BadParameter
from teleport.model.config.log import LogSection
from teleport.model.config.section import Fault, Section, trying
from teleport.model.later import Later, Unacted
from teleport.model.naming import check_name


class TeleportSection(Section, frozen=True, kw_only=True):
    """Name, state directory, log. Joining another cluster's Auth Service is not acted on yet."""

    nodename: str = ""
    """Name of the host in tables and certificates; empty: the host's own name."""
    data_dir: str = "/var/lib/teleport"
    pid_file: str = ""
    log: LogSection = LogSection()

    auth_token: Unacted = None
    join_params: Unacted = None
    ca_pin: Unacted = None
    auth_server: Unacted = None
    auth_servers: Unacted = None
    proxy_server: Unacted = None
    advertise_ip: Unacted = None
    diag_addr: Unacted = None
    cache: Unacted = None
    connection_limits: Unacted = None
    storage: Annotated[Any, Later(({"type": "sqlite"}, {"type": "dir"}))] = None
    ciphers: Unacted = None
    kex_algos: Unacted = None
    mac_algos: Unacted = None
    ciphersuites: Unacted = None
    ca_signature_algo: Unacted = None

    def faults(self) -> Iterator[Fault]:
        """Return names and paths that cannot be used."""
        if self.nodename:
            yield from trying(("nodename",), check_name, "host", self.nodename)
        for key, value in (("data_dir", self.data_dir), ("pid_file", self.pid_file)):
            if (value and not value.startswith("/")) or "\0" in value or (key == "data_dir" and not value):
                yield Fault((key,), BadParameter("CONFIG-PATH", key=f"teleport.{key}", value=ascii(value[:80])))
        for path, error in self.log.faults():
            yield Fault(("log", *path), error)
