"""tsh puttyconfig: a saved session of PuTTY for a node."""

from __future__ import annotations

import getpass
import os

import click

from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.errors import BadParameter, NotFound
from teleport.base.escape import escape
from teleport.cli.tsh.config import own_path
from teleport.cli.tsh.quick import credentials, parse_target
from teleport.cli.tsh.who import who_options
from teleport.client.credentials import Wanted
from teleport.client.profile import MAX_FILE
from teleport.model.kinds.node import SSH_PORT


@click.command("puttyconfig")
@click.option("--port", type=click.IntRange(1, 65535), default=SSH_PORT, show_default=True, help="Port of the node.")
@click.option("--leaf", default="", metavar="CLUSTER", help="Cluster of the node.")
@click.option(
    "--hostca-validity", default="", help="For which hosts the cluster may vouch, as PuTTY has it [*.CLUSTER]."
)
@who_options
@click.argument("target", metavar="[LOGIN@]HOST")
def puttyconfig(port: int, leaf: str, hostca_validity: str, who: Wanted, target: str) -> None:
    """Write a saved session of PuTTY (0.78 or later) that leads to a node through the proxy.

    \b
    tsh puttyconfig alice@node-1
    plink -load alice@node-1.example.com uptime
    Files go to PUTTYDIR or ~/.putty. The key and its certificate are those of the sign-in; PuTTY finds new ones after
    the next one by itself.
    """
    from teleport.client import putty

    login, host = parse_target(target)
    if ":" in host:
        raise BadParameter("CLIENT-TARGET", target=target[:100])
    chosen = credentials(who)
    chosen.check_valid(SystemClock())
    if chosen.identity:
        raise BadParameter("CLIENT-PUTTY", field="--identity")
    profile, disk = chosen.profile, SystemDisk()
    if leaf not in ("", profile.cluster):
        raise NotFound("PROXY-CLUSTER", cluster=leaf, known=profile.cluster)
    files = chosen.home.files(profile)
    if not disk.exists(files.putty_key):
        raise BadParameter("CLIENT-PUTTY", field="sign-in, whose key is in the SSH agent alone")
    name = host if host.endswith(f".{profile.cluster}") else f"{host}.{profile.cluster}"
    options = (f"--cluster={profile.cluster}", f"--proxy={profile.web_proxy_addr}")
    session = putty.Session(
        login or getpass.getuser(), name, port, files.putty_key,
        (own_path(), "proxy", "ssh", *options, "%user@%host:%port"),
    )  # fmt: skip
    authorities = [
        " ".join(line.split()[2:4])
        for line in chosen.home.disk.read(files.own_known_hosts, limit=MAX_FILE).decode().splitlines()
    ]
    root = putty.folder(os.environ, disk)
    validity = hostca_validity or f"*.{profile.cluster}"
    path = putty.save(disk, root, session, profile.cluster, authorities, validity)
    click.echo(f"PuTTY session {escape(session.name)!r} has been written to {escape(path)}")
    click.echo(f"Start it with: plink -load {escape(session.name)}", err=True)
