"""Settings: what the process is to do, from defaults, the file, the environment and flags, in that order.

The file's own shape is `model.config`; here it meets the host: its name, where the file is, what an empty
value means.
"""

from __future__ import annotations

import base64
import dataclasses
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import msgspec

from teleport.api.messages import ClusterSettings
from teleport.base import log
from teleport.base.disk import Disk, map_errors
from teleport.base.errors import BadParameter, NotFound
from teleport.base.struct import Duration, Switch
from teleport.model.address import Address, parse_addr
from teleport.model.config import teleport_yaml
from teleport.model.config.auth import PEERING, Authentication, AuthSection, TunnelStrategy
from teleport.model.config.log import LogSection
from teleport.model.config.proxy import PORTS, SEPARATE, ProxySection
from teleport.model.config.ssh import SshSection
from teleport.model.config.teleport_section import AUTH_PORT, JoinParams
from teleport.model.config.teleport_yaml import TeleportYaml
from teleport.model.proxy_env import EXCEPTIONS, UPGRADE, VARIABLES
from teleport.model.token_methods import VARIABLES as PROOFS

DEFAULT_CONFIG = "/etc/teleport.yaml"
SERVICES = {"auth": "auth_service", "proxy": "proxy_service", "node": "ssh_service"}
"""Words of `--roles`, and the section of each."""
UPGRADER = "TELEPORT_EXT_UPGRADER"
"""Environment variable in which an updater leaves its kind; with `_VERSION` behind, its version."""
OLD_CLIENTS = "TELEPORT_UNSTABLE_ALLOW_OLD_CLIENTS"
"""Environment of an Auth Service that lets processes come that are too old for it."""
NO_SECOND_FACTOR = "TELEPORT_ALLOW_NO_SECOND_FACTOR"
"""Environment variable that permits `second_factor: off`."""


