"""tbot init: the folder of a destination, prepared by root once for a bot that is not root."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

import click

from teleport.base.errors import BadParameter
from teleport.bot import services
from teleport.bot.destinations import accounts, first
from teleport.bot.destinations.memory import Memory
from teleport.bot.destinations.names import WRITE_TEST
from teleport.bot.services import Means
from teleport.cli.tbot.options import CONFIG, read
from teleport.cli.tbot.world import world
from teleport.model.config.tbot_destinations import DirectoryDestination
from teleport.model.config.tbot_services import IdentityOutput, ServiceEntry


@click.command("init")
@CONFIG
@click.option("--destination-dir", default="", metavar="FOLDER", help="Folder of one identity output.")
@click.option("--init-dir", default="", metavar="FOLDER", help="Which folder of the configuration.")
@click.option("--bot-user", default="", metavar="USER", help="As whom tbot runs; it may write.")
@click.option("--reader-user", default="", metavar="USER", help="Who uses the certificates; they may read.")
@click.option("--owner", default="", metavar="USER[:GROUP]", help="Who owns folder and files [who runs this].")
@click.option("--clean", is_flag=True, help="Remove what the output does not write.")
def init(config: str, destination_dir: str, init_dir: str, clean: bool, **said: str) -> None:
    """Prepare a destination for a bot that runs as a user of its own.

    \b
    sudo tbot init --destination-dir=/opt/machine-id --bot-user=teleport --reader-user=jenkins
    sudo tbot init -c /etc/tbot.yaml --init-dir=/opt/machine-id --bot-user=teleport --reader-user=jenkins
    """
    if destination_dir and not config:
        entries: Sequence[ServiceEntry] = [IdentityOutput(destination=DirectoryDestination(path=destination_dir))]
    else:
        entries = read(config).config.services if config else ()
    section, entry = _chosen(entries, init_dir or destination_dir)
    path = os.path.abspath(section.path)
    lists = first.prepare(
        path, asyncio.run(_names(entry)), parties(said["owner"], said["bot_user"], said["reader_user"]),
        acls=section.acls or "try", links=section.symlinks == "insecure", clean=clean,
    )  # fmt: skip
    how = "by access lists" if lists else "by owner and group"
    click.echo(f"{path} is prepared; who may read and write there is said {how}.", err=True)


def parties(owner: str, bot: str, reader: str) -> first.Parties:
    """Return who was named. Raises NotFound (DEST-ACCOUNT)."""
    who, _, group = owner.partition(":")
    number = accounts.user(who) if who else os.geteuid()
    return first.Parties(
        owner=number,
        group=accounts.group(group) if group else accounts.first_group(number),
        bot=accounts.user(bot) if bot else None,
        reader=accounts.user(reader) if reader else None,
    )


def _chosen(entries: Sequence[ServiceEntry], path: str) -> tuple[DirectoryDestination, ServiceEntry]:
    """Return the one folder, or the one at `path`. Raises BadParameter (INIT-NO-FOLDER, INIT-WHICH)."""
    found: Mapping[str, tuple[DirectoryDestination, ServiceEntry]] = {
        os.path.abspath(section.path): (section, entry)
        for entry in entries
        if isinstance(section := getattr(entry, "destination", None), DirectoryDestination)
    }
    if path:
        found = {each: pair for each, pair in found.items() if each == os.path.abspath(path)}
    if not found:
        raise BadParameter("INIT-NO-FOLDER", which=f" at {path}" if path else "")
    if len(found) > 1:
        raise BadParameter("INIT-WHICH", paths=", ".join(found))
    return next(iter(found.values()))


async def _names(entry: ServiceEntry) -> frozenset[str]:
    """Return the files that a service may write, as it says it to its destination itself."""
    told = _Told()
    here = world()
    means = Means(
        clock=here.clock, entropy=here.entropy, environment=here.environment, disk=here.disk,
        destination=lambda _: told,
        tbot=here.tbot, ttl=3600.0, interval=1200.0,
    )  # fmt: skip
    for service in services.make([entry], means):
        await service.prepare()
    return frozenset({*told.names, WRITE_TEST})


class _Told(Memory):
    """A destination that only remembers what it is told."""

    names: Sequence[str] = ()

    async def prepare(self, names: Sequence[str]) -> None:
        """Remember the names."""
        self.names = tuple(names)
