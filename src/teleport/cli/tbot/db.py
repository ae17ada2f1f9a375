"""tbot db: `tsh db` as the identity in the destination of an output."""

from __future__ import annotations

import click

from teleport.cli.tbot.proxy import run_tsh


@click.command("db", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--destination-dir", required=True, help="Destination of an output of tbot.")
@click.option("--proxy-server", required=True, metavar="HOST:PORT", help="Address of the proxy [TELEPORT_PROXY].",
              envvar="TELEPORT_PROXY")  # fmt: skip
@click.option("--cluster", default="", help="Name of the cluster.")
@click.argument("words", nargs=-1, required=True)
def db(destination_dir: str, proxy_server: str, cluster: str, words: tuple[str, ...]) -> None:
    """Run `tsh db` as a bot.

    \b
    tbot db --destination-dir=/opt/machine-id --proxy-server=example.com:443 -- ls
    """
    run_tsh("db", words, destination_dir, proxy_server, cluster, kind="database")
