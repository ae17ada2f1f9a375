"""auth_server: an Auth Service that runs, as it last described itself.

Each writes its own and takes it away when it stops; one that is not heard of ends by itself.
"""

from __future__ import annotations

from teleport.base.struct import Struct
from teleport.model.address import parse_addr
from teleport.model.config.auth import AUTH_PORT
from teleport.model.naming import check_name, check_text
from teleport.model.resource import Column, Resource, kind


class AuthServerSpec(Struct, frozen=True, kw_only=True):
    """Where an Auth Service is."""

    hostname: str = ""
    addr: str = ""
    """Where it listens."""
    version: str = ""


@kind(
    key="auth_servers",
    versions=("v2",),
    aliases=("auth_servers", "auth"),
    writable=("rm",),
    columns=(
        Column("Host UUID", lambda server: str(server.name)),
        Column("Hostname", lambda server: str(server.spec.hostname)),
        Column("Address", lambda server: str(server.spec.addr)),
        Column("Version", lambda server: str(server.spec.version)),
    ),
)
class AuthServer(Resource[AuthServerSpec], frozen=True, kw_only=True, tag="auth_server"):
    """An Auth Service; its name is the host's UUID."""

    spec: AuthServerSpec = AuthServerSpec()

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for values out of grammar."""
        if self.spec.hostname:
            check_name("host", self.spec.hostname)
        check_text("auth_server", "spec.version", self.spec.version)
        if self.spec.addr:
            parse_addr(self.spec.addr, AUTH_PORT)
