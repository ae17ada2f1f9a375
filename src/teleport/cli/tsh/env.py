"""tsh env: the current sign-in as environment variables, for a shell to evaluate."""

from __future__ import annotations

import os
import shlex

import click

from teleport.cli.common import format_option, show
from teleport.cli.tsh.quick import credentials
from teleport.cli.tsh.who import who_options
from teleport.client.credentials import Wanted

_NAMES = ("TELEPORT_PROXY", "TELEPORT_CLUSTER", "TELEPORT_IDENTITY_FILE")


@click.command("env")
@click.option("--unset", is_flag=True, help="Print how to remove the variables again; needs no sign-in.")
@who_options
@format_option
def env(unset: bool, who: Wanted, output_format: str) -> None:
    """Print environment variables that select the current proxy and cluster.

    \b
    eval "$(tsh env)"
    eval "$(tsh env --unset)"
    """
    values = dict.fromkeys(_NAMES) if unset else _values(who)
    if output_format != "text":
        show(values, output_format)
        return
    for name, value in values.items():
        click.echo(f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}")


def _values(who: Wanted) -> dict[str, str | None]:
    chosen = credentials(who)
    values: dict[str, str | None] = {
        "TELEPORT_PROXY": chosen.profile.web_proxy_addr, "TELEPORT_CLUSTER": chosen.profile.cluster,
    }  # fmt: skip
    if chosen.identity:
        values["TELEPORT_IDENTITY_FILE"] = os.path.abspath(chosen.identity)
    return values
