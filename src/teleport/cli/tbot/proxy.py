"""tbot proxy: `tsh proxy` as the identity in the destination of an output. Configurations of earlier times name it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

import click

from teleport.base.disk import SystemDisk
from teleport.client import output_folder


@click.command("proxy", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--destination-dir", required=True, help="Destination of an output of tbot of the type identity.")
@click.option("--proxy-server", required=True, metavar="HOST:PORT", help="Address of the proxy.")
@click.option("--cluster", default="", help="Name of the cluster.")
@click.argument("words", nargs=-1, required=True)
def proxy(destination_dir: str, proxy_server: str, cluster: str, words: tuple[str, ...]) -> None:
    """Run `tsh proxy` as a bot.

    \b
    tbot proxy --destination-dir=/opt/machine-id --proxy-server=example.com:443 ssh alice@node-1.example.com
    """
    run_tsh("proxy", words, destination_dir, proxy_server, cluster, kind="identity")


def run_tsh(word: str, words: Sequence[str], folder: str, proxy_server: str, cluster: str, *, kind: str) -> None:
    """Run `tsh WORD` with these words as whom the identity file in a folder names; end with status 1 if it fails.

    `kind`: of which type the folder's output should be. Raises what `output_folder.read` raises."""
    path = output_folder.read(SystemDisk(), folder, proxy_server, cluster, kind=kind).path
    acting = {"TELEPORT_IDENTITY_FILE": path, "TELEPORT_PROXY": proxy_server}
    if cluster:
        acting["TELEPORT_CLUSTER"] = cluster
    problem = _run([word, *words], {**os.environ, **acting})
    if problem:  # tsh itself has said why
        click.echo(f"ERROR: unable to execute tsh\nexecuting `tsh {word}`\n{problem}", err=True)
        click.get_current_context().exit(1)


def _run(words: list[str], environment: dict[str, str]) -> str:
    """Run `tsh`; return how it failed, empty if it did not."""
    beside = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "tsh")
    program = beside if os.access(beside, os.X_OK) else shutil.which("tsh")
    if not program:
        return "tsh is not installed"
    sys.stderr.flush()
    ended = subprocess.run([program, *words], env=environment, check=False).returncode
    return "" if ended == 0 else f"exit status {ended}" if ended > 0 else f"signal {-ended}"
