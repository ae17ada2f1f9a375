"""teleport configure: write a configuration to start from."""

from __future__ import annotations

import socket
from pathlib import Path

import click

from teleport.base.disk import SystemDisk
from teleport.base.errors import AlreadyExists, BadParameter
from teleport.model.config import teleport_yaml

_TEMPLATE = """\
version: {version}
teleport:
  nodename: {nodename}
  data_dir: {data_dir}
  log:
    output: stderr
    severity: INFO
auth_service:
  enabled: yes
  cluster_name: {cluster}
  listen_addr: 0.0.0.0:3025
proxy_service:
  enabled: yes
  web_listen_addr: 0.0.0.0:3080
  public_addr: {public_addr}
ssh_service:
  enabled: yes
  listen_addr: 0.0.0.0:3022
"""


@click.command("configure")
@click.option("-o", "--output", default="stdout", help="stdout, a path, or file:///path [stdout].")
@click.option("--cluster-name", default=None, help="Name of the cluster [name of this host].")
@click.option("--public-addr", default=None, help="host:port under which people reach the proxy.")
@click.option("--data-dir", default="/var/lib/teleport", help="Where state is kept.")
@click.option("--node-name", default=None, help="Name of this server [name of this host].")
@click.option("--version", "version", default="v3", help="Version of the configuration: v2, v3 [v3].")
@click.option("--test", "test", default=None, metavar="FILE", help="Check a file instead.")
def configure(
    output: str,
    cluster_name: str | None,
    public_addr: str | None,
    data_dir: str,
    node_name: str | None,
    version: str,
    test: str | None,
) -> None:
    """Print a configuration that `teleport start` understands, or check one.

    \b
    teleport configure -o /etc/teleport.yaml --cluster-name=example.com
    teleport configure --test ./teleport.yaml
    """
    if test is not None:
        teleport_yaml.load(SystemDisk().read(test).decode(), test)
        click.echo(f"{test} is valid")
        return
    host = socket.gethostname()
    cluster = cluster_name or host
    text = _TEMPLATE.format(
        version=version,
        nodename=node_name or host,
        data_dir=data_dir,
        cluster=cluster,
        public_addr=public_addr or f"{cluster}:3080",
    )
    teleport_yaml.load(text, "the configuration to be written")
    _write(text, output)


def _write(text: str, output: str) -> None:
    if output == "stdout":
        click.echo(text, nl=False)
        return
    path = Path("/etc/teleport.yaml" if output == "file" else output.removeprefix("file://"))
    disk = SystemDisk()
    if disk.exists(str(path)):
        raise AlreadyExists("CLI-CONFIG-EXISTS", path=path)
    if not path.name:
        raise BadParameter("CLI-FILE", path=path, problem="it has no file name")
    disk.write(str(path.absolute()), text.encode(), mode=0o600, exclusive=True)
    click.echo(f"Wrote config to file {str(path)!r}. Now you can start the server with: teleport start -c {path}")