@dataclass(frozen=True)
class LogSettings:
    """Where the log goes and how much of it."""

    section: LogSection

    def apply(self, *, debug: bool) -> TextIO | None:
        """Set up logging for this process; `debug` wins over the configured level. Return the file opened, if any.

        Raises AccessDenied, NotFound or Unavailable (DISK-*) when the file cannot be opened.
        """
        section, opened = self.section, None
        stream = {"stderr": sys.stderr, "stdout": sys.stdout}.get(section.output)
        if stream is None:
            with map_errors(section.output):
                stream = opened = open(section.output, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - kept open
        log.setup(
            level="DEBUG" if debug else section.level,
            output_format="json" if section.format.output == "json" else "text",
            extra_fields=section.format.extra_fields,
            stream=stream,
        )
        return opened


@dataclass(frozen=True)
class JoinSettings:
    """Where the Auth Service is when it is not in this process, and how to join its cluster."""

    auth_servers: tuple[Address, ...] = ()
    proxy_server: Address | None = None
    token: str = field(default="", repr=False)
    """The token, or the path of a file that holds it; empty: none."""
    method: str = "token"
    azure_client_id: str = ""
    pins: tuple[str, ...] = ()
    """CA pins, and paths of files that hold them."""

    @property
    def servers(self) -> tuple[Address, ...]:
        """What to dial for the Auth Service."""
        return (self.proxy_server,) if self.proxy_server else self.auth_servers


@dataclass(frozen=True)
class Upgrader:
    """What keeps this process up to date, as it says in the environment."""

    kind: str = ""
    """`unit`, `kube` or `binary`; empty: nothing."""
    version: str = ""


@dataclass(frozen=True)
class Settings:
    """The configuration with every empty value filled in."""

    source: str
    """Path of the file, or a word where there is none."""
    nodename: str
    data_dir: Path
    cluster_name: str
    pid_file: str
    auth: AuthSection
    proxy: ProxySection
    ssh: SshSection
    debug_enabled: bool
    version: str
    """Version of the format that the file says: `v1`, `v2`, `v3`, or nothing."""
    log: LogSettings
    join: JoinSettings = JoinSettings()
    advertised: Address | None = None
    """Address under which others reach this machine (port 0: any), where somebody has said it."""
    upgrader: Upgrader = Upgrader()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables that say how other machines are reached (`model.proxy_env`), and those in which proofs of join methods
    lie (`model.token_methods`): they may be secret."""
    allow_no_second_factor: bool = False
    """Whether the environment permits `second_factor: off`."""
    allow_old_clients: bool = False
    """Whether the environment permits processes of versions that are not supported any more."""
    skip_version_check: bool = False
    """Whether the command line says that this process acts in a cluster of whatever version."""
    warnings: tuple[str, ...] = field(default=())

    @property
    def tls_routing(self) -> bool:
        """Whether the proxy serves everything on its web port; otherwise SSH clients have a port of their own."""
        mode = self.auth.proxy_listener_mode or ("separate" if self.version == "v1" else "multiplex")
        return mode == "multiplex"

    @property
    def proxy_ports(self) -> dict[str, Address]:
        """The proxy's ports beside the web port, by protocol (`model.config.proxy.PORTS`): those that the file names,
        and the usual ones where ports are separate."""
        usual = () if self.tls_routing else SEPARATE
        found = {name: self.proxy.own_port(name) or (_usual(name) if name in usual else None) for name in PORTS}
        return {name: address for name, address in found.items() if address is not None}

    @property
    def peering(self) -> bool:
        """Whether proxies reach agents over each other."""
        return self.auth.tunnel_strategy.connections > 0

    @property
    def public_address(self) -> str:
        """The `host:port` that people type to reach the proxy."""
        public = self.proxy.public
        if public:
            return str(public[0])
        return f"{self.nodename}:{self.proxy.web_listen.port}"

    def of_cluster(self, cluster: ClusterSettings) -> Settings:
        """Return these settings with everything that the cluster decides as its Auth Service says."""
        auth = msgspec.structs.replace(
            self.auth, authentication=Authentication(second_factor=cluster.second_factor),
            keep_alive_interval=Duration(cluster.keep_alive_interval),
            keep_alive_count_max=cluster.keep_alive_count_max,
            client_idle_timeout=Duration(cluster.client_idle_timeout),
            client_idle_timeout_message=cluster.client_idle_timeout_message,
            disconnect_expired_cert=Switch(cluster.disconnect_expired_cert),
            proxy_listener_mode=cluster.proxy_listener_mode,
            tunnel_strategy=_strategy(cluster.agent_connections),
        )  # fmt: skip
        return dataclasses.replace(self, cluster_name=cluster.cluster, auth=auth)

    def for_cluster(self) -> ClusterSettings:
        """Return what the Auth Service of this process tells services elsewhere."""
        auth = self.auth
        return ClusterSettings(
            cluster=self.cluster_name, second_factor=auth.authentication.required,
            keep_alive_interval=float(auth.keep_alive_interval), keep_alive_count_max=auth.keep_alive_count_max,
            client_idle_timeout=float(auth.client_idle_timeout),
            client_idle_timeout_message=auth.client_idle_timeout_message, disconnect_expired_cert=auth.cuts_expired,
            proxy_listener_mode="multiplex" if self.tls_routing else "separate",
            agent_connections=auth.tunnel_strategy.connections,
        )  # fmt: skip


@dataclass(frozen=True)
class Flags:
    """What the command line says instead of the file; empty: nothing."""

    roles: tuple[str, ...] = ()
    """Services to run, and no others: `auth`, `proxy`, `node`."""
    auth_servers: tuple[str, ...] = ()
    token: str = field(default="", repr=False)
    ca_pins: tuple[str, ...] = ()
    nodename: str = ""
    skip_version_check: bool = False

    def over(self, config: TeleportYaml) -> TeleportYaml:
        """Return the configuration with what the flags say. Raises BadParameter (CONFIG-*, KIND-*)."""
        changes: dict[str, Any] = {}
        if self.auth_servers:
            changes |= {"auth_server": "", "auth_servers": self.auth_servers, "proxy_server": ""}
        if self.token:
            changes |= {"auth_token": "", "join_params": JoinParams(token_name=self.token)}
        changes |= {"ca_pin": self.ca_pins} if self.ca_pins else {}
        changes |= {"nodename": self.nodename} if self.nodename else {}
        teleport = msgspec.structs.replace(config.teleport, **changes)
        for fault in teleport.faults():
            raise fault.error
        services = {
            name: msgspec.structs.replace(getattr(config, name), enabled=Switch(role in self.roles))
            for role, name in SERVICES.items()
            if self.roles
        }
        return msgspec.structs.replace(config, teleport=teleport, **services)


def find_config(flag: str | None, environment: Mapping[str, str], disk: Disk, flags: Flags = Flags()) -> Settings:
    """Read the configuration that `-c`, `TELEPORT_CONFIG` (base64) or `TELEPORT_CONFIG_FILE` names, else the
    default file if it is there, else defaults. `flags` win over it.

    Raises NotFound (PROC-CONFIG-MISSING), BadParameter (PROC-CONFIG-BASE64) and what reading it raises.
    """
    allowed, old = (
        environment.get(name, "").lower() in ("yes", "true", "on", "1") for name in (NO_SECOND_FACTOR, OLD_CLIENTS)
    )
    upgrader = Upgrader(environment.get(UPGRADER, ""), environment.get(f"{UPGRADER}_VERSION", ""))
    ways = {name: environment[name] for name in (*VARIABLES, *EXCEPTIONS, *UPGRADE, *PROOFS) if name in environment}
    found = _find(flag, environment, disk, flags)
    return dataclasses.replace(
        found, allow_no_second_factor=allowed, upgrader=upgrader, environment=ways, allow_old_clients=old,
        skip_version_check=flags.skip_version_check,
    )  # fmt: skip


def _find(flag: str | None, environment: Mapping[str, str], disk: Disk, flags: Flags) -> Settings:
    inline = environment.get("TELEPORT_CONFIG", "")
    if flag is None and inline:
        try:
            text = base64.b64decode(inline, validate=True).decode()
        except ValueError:  # neither base64 nor, within it, text
            raise BadParameter("PROC-CONFIG-BASE64") from None
        return make(flags.over(teleport_yaml.load(text, "TELEPORT_CONFIG")), "")
    named = flag or environment.get("TELEPORT_CONFIG_FILE", "")
    path = named or DEFAULT_CONFIG
    if not disk.exists(path):
        if named:
            raise NotFound("PROC-CONFIG-MISSING", path=path)
        return make(flags.over(TeleportYaml()), "")
    return make(flags.over(teleport_yaml.load(disk.read(path).decode(errors="replace"), path)), path)


def make(config: TeleportYaml, source: str) -> Settings:
    """Fill in what the file leaves to the host."""
    hostname = config.teleport.nodename or socket.gethostname()
    return Settings(
        source=source or "the built-in defaults",
        nodename=hostname,
        data_dir=Path(config.teleport.data_dir).absolute(),
        cluster_name=config.auth_service.cluster_name or _default_cluster(config, hostname),
        pid_file=config.teleport.pid_file,
        auth=config.auth_service,
        proxy=config.proxy_service,
        ssh=config.ssh_service,
        version=config.version,
        debug_enabled=bool(config.debug_service.enabled),
        log=LogSettings(config.teleport.log),
        join=_join(config),
        advertised=config.teleport.advertised,
        warnings=tuple(str(warning) for warning in config.warnings),
    )


def _join(config: TeleportYaml) -> JoinSettings:
    section = config.teleport
    servers = section.auth_addresses
    if not servers and not section.proxy_server and config.version in ("v1", "v2"):
        servers = (parse_addr("127.0.0.1", AUTH_PORT),)
    return JoinSettings(
        auth_servers=servers, proxy_server=section.proxy_address, token=section.token,
        method=section.join_params.method, pins=section.pins, azure_client_id=section.join_params.azure.client_id,
    )  # fmt: skip


def _default_cluster(config: TeleportYaml, hostname: str) -> str:
    public = config.proxy_service.public
    return public[0].host if public else hostname


def _strategy(connections: int) -> TunnelStrategy:
    return TunnelStrategy(type=PEERING, agent_connection_count=connections) if connections else TunnelStrategy()


def _usual(protocol: str) -> Address:
    return Address("0.0.0.0", PORTS[protocol])  # noqa: S104 - as the networking guide has it
