"""A configuration with a command line over it: what the command line says wins, and what it replaces is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from teleport.base.struct import Duration, Switch
from teleport.model.config.section import ON
from teleport.model.config.tbot_destinations import from_uri
from teleport.model.config.tbot_services import ServiceEntry
from teleport.model.config.tbot_yaml import BoundKeypairOnboarding, Onboarding, TbotYaml

MESSAGE = "CLI parameters are overriding configuration"
HIDDEN = "******"
_SERVERS = ("auth_server", "proxy_server")
_TEXTS = ("diag_addr", "pid_file")
_TIMES = ("credential_ttl", "renewal_interval")
_SWITCHES = ("debug", "oneshot", "insecure")
_ONBOARDING = ("token", "join_method", "ca_pins")
_KEYPAIR = ("registration_secret", "registration_secret_path", "static_key_path")
NAMES = (*_SERVERS, *_TEXTS, *_TIMES, *_SWITCHES, *_ONBOARDING, *_KEYPAIR, "storage")
"""What a command line says: text, or yes and no; what is empty was not said. `ca_pins` is a tuple."""
_SECRETS = ("token", "registration_secret")
_FLAGS = {"ca_pins": "--ca-pin", "credential_ttl": "--certificate-ttl"}


class Override(NamedTuple):
    """A value of the file that does not count."""

    flag: str
    config_value: str
    cli_value: str
    """Secrets are stars, in both."""


def merge(
    config: TbotYaml, flags: Mapping[str, Any], service: ServiceEntry | None, *, replace: bool
) -> tuple[TbotYaml, tuple[Override, ...]]:
    """Return the configuration with the flags over it, and what they replaced.

    Raises BadParameter for times and destinations that are none. `service` is added; with `replace` it is the only one.
    """
    changes: dict[str, Any] = {}
    if any(flags.get(name) for name in _SERVERS):  # one server is meant, whichever the file names
        changes |= {name: flags.get(name, "") for name in _SERVERS}
    changes |= {name: flags[name] for name in _TEXTS if flags.get(name)}
    changes |= {name: Duration.parse(flags[name]) for name in _TIMES if flags.get(name)}
    changes |= {name: ON for name in _SWITCHES if flags.get(name)}
    if flags.get("storage"):
        changes["storage"] = from_uri(flags["storage"])
    overrides = [*_replaced(config, TbotYaml(), changes)]
    onboarding, told = _onboarding(config.onboarding, flags)
    if service is not None:
        if replace and config.services:
            old, new = (", ".join(str(entry.destination) for entry in some) for some in (config.services, (service,)))
            overrides.append(Override("--destination-dir", old, new))
        changes["services"] = (service,) if replace else (*config.services, service)
    return msgspec.structs.replace(config, onboarding=onboarding, **changes), (*overrides, *told)


def _onboarding(section: Onboarding, flags: Mapping[str, Any]) -> tuple[Onboarding, list[Override]]:
    """Return how the bot joins: any of token, method and pins replaces all that the file says of it."""
    overrides = []
    found = section
    if any(flags.get(name) for name in _ONBOARDING):
        changes = {name: flags.get(name) or getattr(Onboarding(), name) for name in _ONBOARDING}
        overrides = _replaced(section, Onboarding(), changes)
        found = Onboarding(**changes)
    keypair = {name: flags[name] for name in _KEYPAIR if flags.get(name)}
    if keypair:
        overrides += _replaced(section.bound_keypair, BoundKeypairOnboarding(), keypair)
        found = msgspec.structs.replace(found, bound_keypair=msgspec.structs.replace(found.bound_keypair, **keypair))
    return found, overrides


def _replaced(section: Any, default: Any, changes: Mapping[str, Any]) -> list[Override]:
    """Return the values of a section, other than its defaults, that are changed."""
    return [
        Override(_FLAGS.get(name, f"--{name.replace('_', '-')}"), _shown(name, old), _shown(name, value))
        for name, value in changes.items()
        if (old := getattr(section, name)) not in (getattr(default, name), value)
    ]


def _shown(name: str, value: Any) -> str:
    if name in _SECRETS:
        return HIDDEN if value else ""
    if isinstance(value, Switch):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
