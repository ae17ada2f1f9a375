"""Forms of tbot.yaml that mean the same: short destinations, older names of keys, words that YAML takes for booleans.

Here: plain data to plain data in the one form that the sections have, and which `type` is which section. What is wrong
with a value is said later, by those who check it: whatever is not understood here stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teleport.base.errors import BadParameter, NotSupported, TeleportError
from teleport.model.config.section import Section
from teleport.model.config.tbot_destinations import (
    DirectoryDestination,
    KubernetesSecretDestination,
    MemoryDestination,
)
from teleport.model.config.tbot_services import (
    LATER,
    ApplicationOutput,
    DatabaseOutput,
    IdentityOutput,
    KubernetesOutput,
    KubernetesV2Output,
    SshHostOutput,
    SshMultiplexer,
)

LISTS = ("services", "outputs")
"""Keys with entries; the second is the older name."""


def _tagged(*sections: type[Section]) -> Mapping[str, type[Section]]:
    return {str(section.__struct_config__.tag): section for section in sections}


SERVICES = _tagged(
    IdentityOutput, ApplicationOutput, DatabaseOutput, KubernetesOutput, KubernetesV2Output, SshHostOutput,
    SshMultiplexer,
)  # fmt: skip
DESTINATIONS = _tagged(DirectoryDestination, MemoryDestination, KubernetesSecretDestination)
_SHORT = ("directory", "memory")


def plain(data: dict[str, Any]) -> dict[str, Any]:
    """Return a file of version v2 with destinations in their long form and keys under their newest names."""
    found = dict(data)
    if isinstance(found.get("storage"), dict):
        found["storage"] = destination(found["storage"])
    for key in LISTS:
        if isinstance(found.get(key), list):
            found[key] = [_entry(entry) for entry in found[key]]
    if isinstance(onboarding := found.get("onboarding"), dict):
        found["onboarding"] = _onboarding(onboarding)
    return found


def _entry(entry: Any) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("destination"), dict):
        return entry
    return {**entry, "destination": destination(entry["destination"])}


def _onboarding(section: dict[str, Any]) -> dict[str, Any]:
    """`static_private_key_path` is another name of `bound_keypair.static_key_path`."""
    older, newer, own = "static_private_key_path", "static_key_path", section.get("bound_keypair")
    if not isinstance(own, dict) or older not in own or newer in own:
        return section
    return {**section, "bound_keypair": {newer if key == older else key: value for key, value in own.items()}}


def destination(value: dict[str, Any]) -> dict[str, Any]:
    """Return a destination with its type: `directory: /path` and `directory: {path: /path}` are short for one."""
    if "type" not in value and len(value) == 1 and (name := next(iter(value))) in _SHORT:
        inside = value[name]
        if name == "directory" and isinstance(inside, str):
            value = {"type": name, "path": inside}
        elif isinstance(inside, dict) and inside.get("type", name) == name:
            value = {**inside, "type": name}
        elif name == "memory" and inside in (None, True):
            value = {"type": name}
    return words(value)


def words(value: dict[str, Any]) -> dict[str, Any]:
    """Return a directory in which `acls: off`, which YAML takes for a boolean, is the word again."""
    return {**value, "acls": "off"} if value.get("acls") is False else value


def listed(value: Any) -> list[Any]:
    """Return a list of the file; anything else has no entries."""
    return value if isinstance(value, list) else []


def joined(data: dict[str, Any]) -> dict[str, Any]:
    """Return a checked file without the older names of keys."""
    found = {key: value for key, value in data.items() if key not in ("outputs", "certificate_ttl")}
    found["services"] = [*data.get("services", ()), *data.get("outputs", ())]
    if "certificate_ttl" in data:
        found["credential_ttl"] = data["certificate_ttl"]
    return found


def unknown_type(what: str, place: str, name: object) -> TeleportError:
    """Return the error for a `type` that is none, or none yet. `what`: service, output or destination."""
    known = ", ".join(DESTINATIONS if what == "destination" else SERVICES)
    if what != "destination" and name in LATER:
        return NotSupported("CONFIG-NOT-SUPPORTED", key=f"{place}.type: {name}", supported=known)
    shown = "" if name is None else ascii(name)[:60].strip("'")
    return BadParameter("TBOT-TYPE", what=what, type=shown, known=known)
