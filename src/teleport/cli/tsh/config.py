"""tsh config: settings for stock OpenSSH."""

from __future__ import annotations

import os

import click

from teleport.base.disk import SystemDisk
from teleport.cli.tsh.session import call, collect
from teleport.client.profile import Home
from teleport.client.ssh_config import render
from teleport.model.kinds.node import Node


@click.command("config")
def config() -> None:
    """Print an OpenSSH client configuration for the servers that you may reach.

    \b
    tsh config > ~/.ssh/teleport.conf
    ssh -F ~/.ssh/teleport.conf alice@node-1.example.com
    """
    home = Home.from_environment(os.environ, SystemDisk())
    profile = home.current()
    nodes = call(lambda client: collect(client.list("node")))
    click.echo(render(profile, home.files(profile), [node for node in nodes if isinstance(node, Node)]), nl=False)
