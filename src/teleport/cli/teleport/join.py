"""teleport join openssh: makes a server without an agent of this machine, and ends."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess

import click

from teleport.base.disk import SystemDisk
from teleport.base.errors import BadParameter, Unavailable
from teleport.base.text import parse_labels
from teleport.cli.common import format_option, show
from teleport.client.profile import between
from teleport.model.address import parse_addr

SSH_PORT = 22
RESTARTS = ("systemctl reload-or-restart ssh", "systemctl reload-or-restart sshd", "service ssh restart")
"""Tried in this order where --restart-command says nothing."""
_TIMEOUT = 120


@click.command("join openssh")
@click.option("--proxy-server", required=True, metavar="HOST:PORT", help="The proxy of the cluster.")
@click.option("--token", required=True, help="Token of the type `node`, or the path of a file that holds it.")
@click.option("--join-method", default="token", show_default=True, help="How the server proves that it may.")
@click.option("--address", default="", metavar="HOST:PORT", help="Where sshd is reached [this host's name, port 22].")
@click.option("--labels", default="", help="Labels of the server, k=v,k2=v2.")
@click.option("--additional-principals", default="", help="Further names of the server, separated by commas.")
@click.option("--openssh-config", default="/etc/ssh/sshd_config", show_default=True, help="Configuration of sshd.")
@click.option("--data-dir", default="/var/lib/teleport", show_default=True, help="Where certificate and keys go.")
@click.option("--sshd-check-command", default="sshd -t -f", show_default=True, help="Checks a configuration.")
@click.option("--restart-sshd/--no-restart-sshd", default=True, show_default=True, help="Restart sshd at the end.")
@click.option("--restart-command", default="", help="How sshd is restarted [systemctl or service].")
@click.option("--insecure", is_flag=True, help="Do not check the certificate of the proxy's web port.")
@format_option
def openssh(
    proxy_server: str, token: str, join_method: str, address: str, labels: str, additional_principals: str,
    openssh_config: str, data_dir: str, sshd_check_command: str, restart_sshd: bool, restart_command: str,
    insecure: bool, output_format: str,
) -> None:  # fmt: skip
    """Register this machine's sshd with a cluster. Run it again to renew its certificate, which ends after a year.

    sshd gets a certificate for its host key and lets in users of the cluster through the proxy; its configuration is
    checked by sshd before it is replaced, and a copy of the former one is kept.

    \b
    teleport join openssh --proxy-server=proxy.example.com:443 --token=/root/token --labels=env=prod
    teleport join openssh --proxy-server=proxy.example.com --token=/root/token --address=10.0.0.7:22
    """
    if join_method != "token":
        raise BadParameter("CLI-JOIN-METHOD", method=join_method[:40])
    from teleport.client.openssh_server import Server, Wish
    from teleport.client.web_api import find_proxy

    hostname = socket.gethostname()
    wish = Wish(
        token=_token(token), hostname=hostname, address=str(parse_addr(address or hostname, SSH_PORT)),
        labels=parse_labels(labels),
        principals=tuple(name.strip() for name in additional_principals.split(",") if name.strip()),
    )  # fmt: skip
    server = Server(
        SystemDisk(), config=os.path.abspath(openssh_config), data_dir=os.path.abspath(data_dir),
        check=_program(sshd_check_command),
    )  # fmt: skip
    server.host_key()  # before a token is used up on a machine that cannot join
    proxy, _ = find_proxy(proxy_server, insecure=insecure, between=between(os.environ))
    joined = server.join(proxy, wish)
    if restart_sshd:
        _restart(restart_command)
    if output_format == "text":
        click.echo(f"{hostname} has joined {joined.cluster} as node {joined.host_uuid}.")
        if not restart_sshd:
            click.echo("Restart sshd, so that it reads its configuration again.", err=True)
    else:
        show({"host_uuid": joined.host_uuid, "hostname": hostname, "cluster": joined.cluster}, output_format)


def _token(given: str) -> str:
    """Return the token, from a file where a path is given: arguments are shown to everybody on the machine."""
    if not given.startswith(("/", "./")):
        return given
    return SystemDisk().read(os.path.abspath(given), limit=4096).decode(errors="replace").strip()


def _program(command: str) -> list[str]:
    """Return a command whose program has its full path, as sshd wants it."""
    words = shlex.split(command)
    if not words:
        raise BadParameter("CLI-JOIN-SSHD", problem="no command", command=command, config="sshd_config")
    found = shutil.which(words[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return [found or words[0], *words[1:]]


def _restart(command: str) -> None:
    """Restart sshd. Raises Unavailable (CLI-JOIN-RESTART)."""
    tried = [command] if command else [each for each in RESTARTS if shutil.which(each.split()[0])]
    problem = "no command is known"
    for each in tried:
        try:
            done = subprocess.run(
                shlex.split(each), capture_output=True, text=True, timeout=_TIMEOUT, stdin=subprocess.DEVNULL
            )
            if done.returncode == 0:
                return
            problem = done.stderr.strip()[-300:] or f"status {done.returncode}"
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            problem = str(error)
    raise Unavailable("CLI-JOIN-RESTART", problem=problem, command=command or " / ".join(tried))
