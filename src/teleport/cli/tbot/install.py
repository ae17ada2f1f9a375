"""tbot install systemd: the unit with which systemd runs a bot.

The unit has the name that it is given. It takes from the bot what no bot needs: other privileges, kernel settings, the
folders of the system's programs. What it leaves are devices (a TPM proves who the machine is) and every folder to which
outputs may go.
"""

from __future__ import annotations

import os
import re

import click

from teleport.base.disk import SystemDisk
from teleport.base.errors import AlreadyExists, BadParameter
from teleport.cli.unit import check_path, own_path

DEFAULT_CONFIG = "/etc/tbot.yaml"
FOLDER = "/etc/systemd/system"
_NAME = re.compile(r"[A-Za-z0-9:_.-]{1,200}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}|[0-9]{1,10}")
_RUNTIME = re.compile(r"/run/([A-Za-z0-9_.-]+)/[^/]+")

UNIT = """\
[Unit]
Description=Machine identity of Teleport ({name})
Wants=network-online.target
After=network-online.target

[Service]
Type=simple
User={user}
Group={group}
ExecStart={program} start -c {config}{pid_option}
# New certificates at once, for the bot and for every output.
ExecReload=/bin/kill -USR1 $MAINPID
Restart=always
RestartSec=5
{more}UMask=0077
LimitNOFILE=524288
NoNewPrivileges=yes
CapabilityBoundingSet={capabilities}
ProtectSystem=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"""


@click.command("install systemd")
@click.option("--write", is_flag=True, help="Write the unit into the folder of systemd [print it].")
@click.option("--force", is_flag=True, help="Replace a unit that says something else.")
@click.option("--name", default="tbot", show_default=True, help="Name of the unit, without .service.")
@click.option("--user", default="teleport", show_default=True, help="User as which the bot runs.")
@click.option("--group", default="teleport", show_default=True, help="Group as which the bot runs.")
@click.option("--systemd-directory", "folder", default=FOLDER, show_default=True, metavar="FOLDER",
              help="Where units are.")  # fmt: skip
@click.option("--pid-file", default="", metavar="FILE", help="Where the process writes its id, best /run/NAME/pid.")
@click.option("-c", "--config", default=DEFAULT_CONFIG, show_default=True, metavar="FILE", help="Configuration.")
@click.option("--tbot-path", default="", metavar="FILE", help="The program [this one].")
def systemd(write: bool, force: bool, name: str, folder: str, **said: str) -> None:
    """Print a unit file for systemd, or write it.

    \b
    tbot install systemd
    tbot install systemd --name=machine-id --user=ansible --group=ansible --write
    systemctl restart machine-id
    """
    text = unit(name, **{**said, "tbot_path": said["tbot_path"] or own_path()})
    if not write:
        click.echo(text, nl=False)
        return
    path = os.path.join(os.path.abspath(folder), f"{name}.service")
    disk = SystemDisk()
    there = disk.read(path) if disk.exists(path) else text.encode()
    if there != text.encode() and not force:
        raise AlreadyExists("TBOT-UNIT-EXISTS", path=path)
    disk.write(path, text.encode(), mode=0o644)
    click.echo(f"Wrote {path}. Next: systemctl daemon-reload && systemctl enable --now {name}", err=True)


def unit(name: str, *, user: str, group: str, pid_file: str, config: str, tbot_path: str) -> str:
    """Return the unit. Raises BadParameter (CLI-UNIT-PATH, TBOT-UNIT-NAME) for what it would read as something else."""
    for option, path in (("--pid-file", pid_file), ("--config", config), ("--tbot-path", tbot_path)):
        if path or option != "--pid-file":
            check_path(option, path)
    for option, word, allowed in (("--name", name, _NAME), ("--user", user, _USER), ("--group", group, _USER)):
        if not allowed.fullmatch(word):
            raise BadParameter("TBOT-UNIT-NAME", option=option, word=ascii(word[:60])[1:-1])
    runtime = _RUNTIME.fullmatch(pid_file)
    return UNIT.format(
        name=name, user=user, group=group, program=tbot_path, config=config,
        pid_option=f" --pid-file={pid_file}" if pid_file else "",
        more=f"RuntimeDirectory={runtime[1]}\n" if runtime else "",
        # root without its capabilities could not read files of others, for which one would run a bot as root
        capabilities="CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER" if user in ("root", "0") else "",
    )  # fmt: skip
