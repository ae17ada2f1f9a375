"""tbot start: keep certificates fresh until a signal ends it, or make them once."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import Any

import click

from teleport.base import log, yaml
from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import TeleportError
from teleport.base.process_name import set_name
from teleport.base.struct import Switch, convert
from teleport.model.config.tbot_destinations import DestinationSection, DirectoryDestination
from teleport.model.config.tbot_services import IdentityOutput
from teleport.model.config.tbot_yaml import Onboarding, TbotYaml


@click.command("start")
@click.option("-c", "--config", default="")
@click.option("--token", default="")
@click.option("--auth-server", default="")
@click.option("--proxy-server", default="")
@click.option("--ca-pin", "ca_pins", multiple=True)
@click.option("--join-method", default="")
@click.option("--data-dir", default="")
@click.option("--destination-dir", default="")
@click.option("--oneshot", is_flag=True)
@click.option(
    "--renewal", type=click.Choice(["safe", "legacy"]), default="safe", help="How the own identity is renewed."
)
def start(config: str, renewal: str, **said: Any) -> int:
    """Keep a machine's certificates fresh.

    \b
    tbot start -c /etc/tbot.yaml
    tbot start --proxy-server=teleport.example.com:443 --token=/etc/tbot/token --destination-dir=/opt/machine-id
    """
    if config:
        read = convert(yaml.documents(SystemDisk().read(os.path.abspath(config)).decode(), config)[0].data, TbotYaml)
    else:
        output = IdentityOutput(destination=DirectoryDestination(path=said["destination_dir"]))
        read = TbotYaml(
            auth_server=said["auth_server"],
            proxy_server=said["proxy_server"],
            oneshot=Switch(said["oneshot"]),
            onboarding=Onboarding(token=said["token"], ca_pins=said["ca_pins"], join_method=said["join_method"]),
            storage=DirectoryDestination(path=said["data_dir"]),
            services=(output,),
        )
    return serve(read, renewal=renewal, log_format="text")


def serve(config: TbotYaml, *, renewal: str, log_format: str) -> int:
    """Run a bot; return the exit status."""
    debug = bool(config.debug) or log.get_level() == "DEBUG"
    log.setup(level="DEBUG" if debug else "INFO", output_format="json" if log_format == "json" else "text")
    from teleport.bot import destinations, report
    from teleport.bot.parts import Destination
    from teleport.bot.run import BotProcess, World, until_signalled
    from teleport.net.network import SystemNetwork

    set_name("tbot")
    disk = SystemDisk()
    environment = dict(os.environ)

    def destination(section: DestinationSection) -> Destination:
        return destinations.make(section, environment=environment)

    world = World(
        clock=SystemClock(), entropy=SystemEntropy(), disk=disk, network=SystemNetwork(),
        environment=environment, destination=destination,
        host_name=socket.gethostname(), tbot=os.path.abspath(sys.argv[0]), legacy=renewal == "legacy",
    )  # fmt: skip

    async def main() -> None:
        await until_signalled(BotProcess(config, world))

    try:
        asyncio.run(main())
    except TeleportError as error:
        print("\n".join(report.lines(error, debug=debug)), file=sys.stderr)
        return 1
    return 0
