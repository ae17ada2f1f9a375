"""teleport doctor net: what is wrong between this machine's services and the rest of the cluster."""

from __future__ import annotations

import os

import click

from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import BadParameter
from teleport.cli.common import format_option
from teleport.cli.doctor import doctor_options, examine_and_exit
from teleport.client.doctor.trip import Trip
from teleport.model.address import Address, parse_addr
from teleport.model.config.auth import AUTH_PORT
from teleport.net.network import SystemNetwork
from teleport.net.way import WEB_PORT
from teleport.process.settings import DEFAULT_CONFIG, find_config


@click.command("doctor net")
@click.option("-c", "--config", "config", default=None, metavar="FILE", help=f"Configuration [{DEFAULT_CONFIG}].")
@click.option("--proxy", default="", metavar="HOST:PORT", help="A proxy [the one of the configuration].")
@click.option("--auth-server", default="", metavar="HOST:PORT", help="An Auth Service [the one of the configuration].")
@doctor_options
@format_option
def net(
    config: str | None, proxy: str, auth_server: str, only: str, insecure: bool, output_format: str
) -> None:  # fmt: skip
    """Look at the network between this machine and what its configuration names, part by part.

    The exit status is 1 if something is wrong. Nothing is changed. Variables of the environment count as this command
    sees them: `systemd-run -P --property=EnvironmentFile=/etc/default/teleport teleport doctor net` sees the unit's.

    \b
    teleport doctor net
    teleport doctor net --proxy=proxy.example.com:443 --format json
    """
    address, is_auth = _target(config, proxy, auth_server)
    trip = Trip(
        address, os.environ, SystemNetwork(), SystemClock(), SystemEntropy(), insecure=insecure, is_auth=is_auth
    )
    examine_and_exit(trip, only, output_format)


def _target(config: str | None, proxy: str, auth_server: str) -> tuple[Address, bool]:
    if proxy:
        return parse_addr(proxy, WEB_PORT), False
    if auth_server:
        return parse_addr(auth_server, AUTH_PORT), True
    settings = find_config(config, os.environ, SystemDisk())
    if not settings.join.servers:
        raise BadParameter("CLI-DOCTOR-TARGET", source=settings.source)
    return settings.join.servers[0], settings.join.proxy_server is None
