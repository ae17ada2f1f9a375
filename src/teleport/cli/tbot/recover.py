"""tbot recover: what leads a bot back that the cluster does not serve any more, step by step."""

from __future__ import annotations

import asyncio
import sys

import click

from teleport.base import log
from teleport.bot import doctor as bot_doctor
from teleport.bot.doctor import assembly
from teleport.bot.recovery import recover as join_anew
from teleport.cli.common import format_option, show
from teleport.cli.tbot.doctor import DEFAULT
from teleport.cli.tbot.options import read
from teleport.cli.tbot.world import world
from teleport.client.doctor import report
from teleport.client.doctor.report import Finding
from teleport.client.doctor.run import examine
from teleport.model.config.tbot_yaml import Loaded

CHECKS = ("storage", "sharing", "identity", "standing")
"""What has to be well for a bot to be served; the last one says whether it is."""


@click.command("recover")
@click.option("-c", "--config", "path", envvar="TBOT_CONFIG_PATH", default=DEFAULT, show_default=True, metavar="FILE",
              help="Configuration of the bot.")  # fmt: skip
@click.option("--token", default="", metavar="TOKEN", help="A new token, or the path of a file with it.")
@click.option("--force", is_flag=True, help="Join anew although nothing is wrong.")
@format_option
def recover(path: str, token: str, force: bool, output_format: str) -> None:
    """Lead a bot back that is locked, whose certificates have ended, or whose storage is damaged.

    Without a token it says what is wrong and what an administrator has to do. With one it joins as a new instance; the
    configuration keeps its former token, and `tbot start` goes on with the new identity. End tbot before.

    \b
    tbot recover -c /etc/tbot.yaml
    tctl bots recover example                        # the administrator's part: it prints a token
    tbot recover -c /etc/tbot.yaml --token=/root/token
    """
    log.set_level("ERROR")
    loaded = read(path)
    findings = asyncio.run(_examined(path, loaded))
    if not force and findings[-1].state in ("ok", "warn"):
        _tell({"recovered": False, "findings": []}, "nothing is wrong: the cluster serves this bot", output_format)
        return
    if not token:
        _advise(path, findings, output_format)
        sys.exit(1)
    held = asyncio.run(join_anew(loaded.config, world(), token))
    instance = held.identity.bot_instance_id
    said = f"bot {held.identity.bot_name} has joined as instance {instance}; start it: tbot start -c {path}"
    _tell({"recovered": True, "bot": held.identity.bot_name, "instance": instance}, said, output_format)


async def _examined(path: str, loaded: Loaded) -> list[Finding]:
    case = assembly.case(path, loaded, world())
    return await examine(case, bot_doctor.checks(case), CHECKS)


def _advise(path: str, findings: list[Finding], output_format: str) -> None:
    """Say what is wrong, and what comes next."""
    wrong = [finding for finding in findings if finding.state in ("fail", "skip")]
    lines = [*report.lines(f"bot of {path}", wrong), f"then: tbot recover -c {path} --token=TOKEN"]
    _tell({"recovered": False, **report.document(path, wrong)}, "\n".join(lines), output_format)


def _tell(document: dict[str, object], text: str, output_format: str) -> None:
    if output_format == "text":
        click.echo(text)
    else:
        show(document, output_format)
