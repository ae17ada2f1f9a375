"""Whether the configuration does what people mean. A service that keeps the file from being used is left out, so that
the others are looked at; what cannot be read without it either ends the examination before."""

from __future__ import annotations

import os

import msgspec

from teleport.base import yaml
from teleport.base.errors import BadParameter, TeleportError
from teleport.bot import folders
from teleport.bot.destinations.names import OF_STORAGE
from teleport.bot.doctor.case import Case
from teleport.client.doctor.report import Finding
from teleport.model import document
from teleport.model.config import tbot_yaml
from teleport.model.config.tbot_destinations import DestinationSection, DirectoryDestination
from teleport.model.config.tbot_forms import LISTS, listed
from teleport.model.config.tbot_yaml import Loaded

SHARED = "TBOT-IDENTICAL"


async def run(case: Case) -> str | Finding:
    """Looks for what is wrong, then for what is probably not meant; what one output cannot do, its own check says."""
    if case.fault is not None:
        return unread(case.fault)
    try:
        folders.check(case.loaded.config)
    except BadParameter as error:
        return unread(error)
    for section, name in case.sections:
        if marks := _of_storage(section.destination):
            evidence = f"{name}: {section.destination} has {', '.join(marks)}"
            return Finding.told("config", "DEST-STORAGE", evidence)
    if case.loaded.warnings:
        first = case.loaded.warnings[0]
        return Finding.told("config", first.code, first.text, "warn")
    return f"version {case.loaded.version}, {len(case.sections)} services"


def _of_storage(place: DestinationSection) -> list[str]:
    """Return what is in a folder that only the storage of a bot has."""
    if not isinstance(place, DirectoryDestination):
        return []
    return [name for name in OF_STORAGE if os.path.lexists(os.path.join(place.path, name))]


def unread(error: TeleportError) -> Finding:
    """Return what is found of a file that is none."""
    if error.code == SHARED:
        error = BadParameter("OUT-SHARED-DEST", said=error.what)
    return Finding.of("config", error)


def read(text: str, source: str) -> tuple[Loaded, TeleportError | None]:
    """Return a file, and what is wrong with it: then it is without the services that cannot be. Raises what
    `tbot_yaml.read` raises, where it is of no use without them."""
    try:
        return tbot_yaml.read(text, source), None
    except TeleportError as error:
        return _rest(text, source, error), error


def _rest(text: str, source: str, error: TeleportError) -> Loaded:
    """Return a file with each service that is in order by itself and beside those before it, under the name that it
    has in the whole file."""
    found = yaml.documents(text, source)
    if len(found) != 1 or not isinstance(found[0].data, dict):
        raise error
    data = found[0].data
    bare = {key: value for key, value in data.items() if key not in LISTS}
    loaded = _loaded(bare, source)
    if loaded is None:
        raise error
    config = loaded.config
    for number, entry in enumerate((entry for key in LISTS for entry in listed(data.get(key))), 1):
        alone = _loaded({**bare, "services": [entry]}, source)
        if alone is not None:
            (service,) = alone.config.services
            named = msgspec.structs.replace(service, name=service.name or service.default_name(number))
            longer = msgspec.structs.replace(config, services=(*config.services, named))
            config = config if any(longer.shared_faults()) else longer
    return loaded._replace(config=config)


def _loaded(data: object, source: str) -> Loaded | None:
    try:
        return tbot_yaml.read(document.write(data), source)
    except TeleportError:
        return None
