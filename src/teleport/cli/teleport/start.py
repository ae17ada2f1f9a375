"""teleport start: run the services of this machine."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import click

from teleport.base import log
from teleport.base.disk import SystemDisk
from teleport.base.errors import BadParameter
from teleport.process.settings import DEFAULT_CONFIG, SERVICES, Flags, Settings, find_config


@click.command("start")
@click.option("-c", "--config", "config", default=None, metavar="FILE", help=f"Configuration [{DEFAULT_CONFIG}].")
@click.option("-d", "--debug", "debug", is_flag=True, help="Log at level DEBUG.")
@click.option("--pid-file", default=None, help="Write the process id to this file.")
@click.option("-r", "--roles", default="", help="Services to run, and no others: auth, proxy, node.")
@click.option("--auth-server", "auth_servers", multiple=True, metavar="HOST:PORT", help="Auth Service of the cluster.")
@click.option("--token", default="", help="Token to join the cluster with, or the path of its file.")
@click.option("--ca-pin", "ca_pins", multiple=True, metavar="PIN", help="Hash of the Auth Service's authority.")
@click.option("--nodename", default="", help="Name of this server.")
@click.option("--skip-version-check", is_flag=True, help="Start whatever version the cluster has.")
def start(config: str | None, debug: bool, pid_file: str | None, roles: str, **flags: Any) -> None:
    """Start the Auth, Proxy and SSH Service as the configuration says; flags win over it.

    \b
    teleport start
    teleport start -c ./teleport.yaml -d
    teleport start --roles=node --auth-server=auth.example.com:3025 --token=/tmp/token --ca-pin=sha256:...
    """
    # Whoever asks for a dump while we still start must not end us; the process itself takes over in a moment.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    said = Flags(roles=_roles(roles), **flags)

    def read() -> Settings:
        return find_config(config, os.environ, SystemDisk(), said)

    settings, debug = read(), debug or log.get_level() == "DEBUG"
    settings.log.apply(debug=debug)
    # the servers' libraries, which no other command needs
    from teleport.process.handover import VARIABLE, Command, Inherited
    from teleport.process.run import run

    inherited = Inherited.of(os.environ.pop(VARIABLE, ""))
    command = Command(_again(), dict(os.environ))
    pid_file = pid_file or settings.pid_file
    run(settings, read, pid_file=pid_file, debug=debug, command=command, inherited=inherited)


def _again() -> list[str]:
    """Return what starts this program again: by its path, behind which another version of it may stand by then."""
    program = sys.argv[0]
    return [program, *sys.argv[1:]] if os.access(program, os.X_OK) and "/" in program else sys.orig_argv


def _roles(text: str) -> tuple[str, ...]:
    roles = tuple(word.strip().lower() for word in text.split(",") if word.strip())
    for role in roles:
        if role not in SERVICES:
            raise BadParameter("CLI-CONFIG-ROLE", role=role[:40], known=", ".join(SERVICES))
    return roles
