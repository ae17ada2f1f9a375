"""teleport install systemd: the unit with which systemd runs this machine's services.

Variables of the environment - those of HTTP CONNECT proxies, say - come from a file that the unit reads if it is there
(networking guide, `/etc/default/teleport`).
"""

from __future__ import annotations

import os

import click

from teleport.base.disk import SystemDisk
from teleport.cli.unit import check_path, own_path
from teleport.process.settings import DEFAULT_CONFIG

ENV_FILE = "/etc/default/teleport"
PID_FILE = "/run/teleport.pid"
DESCRIPTORS = 524288

UNIT = """\
[Unit]
Description=Teleport
Wants=network-online.target
After=network-online.target

[Service]
Type=simple
EnvironmentFile=-{env_file}
ExecStart={program} start --config {config} --pid-file={pid_file}
ExecReload=/bin/sh -c 'kill -HUP "$$(cat {pid_file})"'
PIDFile={pid_file}
Restart=on-failure
RestartSec=5
# The first process stops the others in their order; what is left is killed.
KillMode=mixed
LimitNOFILE={fd_limit}

[Install]
WantedBy=multi-user.target
"""


@click.command("install systemd")
@click.option("--env-file", default=ENV_FILE, show_default=True, metavar="FILE", help="Variables of the environment.")
@click.option(
    "--pid-file", default=PID_FILE, show_default=True, metavar="FILE", help="Where the process writes its id."
)
@click.option(
    "--fd-limit", type=click.IntRange(1024), default=DESCRIPTORS, show_default=True, help="Open files at most."
)
@click.option("--teleport-path", default="", metavar="FILE", help="The program [this one].")
@click.option("-c", "--config", "config", default=DEFAULT_CONFIG, show_default=True, metavar="FILE",
              help="Configuration.")  # fmt: skip
@click.option("-o", "--output", default="", metavar="FILE", help="Write the unit there [standard output].")
def systemd(env_file: str, pid_file: str, fd_limit: int, teleport_path: str, config: str, output: str) -> None:
    """Print a unit file for systemd.

    \b
    teleport install systemd -o /etc/systemd/system/teleport.service
    systemctl daemon-reload && systemctl enable --now teleport
    """
    paths = {
        "env_file": env_file, "pid_file": pid_file, "config": config, "teleport_path": teleport_path or own_path(),
    }  # fmt: skip
    for name, path in paths.items():
        check_path(f"--{name.replace('_', '-')}", path)
    text = UNIT.format(program=paths.pop("teleport_path"), fd_limit=fd_limit, **paths)
    if not output:
        click.echo(text, nl=False)
        return
    SystemDisk().write(os.path.abspath(output), text.encode(), mode=0o644, exclusive=False)
    click.echo(f"Wrote {output}. Next: systemctl daemon-reload && systemctl enable --now teleport", err=True)
