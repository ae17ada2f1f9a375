"""tbot start: keep certificates fresh until a signal ends it, or make them once."""

from __future__ import annotations

import asyncio
import sys

import click

from teleport.base import log
from teleport.base.errors import TeleportError
from teleport.base.process_name import set_name
from teleport.cli.tbot import merging, options
from teleport.cli.tbot.options import Given

RENEWAL = click.option(
    "--renewal", type=click.Choice(["safe", "legacy"]), default="safe", show_default=True,
    help="safe: the next key is stored before it is asked for, so that nothing that is lost locks the bot; legacy: as "
    "the original, for comparison.",
)  # fmt: skip


@options.legacy("start", RENEWAL)
def start(given: Given, renewal: str) -> int:
    """Keep the certificates of a machine fresh: as the file says, or in one folder.

    \b
    tbot start -c /etc/tbot.yaml
    tbot start --proxy-server=teleport.example.com:443 --token=/etc/tbot/token --destination-dir=/opt/machine-id
    pkill -sigusr1 tbot renews at once.
    """
    return serve(given, renewal)


@options.command("start", "application", RENEWAL)
def application(given: Given, renewal: str) -> int:
    """Keep a certificate for one application fresh.

    \b
    tbot start application --proxy-server=teleport.example.com:443 --app=grafana --destination=/opt/grafana
    """
    return serve(given, renewal)


@options.command("start", "database", RENEWAL)
def database(given: Given, renewal: str) -> int:
    """Keep a certificate for one database fresh.

    \b
    tbot start database --proxy-server=teleport.example.com:443 --service=example --destination=/opt/db
    """
    return serve(given, renewal)


@options.command("start", "identity", RENEWAL)
def identity(given: Given, renewal: str) -> int:
    """Keep certificates for SSH and the API fresh.

    \b
    tbot start identity --proxy-server=teleport.example.com:443 --token=/etc/tbot/token --destination=/opt/machine-id
    """
    return serve(given, renewal)


@options.command("start", "kubernetes", RENEWAL)
def kubernetes(given: Given, renewal: str) -> int:
    """Keep a kubeconfig for one Kubernetes cluster fresh.

    \b
    tbot start kubernetes --proxy-server=teleport.example.com:443 --kubernetes-cluster=prod --destination=/opt/k8s
    """
    return serve(given, renewal)


@options.command("start", "kubernetes/v2", RENEWAL)
def kubernetes_v2(given: Given, renewal: str) -> int:
    """Keep a kubeconfig for several Kubernetes clusters fresh.

    \b
    tbot start kubernetes/v2 --proxy-server=teleport.example.com:443 --label-selector=env=prod --destination=/opt/k8s
    """
    return serve(given, renewal)


@options.command("start", "ssh-host", RENEWAL)
def ssh_host(given: Given, renewal: str) -> int:
    """Keep the host certificate of an OpenSSH server fresh.

    \b
    tbot start ssh-host --proxy-server=teleport.example.com:443 --principals=node-1 --destination=/opt/host
    """
    return serve(given, renewal)


@options.command("start", "ssh-multiplexer", RENEWAL)
def ssh_multiplexer(given: Given, renewal: str) -> int:
    """Let many SSH clients share one connection to the proxy.

    \b
    tbot start ssh-multiplexer --proxy-server=teleport.example.com:443 --destination=/opt/machine-id
    """
    return serve(given, renewal)


def serve(given: Given, renewal: str) -> int:
    """Run a bot until a signal ends it, or once; return the exit status."""
    debug = bool(given.config.debug)
    log.setup(
        level="DEBUG" if debug else "INFO", output_format="json" if given.log_format == "json" else "text"
    )  # fmt: skip
    _tell(given)
    # what a bot needs beside its configuration, and other commands of tbot do not
    from teleport.bot import report
    from teleport.bot.run import BotProcess, until_signalled
    from teleport.cli.tbot.world import world

    set_name("tbot")

    async def main() -> None:
        await until_signalled(BotProcess(given.config, world(legacy=renewal == "legacy")))

    try:
        asyncio.run(main())
    except TeleportError as error:
        print("\n".join(report.lines(error, debug=debug)), file=sys.stderr)
        return 1
    return 0


def _tell(given: Given) -> None:
    """Log what people should know of the configuration."""
    logger = log.logger("TBOT")
    for warning in given.warnings:
        logger.warn(warning.text)
    for flag, config_value, cli_value in given.overrides:
        logger.warn(merging.MESSAGE, flag=flag, config_value=config_value, cli_value=cli_value)
