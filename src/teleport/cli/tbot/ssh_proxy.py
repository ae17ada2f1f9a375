"""tbot ssh-proxy-command: the way of `ssh` to a node, as the identity in the destination of an output."""

from __future__ import annotations

import os

import click

from teleport.cli.tbot.quick import SSH_PORT, Call, connect


@click.command("ssh-proxy-command")
@click.option("--destination-dir", required=True, help="Destination of an output of tbot of the type identity.")
@click.option("--proxy-server", required=True, metavar="HOST:PORT", help="Address of the proxy.")
@click.option("--cluster", required=True, help="Name of the cluster.")
@click.option("--tls-routing/--no-tls-routing", default=True, help="Whether the proxy has one port for everything.")
@click.option("--connection-upgrade", is_flag=True, help="A load balancer ends TLS before the proxy.")
@click.option("--resume/--no-resume", default=False, help="Bring the connection onto a new way when it is lost.")
@click.option("--user", default="", help="Login on the node.")
@click.option("--host", required=True, help="The node.")
@click.option("--port", default=SSH_PORT, help="Port of the node.")
def ssh_proxy_command(tls_routing: bool, connection_upgrade: bool, **words: str | bool) -> None:
    """Connect standard input and output with a node's SSH Service, as ProxyCommand of stock OpenSSH.

    \b
    The ssh_config that tbot writes names it:
    ssh -F /opt/machine-id/ssh_config alice@node-1.example.com
    """
    connect(Call(upgrade=connection_upgrade, **words), os.environ)  # type: ignore[arg-type]  # as declared above
