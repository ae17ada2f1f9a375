"""teleport backup, teleport restore: the data directory into one file, and back."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.entropy import SystemEntropy
from teleport.cli.teleport.debug import config_option
from teleport.process.settings import find_config


@click.command("backup")
@click.option("-o", "--output", required=True, metavar="FILE", help="The new file; it may not exist.")
@config_option
def backup(output: str, config: str | None) -> None:
    """Save the data directory to one file, whether or not the process runs.

    The file holds the private keys of the authorities: whoever has it can be anybody in the cluster. It is
    readable by its owner alone; keep it as you would keep those keys.

    \b
    teleport backup -o /var/backups/teleport-$(date +%F).tar
    """
    settings = find_config(config, os.environ, SystemDisk())
    from teleport.process import backup as saving

    done = saving.make(settings.data_dir, Path(output), clock=SystemClock(), entropy=SystemEntropy())
    click.echo(
        f"Saved {settings.data_dir} to {output}: {done.files} files, {done.keys} keys of authorities, "
        f"{done.records} audit records, {done.size} bytes."
    )
    click.echo("It holds private keys: keep it where only administrators can read it.", err=True)


@click.command("restore")
@click.argument("file")
@click.option("--force", is_flag=True, help="Replace a data directory that is not empty; it is kept beside it.")
@config_option
def restore(file: str, force: bool, config: str | None) -> None:
    """Bring a backup back into the data directory of the configuration. The process must not run.

    Everything is checked before anything is replaced.

    \b
    teleport restore /var/backups/teleport.tar
    teleport restore --force /var/backups/teleport.tar
    """
    settings = find_config(config, os.environ, SystemDisk())
    from teleport.process import restore as restoring

    work = restoring.restore(
        Path(file).absolute(), settings.data_dir, force=force, clock=SystemClock(), entropy=SystemEntropy()
    )
    done = asyncio.run(work)
    click.echo(
        f"Restored {settings.data_dir} from the backup of {done.created:%Y-%m-%d %H:%M:%S} UTC "
        f"(version {done.version}): {done.files} files, {done.records} audit records, every chain is whole."
    )
    if done.former is not None:
        click.echo(f"The former content is in {done.former}; remove it when you no longer need it.")
