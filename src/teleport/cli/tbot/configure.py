"""tbot configure and tbot migrate: configurations to start from."""

from __future__ import annotations

import os

import click

from teleport.base.disk import SystemDisk
from teleport.cli.tbot import merging, options
from teleport.cli.tbot.options import Given
from teleport.model.config import tbot_yaml
from teleport.model.config.section import Warned
from teleport.model.config.tbot_yaml import TbotYaml

OUTPUT = click.option("-o", "--output", default="", metavar="FILE", help="Write it there [standard output].")
LATEST = "configuration already the latest version. nothing to migrate."


@options.legacy("configure", OUTPUT)
def configure(given: Given, output: str) -> None:
    """Print a configuration for `tbot start`: the file, if one is given, with the flags over it.

    Types: identity, application, database, kubernetes, kubernetes/v2, ssh-host, ssh-multiplexer. Each has flags of its
    own: tbot configure identity --help.

    \b
    tbot configure identity --proxy-server=teleport.example.com:443 --destination=/opt/machine-id -o tbot.yaml
    tbot configure -c old.yaml --proxy-server=teleport.example.com:443
    """
    _print(given, output)


@options.command("configure", "application", OUTPUT)
def application(given: Given, output: str) -> None:
    """Print a configuration with a certificate for one application.

    \b
    tbot configure application --proxy-server=teleport.example.com:443 --app=grafana --destination=/opt/grafana
    """
    _print(given, output)


@options.command("configure", "database", OUTPUT)
def database(given: Given, output: str) -> None:
    """Print a configuration with a certificate for one database.

    \b
    tbot configure database --proxy-server=teleport.example.com:443 --service=example --destination=/opt/db
    """
    _print(given, output)


@options.command("configure", "identity", OUTPUT)
def identity(given: Given, output: str) -> None:
    """Print a configuration with certificates for SSH and the API.

    \b
    tbot configure identity --proxy-server=teleport.example.com:443 --destination=/opt/machine-id
    """
    _print(given, output)


@options.command("configure", "kubernetes", OUTPUT)
def kubernetes(given: Given, output: str) -> None:
    """Print a configuration with a kubeconfig for one Kubernetes cluster.

    \b
    tbot configure kubernetes --proxy-server=t.example.com:443 --kubernetes-cluster=prod --destination=/opt/kube
    """
    _print(given, output)


@options.command("configure", "kubernetes/v2", OUTPUT)
def kubernetes_v2(given: Given, output: str) -> None:
    """Print a configuration with a kubeconfig for all Kubernetes clusters that are meant.

    \b
    tbot configure kubernetes/v2 --proxy-server=t.example.com:443 --label-selector=env=prod --destination=/opt/kube
    """
    _print(given, output)


@options.command("configure", "ssh-host", OUTPUT)
def ssh_host(given: Given, output: str) -> None:
    """Print a configuration with key and certificate of an OpenSSH server.

    \b
    tbot configure ssh-host --proxy-server=t.example.com:443 --principals=web-1 --destination=/etc/ssh/teleport
    """
    _print(given, output)


@options.command("configure", "ssh-multiplexer", OUTPUT)
def ssh_multiplexer(given: Given, output: str) -> None:
    """Print a configuration with sockets through which SSH clients share one connection.

    \b
    tbot configure ssh-multiplexer --proxy-server=teleport.example.com:443 --destination=/opt/ssh
    """
    _print(given, output)


def _print(given: Given, output: str) -> None:
    """Print or write what a command line means."""
    warn(given.warnings, given.overrides)
    write(given.config, output)


@click.command("migrate")
@options.CONFIG
@OUTPUT
def migrate(config: str, output: str) -> None:
    """Print a configuration of version v1 as one of version v2.

    \b
    tbot migrate -c /etc/tbot.yaml -o /etc/tbot.v2.yaml
    """
    if not config:
        raise click.UsageError("Missing option '-c' / '--config'")
    loaded = options.read(config)
    if loaded.version == "v2":
        click.echo(LATEST, err=True)
        return
    warn(tuple(each for each in loaded.warnings if each.code != "TBOT-DEPRECATED"))
    write(loaded.config, output)


def warn(warnings: tuple[Warned, ...], overrides: tuple[merging.Override, ...] = ()) -> None:
    """Tell people what they should know of a configuration."""
    for warning in warnings:
        click.echo(f"WARNING: {warning}", err=True)
    for flag, old, new in overrides:
        click.echo(f"WARNING: {merging.MESSAGE} flag={flag} config_value={old} cli_value={new}", err=True)


def write(config: TbotYaml, output: str) -> None:
    """Print a configuration, or write it to a new file that only its owner can read: it may have secrets in it.

    Raises AlreadyExists (DISK-*) rather than replace a file.
    """
    text = tbot_yaml.dump(config)
    if not output:
        click.echo(text, nl=False)
        return
    SystemDisk().write(os.path.abspath(output), text.encode(), mode=0o600, exclusive=True)
    click.echo(f"Wrote {output}. Next: tbot start -c {output}", err=True)
