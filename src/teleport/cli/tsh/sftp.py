"""tsh sftp: OpenSSH's sftp with the way to the node."""

from __future__ import annotations

import getpass
import os
import shutil

import click

from teleport.base.clock import SystemClock
from teleport.base.errors import NotFound
from teleport.cli.tsh.config import own_path, ssh_files
from teleport.cli.tsh.quick import credentials
from teleport.cli.tsh.scp import named
from teleport.cli.tsh.who import who_options
from teleport.client import ssh_targets
from teleport.client.credentials import Wanted
from teleport.client.resumption import OFF
from teleport.client.ssh_config import options_for
from teleport.model import node_lookup
from teleport.model.kinds.node import SSH_PORT


@click.command("sftp")
@click.option("-b", "--batch", default="", metavar="FILE", help="Read commands from a file; `-` is standard input.")
@click.option("-P", "--port", type=click.IntRange(1, 65535), default=None, help="Port of the node's SSH Service.")
@click.option("-r", "--recursive", is_flag=True, help="Copy folders with all that is in them.")
@click.option("-p", "--preserve", is_flag=True, help="Keep times and permissions.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--no-resume", is_flag=True, help="Let it end with its connection.")
@who_options
@click.argument("target", metavar="[LOGIN@]HOST[:PORT] | [LOGIN@]LABELS")
def sftp(
    batch: str, port: int | None, recursive: bool, preserve: bool, quiet: bool, no_resume: bool, who: Wanted,
    target: str,
) -> None:  # fmt: skip
    """Work with the files of a node, one command at a time.

    \b
    tsh sftp alice@node-1
    tsh sftp -b commands.txt alice@node-1
    This is OpenSSH's sftp(1), which must be installed; `help` lists its commands.
    """
    meant = ssh_targets.parse(target)
    program = shutil.which("sftp")
    if program is None:
        raise NotFound("CLIENT-NO-SFTP")
    chosen = credentials(who)
    chosen.check_valid(SystemClock())
    wanted = node_lookup.parse(named(chosen, meant, ""))
    arguments = [program, "-F", "none", "-P", str(port or wanted.port or SSH_PORT)]
    for line in options_for(chosen.profile, ssh_files(chosen), own_path(), wanted.host):
        arguments += ["-o", line]
    flags = (("-r", recursive), ("-p", preserve), ("-q", quiet))
    arguments += [flag for flag, given in flags if given]
    arguments += ["-b", batch] if batch else []
    arguments += ["--", f"{meant.login or getpass.getuser()}@{node_lookup.join(wanted.host, 0)}"]
    environment = {**os.environ, OFF: "1"} if no_resume else os.environ  # for the `tsh proxy ssh` that it starts
    os.execve(program, arguments, environment)  # noqa: S606 - arguments, and no shell
