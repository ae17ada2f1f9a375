"""tsh config: settings for stock OpenSSH."""

from __future__ import annotations

import os
import shutil
import sys

import click

from teleport.base.disk import Disk, SystemDisk
from teleport.cli.tsh.quick import credentials
from teleport.cli.tsh.who import who_options
from teleport.client.credentials import Credentials, Wanted
from teleport.client.ssh_config import SshFiles, render


@click.command("config")
@who_options
def config(who: Wanted) -> None:
    """Print an OpenSSH client configuration for the nodes of the cluster.

    \b
    tsh config > ~/.ssh/teleport.conf
    ssh -F ~/.ssh/teleport.conf alice@node-1.example.com
    With -i the public parts that ssh wants as files are written beside the identity file: FILE-cert.pub and
    FILE.known_hosts.
    """
    chosen = credentials(who)
    click.echo(render(chosen.profile, ssh_files(chosen), own_path()), nl=False)


def ssh_files(chosen: Credentials) -> SshFiles:
    """Return the files that `ssh` reads; those of an identity file are written beside it."""
    if chosen.identity:
        return _beside(chosen, SystemDisk())
    files = SshFiles.of(chosen.home.files(chosen.profile))
    # A key that is in the agent alone is known there by its certificate.
    return files if chosen.home.disk.exists(files.key) else files._replace(key=files.certificate)


def _beside(chosen: Credentials, disk: Disk) -> SshFiles:
    """Write what `ssh` cannot find in an identity file; the private key is read where it is."""
    path = os.path.abspath(chosen.identity)
    inside, home = chosen.home.files(chosen.profile), chosen.home.disk
    files = SshFiles(path, f"{path}-cert.pub", f"{path}.known_hosts", identity=path)
    disk.write(files.certificate, home.read(inside.ssh_certificate))
    disk.write(files.known_hosts, home.read(inside.own_known_hosts))
    return files


def own_path() -> str:
    """Return the path of this command, whatever the shell that `ssh` starts has in its PATH."""
    started = sys.argv[0] if os.path.basename(sys.argv[0]) == "tsh" else "tsh"
    found = shutil.which(started)
    return os.path.abspath(found) if found else "tsh"
