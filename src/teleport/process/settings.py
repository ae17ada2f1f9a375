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
from typing import TextIO

from teleport.base import log
from teleport.base.disk import Disk, map_errors
from teleport.base.errors import BadParameter, NotFound
from teleport.model.address import Address, parse_addr
from teleport.model.config import teleport_yaml
from teleport.model.config.auth import AuthSection
from teleport.model.config.log import LogSection
from teleport.model.config.proxy import SSH_LISTEN, SSH_PORT, ProxySection
from teleport.model.config.ssh import SshSection
from teleport.model.config.teleport_yaml import TeleportYaml

DEFAULT_CONFIG = "/etc/teleport.yaml"
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
    allow_no_second_factor: bool = False
    """Whether the environment permits `second_factor: off`."""
    warnings: tuple[str, ...] = field(default=())

    @property
    def tls_routing(self) -> bool:
        """Whether the proxy serves everything on its web port; otherwise SSH clients have a port of their own."""
        mode = self.auth.proxy_listener_mode or ("separate" if self.version == "v1" else "multiplex")
        return mode == "multiplex"

    @property
    def proxy_ssh(self) -> Address | None:
        """The proxy's own port for SSH clients, if there is one."""
        named = self.proxy.ssh_listen
        return named if named or self.tls_routing else parse_addr(SSH_LISTEN, SSH_PORT)

    @property
    def public_address(self) -> str:
        """The `host:port` that people type to reach the proxy."""
        public = self.proxy.public
        if public:
            return str(public[0])
        return f"{self.nodename}:{self.proxy.web_listen.port}"


def find_config(flag: str | None, environment: Mapping[str, str], disk: Disk) -> Settings:
    """Read the configuration that `-c`, `TELEPORT_CONFIG` (base64) or `TELEPORT_CONFIG_FILE` names, else the
    default file if it is there, else defaults.

    Raises NotFound (PROC-CONFIG-MISSING), BadParameter (PROC-CONFIG-BASE64) and what reading it raises.
    """
    allowed = environment.get(NO_SECOND_FACTOR, "").lower() in ("yes", "true", "on", "1")
    return dataclasses.replace(_find(flag, environment, disk), allow_no_second_factor=allowed)


def _find(flag: str | None, environment: Mapping[str, str], disk: Disk) -> Settings:
    inline = environment.get("TELEPORT_CONFIG", "")
    if flag is None and inline:
        try:
            text = base64.b64decode(inline, validate=True).decode()
        except ValueError:  # neither base64 nor, within it, text
            raise BadParameter("PROC-CONFIG-BASE64") from None
        return make(teleport_yaml.load(text, "TELEPORT_CONFIG"), "")
    named = flag or environment.get("TELEPORT_CONFIG_FILE", "")
    path = named or DEFAULT_CONFIG
    if not disk.exists(path):
        if named:
            raise NotFound("PROC-CONFIG-MISSING", path=path)
        return make(TeleportYaml(), "")
    return make(teleport_yaml.load(disk.read(path).decode(errors="replace"), path), path)


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
        warnings=tuple(str(warning) for warning in config.warnings),
    )


def _default_cluster(config: TeleportYaml, hostname: str) -> str:
    public = config.proxy_service.public
    return public[0].host if public else hostname
