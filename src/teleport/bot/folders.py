"""Folders as this machine has them: what is spelled in two ways, or reached by a link, may be one folder.

What a configuration says in the same words twice, `model.config.tbot_yaml` finds without looking at a disk.
"""

from __future__ import annotations

import os

from teleport.base.errors import BadParameter
from teleport.model.config.tbot_destinations import DirectoryDestination
from teleport.model.config.tbot_yaml import TbotYaml


def check(config: TbotYaml) -> None:
    """See that storage and destinations are folders of their own. Raises BadParameter (TBOT-IDENTICAL)."""
    places = [("storage", config.storage)]
    places += [(f"services[{index}]", entry.destination) for index, entry in enumerate(config.services)]
    taken: dict[str, str] = {}
    for name, section in places:
        if not isinstance(section, DirectoryDestination):
            continue
        folder = os.path.realpath(section.path)
        if folder in taken:
            error = BadParameter("TBOT-IDENTICAL", place=f"file://{ascii(folder)[1:-1]}", first=taken[folder])
            raise error.at(f"{name}.destination")
        taken[folder] = name
