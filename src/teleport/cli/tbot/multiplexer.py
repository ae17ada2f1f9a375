"""tbot ssh-multiplexer-proxy-command: the way of `ssh` to the multiplexer of a bot."""

from __future__ import annotations

import click

from teleport.cli.tbot.quick_multiplexer import connect


@click.command("ssh-multiplexer-proxy-command")
@click.argument("socket", metavar="SOCKET")
@click.argument("target", metavar="HOST:PORT")
def ssh_multiplexer_proxy_command(socket: str, target: str) -> None:
    """Connect with a node through the service ssh-multiplexer of a running tbot, as ProxyCommand of stock OpenSSH.

    \b
    The ssh_config that the service writes names it, with ProxyUseFdpass yes:
    ssh -F /opt/mux/ssh_config alice@node-1.example.com
    """
    connect(socket, target)
