"""app: an application that agents may serve, under a name of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct, Switch
from teleport.base.text import label_text
from teleport.model.command_labels import CommandLabel, check_command_labels, with_results
from teleport.model.later import Unacted, UnactedSwitch, check_later
from teleport.model.naming import check_name, check_names, check_text
from teleport.model.resource import NAME, Column, Resource, kind

_DNS_LABEL = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_URI = re.compile("[a-z][a-z0-9+]*://.*")
_HIGHEST_PORT = 65535


class Header(Struct, frozen=True, kw_only=True):
    """A header that requests get."""

    name: str
    value: str = ""


class Rewrite(Struct, frozen=True, kw_only=True):
    """What is changed in requests and answers."""

    redirect: tuple[str, ...] = ()
    """Hosts whose redirections lead to the application's public address instead."""
    headers: tuple[Header, ...] = ()
    jwt_claims: Literal["", "roles-and-traits", "roles", "traits", "none"] = ""


class Cors(Struct, frozen=True, kw_only=True):
    """Which other sites may call it from a browser."""

    allowed_origins: tuple[str, ...] = ()
    allowed_methods: tuple[str, ...] = ()
    allowed_headers: tuple[str, ...] = ()
    exposed_headers: tuple[str, ...] = ()
    allow_credentials: Switch = Switch(False)
    max_age: int = 0
    """Seconds."""


class PortRange(Struct, frozen=True, kw_only=True):
    """A port of a TCP application, or several in a row."""

    port: int
    end_port: int = 0
    """The last one; 0: there is one."""


class AppSpec(Struct, frozen=True, kw_only=True):
    """Where an application is and how it is called."""

    uri: str
    public_addr: str = ""
    """Empty: its name under the proxy's."""
    insecure_skip_verify: Switch = Switch(False)
    rewrite: Rewrite | None = None
    cors: Cors | None = None
    dynamic_labels: dict[str, CommandLabel] = {}
    cloud: Literal["", "AWS", "Azure", "GCP"] = ""
    required_app_names: tuple[str, ...] = ()
    tcp_ports: tuple[PortRange, ...] = ()
    use_any_proxy_public_addr: UnactedSwitch = None
    aws: Unacted = None
    integration: Unacted = None
    identity_center: Unacted = None
    mcp: Unacted = None


def app_type(app: App) -> str:
    """Return what kind of application it is, as tables call it."""
    scheme = app.spec.uri.partition("://")[0]
    return app.spec.cloud or ("TCP" if scheme == "tcp" else "HTTP")


@kind(
    key="apps",
    versions=("v3",),
    aliases=("apps",),
    selector="app_labels",
    columns=(
        NAME,
        Column("Description", lambda app: str(app.metadata.description)),
        Column("URI", lambda app: str(app.spec.uri)),
        Column("Public Address", lambda app: str(app.spec.public_addr)),
        Column("Labels", lambda app: label_text(app.labels_now())),
        Column("Version", lambda app: str(app.version)),
    ),
    messages={
        "create": 'application "{name}" has been created',
        "update": 'application "{name}" has been updated',
        "delete": 'application "{name}" has been deleted',
    },
    events={
        "create": ("app.create", "TAP03I"),
        "update": ("app.update", "TAP04I"),
        "delete": ("app.delete", "TAP05I"),
    },
)
class App(Resource[AppSpec], frozen=True, kw_only=True, tag="app"):
    """An application; its name becomes part of host names."""

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for values out of grammar, NotSupported for unacted fields."""
        spec = self.spec
        check_later("app", spec)
        if self.name and not _DNS_LABEL.fullmatch(self.name):
            problem = "it becomes part of host names: at most 63 letters of lower case, digits and hyphens"
            raise BadParameter("KIND-NAME", kind="app", name=ascii(self.name[:60]), problem=problem)
        check_text("app", "spec.uri", spec.uri)
        if not _URI.fullmatch(spec.uri):
            raise BadParameter("KIND-FIELD", kind="app", problem="`spec.uri` is an address with a scheme: http://host")
        if spec.public_addr:
            check_name("public address", spec.public_addr)
        check_names("app", spec.required_app_names)
        if spec.rewrite is not None:
            _check_rewrite(spec.rewrite)
        for ports in spec.tcp_ports:
            _check_ports(ports)
        check_command_labels("app", spec.dynamic_labels, self.metadata.labels)

    def labels_now(self) -> Mapping[str, str]:
        """Fixed labels and the last results of commands; no name is in both."""
        return with_results(self.spec.dynamic_labels, self.metadata.labels)


def _check_rewrite(rewrite: Rewrite) -> None:
    for header in rewrite.headers:
        plain = header.name.isascii() and header.name.replace("-", "").replace("_", "").isalnum()
        if not plain or not header.value.isprintable():
            problem = f"`spec.rewrite.headers` has no header {header.name[:60]!a} of one line"
            raise BadParameter("KIND-FIELD", kind="app", problem=problem)
    check_names("host", rewrite.redirect)


def _check_ports(ports: PortRange) -> None:
    last = ports.end_port or ports.port
    if not 0 < ports.port <= last <= _HIGHEST_PORT:
        problem = f"`spec.tcp_ports` has no range {ports.port}-{last}: ports are 1 to {_HIGHEST_PORT}, the lowest first"
        raise BadParameter("KIND-FIELD", kind="app", problem=problem)
