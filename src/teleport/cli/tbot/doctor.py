"""tbot doctor: what is wrong with a bot of this machine, why, and what to do; with --fix it does what is safe."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

import click

from teleport.base import log
from teleport.base.disk import SystemDisk
from teleport.base.errors import TeleportError
from teleport.bot import doctor as bot_doctor
from teleport.bot.doctor import assembly, config
from teleport.bot.doctor.case import Case
from teleport.cli.common import format_option, show
from teleport.cli.tbot.world import world
from teleport.client.doctor import report
from teleport.client.doctor.report import Finding
from teleport.client.doctor.run import examine

DEFAULT = "/etc/tbot.yaml"


@click.command("doctor")
@click.option("-c", "--config", "path", envvar="TBOT_CONFIG_PATH", default=DEFAULT, show_default=True, metavar="FILE",
              help="Configuration of the bot.")  # fmt: skip
@click.option("--login", default="", metavar="LOGIN", help="See whether `ssh LOGIN@host` can work.")
@click.option("--only", default="", metavar="CHECKS", help="Only these checks and what they need, with commas.")
@click.option("--fix", is_flag=True, help="Do the repairs that lose nothing, and look again.")
@format_option
def doctor(path: str, login: str, only: str, fix: bool, output_format: str) -> None:
    """Look at a bot: configuration, storage, identity, network, what the cluster says of it, outputs.

    The exit status is 1 if something is wrong. Nothing is renewed, and without --fix nothing is changed. Run it as the
    user whose bot it is.

    \b
    tbot doctor -c /etc/tbot.yaml
    tbot doctor -c /etc/tbot.yaml --login=alice --fix
    """
    log.set_level("ERROR")
    wanted = tuple(name.strip() for name in only.split(",") if name.strip())
    findings, mended = asyncio.run(_examined(path, login, wanted, fix=fix))
    title = f"bot of {path}"
    if output_format == "text":
        lines = [f"mended: {what}" for what in mended]
        click.echo("\n".join([*lines, *report.lines(title, findings)]))
    else:
        show({**report.document(title, findings), "mended": list(mended)}, output_format)
    sys.exit(1 if report.failed(findings) else 0)


async def _examined(
    path: str, login: str, only: Sequence[str], *, fix: bool
) -> tuple[list[Finding], list[str]]:  # fmt: skip
    """Return what is found, and with `fix` what was mended before that was found."""
    try:
        text = SystemDisk().read(os.path.abspath(path)).decode(errors="replace")
        case = _case(path, text, login)
    except TeleportError as error:
        return [config.unread(error)], []
    findings = await examine(case, bot_doctor.checks(case), only)
    if not (fix and case.repairs):
        return findings, []
    for repair in case.repairs.values():
        repair.do()
    mended = [repair.what for repair in case.repairs.values()]
    case = _case(path, text, login)
    return await examine(case, bot_doctor.checks(case), only), mended


def _case(path: str, text: str, login: str) -> Case:
    loaded, fault = config.read(text, path)
    case = assembly.case(path, loaded, world(), login=login)
    case.fault = fault
    return case
