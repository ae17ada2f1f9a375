"""tsh doctor net: what is wrong between here and a cluster, why, and what to do."""

from __future__ import annotations

import os

import click

from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import TeleportError
from teleport.cli.common import format_option
from teleport.cli.doctor import doctor_options, examine_and_exit
from teleport.cli.tsh.quick import credentials
from teleport.client.credentials import Credentials, Wanted
from teleport.client.doctor.trip import Trip
from teleport.client.profile import MAX_FILE
from teleport.model.address import parse_addr
from teleport.net.network import SystemNetwork
from teleport.net.way import WEB_PORT
from teleport.pki import contexts, x509


@click.command("doctor net")
@click.option("--proxy", default="", metavar="HOST:PORT", help="The proxy [that of your sign-in].")
@doctor_options
@format_option
def net(proxy: str, only: str, insecure: bool, output_format: str) -> None:
    """Look at the network between here and the proxy, part by part.

    The exit status is 1 if something is wrong. Nothing is changed, and nothing needs a sign-in.

    \b
    tsh doctor net --proxy=proxy.example.com
    tsh doctor net --only balancer,auth --format json
    """
    wanted = Wanted(proxy)
    chosen = _signed_in(wanted)
    if chosen is None and not proxy:
        credentials(wanted)  # says how to name a proxy
    address = chosen.profile.web_proxy_addr if chosen is not None else proxy
    trip = Trip(
        parse_addr(address, WEB_PORT), os.environ, SystemNetwork(), SystemClock(), SystemEntropy(), insecure=insecure
    )
    if chosen is not None:
        _identify(trip, chosen)
    examine_and_exit(trip, only, output_format)


def _signed_in(wanted: Wanted) -> Credentials | None:
    """Return the sign-in, if there is one for the proxy that is meant."""
    try:
        return credentials(wanted)
    except TeleportError:
        return None


def _identify(trip: Trip, chosen: Credentials) -> None:
    """Let the Auth Service prove itself to the authorities of the sign-in."""
    files, disk = chosen.home.files(chosen.profile), chosen.home.disk
    trip.cluster = chosen.profile.cluster
    trip.signed_in = contexts.client_context(
        host_authorities=x509.split_pem(disk.read(files.cluster_authorities, limit=MAX_FILE).decode()),
        certificate=disk.read(files.tls_certificate, limit=MAX_FILE).decode(),
        key=disk.read(files.tls_key, limit=MAX_FILE, private=True).decode(),
    )
