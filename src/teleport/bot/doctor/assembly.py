"""How a case is made of a configuration: with the parts that the bot itself is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from teleport.base.disk import MemoryDisk
from teleport.base.errors import BadParameter, NotFound
from teleport.bot.connection import Connection
from teleport.bot.doctor.case import Case
from teleport.bot.doctor.machine import Machine
from teleport.bot.onboarding import Door
from teleport.bot.parts import Destination, Held, Service
from teleport.bot.proxy_facts import ProxyPing, own_address
from teleport.bot.reach import Reach
from teleport.bot.run import World, means_of, proxy_address, way_to
from teleport.bot.services import make
from teleport.bot.web_find import WebFind
from teleport.client.doctor.trip import Trip
from teleport.model.address import parse_addr
from teleport.model.config.tbot_services import ServiceEntry
from teleport.model.config.tbot_yaml import Loaded, TbotYaml
from teleport.model.config.teleport_section import AUTH_PORT, PROXY_PORTS
from teleport.net.way import WEB_PORT


def case(source: str, loaded: Loaded, world: World, *, login: str = "") -> Case:
    """Return the case of a bot. Raises BadParameter (BOT-NO-SERVER, BOT-USE-PROXY-ADDR, KIND-ADDRESS)."""
    config = loaded.config
    if not (config.auth_server or config.proxy_server):
        raise BadParameter("BOT-NO-SERVER")
    find = WebFind(
        network=world.network, entropy=world.entropy, environment=world.environment, insecure=bool(config.insecure)
    )  # fmt: skip
    reach = Reach(way_to(config, world), find, clock=world.clock)
    fixed = own_address(world.environment, config.proxy_server)
    bot = Connection(lambda: _held(made), reach, ProxyPing(find, lambda: proxy_address(config, bot), own_address=fixed))
    made = Case(
        source=source, loaded=loaded, machine=Machine(), bot=bot, trip=_trip(config, world), login=login,
        destination=world.destination, service=_service(config, world), token=_token(config, world, reach),
        now=world.clock.now, host=world.host_name,
    )  # fmt: skip
    return made


def _held(case: Case) -> Held:
    if case.held is None:
        raise NotFound("BOT-NO-TOKEN")
    return case.held


def _trip(config: TbotYaml, world: World) -> Trip:
    said = config.proxy_server or config.auth_server
    address = parse_addr(said, WEB_PORT if config.proxy_server else AUTH_PORT)
    is_auth = not config.proxy_server and address.port not in PROXY_PORTS
    return Trip(
        address, world.environment, world.network, world.clock, world.entropy, insecure=bool(config.insecure),
        is_auth=is_auth,
    )  # fmt: skip


def _service(config: TbotYaml, world: World) -> Callable[[ServiceEntry, Destination], Service]:
    means = means_of(config, world)
    return lambda section, place: make((section,), replace(means, destination=lambda _: place))[0]


def _token(config: TbotYaml, world: World, reach: Reach) -> Callable[[], str]:
    door = Door(
        config.onboarding, reach, ttl=0, host_name=world.host_name, environment=world.environment, disk=MemoryDisk(),
        folder="/", clock=world.clock, entropy=world.entropy,
    )  # fmt: skip
    return door.token
