"""tsh env: the current sign-in as environment variables, for a shell to evaluate."""

from __future__ import annotations

import os
import shlex

import click

from teleport.base.disk import SystemDisk
from teleport.cli.common import format_option, show
from teleport.client.profile import Home


@click.command("env")
@click.option("--unset", is_flag=True, help="Print how to remove the variables again.")
@format_option
def env(unset: bool, output_format: str) -> None:
    """Print environment variables that select the current proxy and cluster.

    \b
    eval "$(tsh env)"
    eval "$(tsh env --unset)"
    """
    profile = Home.from_environment(os.environ, SystemDisk()).current()
    values = {"TELEPORT_PROXY": profile.web_proxy_addr, "TELEPORT_CLUSTER": profile.cluster}
    if output_format != "text":
        show(values, output_format)
        return
    for name, value in values.items():
        click.echo(f"unset {name}" if unset else f"export {name}={shlex.quote(value)}")
