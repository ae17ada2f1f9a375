"""teleport start: run the services of this machine."""

from __future__ import annotations

import os
import signal

import click

from teleport.base import log
from teleport.base.disk import SystemDisk
from teleport.process.settings import DEFAULT_CONFIG, Settings, find_config


@click.command("start")
@click.option("-c", "--config", "config", default=None, metavar="FILE", help=f"Configuration [{DEFAULT_CONFIG}].")
@click.option("-d", "--debug", "debug", is_flag=True, help="Log at level DEBUG.")
@click.option("--pid-file", default=None, help="Write the process id to this file.")
def start(config: str | None, debug: bool, pid_file: str | None) -> None:
    """Start the Auth, Proxy and SSH Service as the configuration says.

    \b
    teleport start
    teleport start -c ./teleport.yaml -d
    """
    # Whoever asks for a dump while we still start must not end us; the process itself takes over in a moment.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    def read() -> Settings:
        return find_config(config, os.environ, SystemDisk())

    settings, debug = read(), debug or log.get_level() == "DEBUG"
    settings.log.apply(debug=debug)
    from teleport.process.run import run  # the servers' libraries, which no other command needs

    run(settings, read, pid_file=pid_file or settings.pid_file, debug=debug)
