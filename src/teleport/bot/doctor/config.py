"""Whether the configuration does what people mean. What cannot be read at all ends the examination before."""

from __future__ import annotations

import os

from teleport.base.errors import BadParameter, TeleportError
from teleport.bot import folders
from teleport.bot.destinations.names import OF_STORAGE
from teleport.bot.doctor.case import Case
from teleport.client.doctor.report import Finding
from teleport.model.config.tbot_destinations import DestinationSection, DirectoryDestination
from teleport.model.config.tbot_services import KubernetesOutput, KubernetesV2Output

SHARED = "TBOT-IDENTICAL"


async def run(case: Case) -> str | Finding:
    """Looks for what will fail, then for what is probably not meant."""
    try:
        folders.check(case.loaded.config)
    except BadParameter as error:
        return unread(error)
    for section, name in case.sections:
        if marks := _of_storage(section.destination):
            evidence = f"{name}: {section.destination} has {', '.join(marks)}"
            return Finding.told("config", "DEST-STORAGE", evidence)
        plugin = isinstance(section, (KubernetesOutput, KubernetesV2Output)) and not section.disable_exec_plugin
        if plugin and not isinstance(section.destination, DirectoryDestination):
            evidence = f"{name}: Destination {section.destination} must be a directory in exec plugin mode"
            return Finding.told("config", "K8S-SECRET-EXEC", evidence)
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
