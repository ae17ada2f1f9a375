"""tsh config: settings for stock OpenSSH."""

from __future__ import annotations

import os
import shutil
import sys

import click

from teleport.base.disk import SystemDisk
from teleport.client.profile import Home
from teleport.client.ssh_config import render


@click.command("config")
@click.option("--proxy", default="", envvar="TELEPORT_PROXY", help="Proxy whose sign-in is used.")
def config(proxy: str) -> None:
    """Print an OpenSSH client configuration for the nodes of the cluster.

    \b
    tsh config > ~/.ssh/teleport.conf
    ssh -F ~/.ssh/teleport.conf alice@node-1.example.com
    """
    home = Home.from_environment(os.environ, SystemDisk())
    profile = home.choose(proxy)
    click.echo(render(profile, home.files(profile), _own_path()), nl=False)


def _own_path() -> str:
    """Return the path of this command, whatever the shell that `ssh` starts has in its PATH."""
    started = sys.argv[0] if os.path.basename(sys.argv[0]) == "tsh" else "tsh"
    found = shutil.which(started)
    return os.path.abspath(found) if found else "tsh"
