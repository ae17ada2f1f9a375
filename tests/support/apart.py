"""A cluster whose services run in processes of their own: one with the Auth Service, others that join it.

    with Apart(tmp_path).running() as cluster:
        proxy = cluster.proxy()
        node = cluster.node("node-2")
        with proxy.running(), node.running():
            ...

What tests do with a Cluster (users, `tctl`, `tsh`) works here too; users sign in at the proxy.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from teleport.api.client import AuthClient, over_unix
from tests.support.cluster import NAME, Cluster
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.server_process import ServerProcess

AUTH = """\
version: v3
teleport:
  nodename: {node}
  data_dir: {data}
{teleport}auth_service:
  enabled: yes
  cluster_name: {name}
  listen_addr: {host}:{auth}
{auth_more}proxy_service:
  enabled: no
ssh_service:
  enabled: no
"""

MEMBER = """\
version: {version}
teleport:
  nodename: {node}
  data_dir: {data}
{teleport}auth_service:
  enabled: no
{services}"""

PROXY = """\
proxy_service:
  enabled: yes
  web_listen_addr: {web}
  public_addr: {public}
{more}ssh_service:
  enabled: no
"""

NODE = """\
proxy_service:
  enabled: no
ssh_service:
  enabled: yes
  listen_addr: 127.0.0.1:{ssh}
  labels: {{env: dev}}
{more}"""


class Apart(Cluster):
    """The process with the Auth Service, and the users of the cluster; others are made by `proxy` and `node`."""

    host = "127.0.0.1"
    """Where the Auth Service listens."""

    def write_configs(self) -> None:
        """Write the configuration of the Auth Service alone, and the one of workstations."""
        super().write_configs()
        self.settings["host"] = self.host
        self.config.write_text(AUTH.format(**self.settings))

    @property
    def auth(self) -> str:
        """Address of the Auth Service."""
        return f"{self.host}:{self.settings['auth']}"

    def token(self, *types: str, ttl: str = "") -> str:
        """Make a token for services of these types."""
        options = (f"--ttl={ttl}",) if ttl else ()
        return self.tctl("tokens", "add", f"--type={','.join(types)}", "--format=text", *options).out.strip()

    def pin(self) -> str:
        """Return the CA pin."""
        return next(word for word in self.tctl("status").out.split() if word.startswith("sha256:"))

    def joining(self, *types: str, token: str = "", pin: str = "") -> str:
        """Return lines of the section `teleport` with which a process joins at the Auth Service."""
        return (
            f"  auth_server: {self.auth}\n  ca_pin: {pin or self.pin()}\n"
            f"  join_params: {{token_name: {token or self.token(*types)!r}, method: token}}\n"
        )

    def proxy(self, name: str = "proxy-1", *, web: str = "", teleport: str = "", more: str = "") -> Member:
        """Return a proxy, not started yet; `web` is where it listens, for others than the first."""
        services = PROXY.format(web=web or self.settings["web"], public=self.public, more=more)
        return Member(self, name, teleport or self.joining("proxy"), services)

    def node(self, name: str, *, teleport: str = "", more: str = "") -> Member:
        """Return a node, not started yet."""
        services = NODE.format(ssh=free_ports(1)[0], more=more)
        return Member(self, name, teleport or self.joining("node"), services)

    def wait_for_node(self, name: str) -> None:
        """Wait until a node is listed."""

        async def listed() -> bool:
            async with AuthClient(over_unix(str(self.data / "admin.sock"))) as client:
                return name in [node.spec.hostname async for node in client.list("node")]

        wait_for(f"the node {name} to be listed", lambda: asyncio.run(listed()), seconds=30)


class Member(ServerProcess):
    """A process that joins the cluster, with a data directory of its own."""

    def __init__(self, cluster: Apart, name: str, teleport: str, services: str, version: str = "v3") -> None:
        super().__init__()
        self.cluster = cluster
        self.name = name
        self.env: dict[str, str] = {}
        """More variables of its environment."""
        self.wrapper = cluster.wrapper
        self.folder = cluster.folder / name
        self.folder.mkdir(exist_ok=True)
        self.data, self.config = self.folder / "data", self.folder / "teleport.yaml"
        if name == "proxy-1":
            self.data.mkdir(mode=0o700, exist_ok=True)
            _share_certificate(self.data, cluster.data)
        self.write(teleport, services, version)

    def write(self, teleport: str, services: str, version: str = "v3") -> None:
        """Write the configuration."""
        self.services = services
        self.config.write_text(
            MEMBER.format(version=version, node=self.name, data=self.data, teleport=teleport, services=services)
        )

    def environment(self) -> dict[str, str]:
        """See ServerProcess.environment."""
        return {**self.cluster.environment(), "TELEPORT_CONFIG_FILE": str(self.config), **self.env}

    @property
    def host_uuid(self) -> str:
        """The id that the Auth Service gave to the host."""
        return (self.data / "host_uuid").read_text().strip()


def _share_certificate(proxy: Path, auth: Path) -> None:
    """Let what looks for the web certificate beside the Auth Service find the proxy's."""
    for name in ("webproxy_cert.pem", "webproxy_key.pem"):
        (auth / name).symlink_to(proxy / name)


__all__ = ["NAME", "Apart", "Member"]
