"""tbot.yaml of version v1, read as what it means in v2.

In v1 an entry of `destinations` said what it is for by whatever else it had: a database, an application, a template of
a program. Here: that guess, and v1's keys. Not here: values that both versions have alike; they are checked in v2.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from teleport.base import yaml
from teleport.base.errors import BadParameter, NotSupported, TeleportError
from teleport.base.struct import Duration, Struct, Switch, convert, plain
from teleport.base.yaml_shape import without_nulls
from teleport.model.config import tbot_forms
from teleport.model.config.section import summed
from teleport.model.config.tbot_destinations import DirectoryDestination
from teleport.model.later import Path

FORMATS = ("mongo", "cockroach", "tls")
"""Templates that say in which form a database's files are."""
HOST = "ssh_host_cert"
TEMPLATES = (*FORMATS, HOST, "ssh_client", "identity", "kubernetes")
BOTH = ("onboarding", "debug", "auth_server", "renewal_interval", "oneshot", "fips", "insecure", "diag_addr")
"""Keys that are the same in v2."""
NEWER = ("outputs", "services", "proxy_server", "credential_ttl")
"""Keys that v1 does not have: who writes them forgot `version: v2`."""


class V1Database(Struct, frozen=True, kw_only=True):
    """A database."""

    service: str
    database: str = ""
    username: str = ""


class V1Destination(Struct, frozen=True, kw_only=True):
    """Where certificates go, and for what they are."""

    directory: str | DirectoryDestination | None = None
    memory: Any = None
    roles: tuple[str, ...] = ()
    configs: tuple[str | dict[str, Any], ...] = ()
    """Templates: a word, or a map of the word and its settings."""
    database: V1Database | None = None
    kubernetes_cluster: str = ""
    app: str = ""
    cluster: str = ""


class V1Storage(Struct, frozen=True, kw_only=True):
    """Where the bot's own identity goes."""

    directory: str | DirectoryDestination | None = None
    memory: Any = None


class V1File(Struct, frozen=True, kw_only=True):
    """The whole file."""

    version: str = "v1"
    onboarding: dict[str, Any] = {}
    debug: Switch = Switch(False)
    auth_server: str = ""
    certificate_ttl: Duration | None = None
    renewal_interval: Duration | None = None
    oneshot: Switch = Switch(False)
    fips: Switch = Switch(False)
    insecure: Switch = Switch(False)
    diag_addr: str = ""
    storage: V1Storage = V1Storage()
    destinations: tuple[V1Destination, ...] = ()


def origin(path: Path) -> Path:
    """Return where in a file of v1 something of the migrated one was."""
    if path[:1] == ("services",):
        return ("destinations", *path[1:2], *(("directory",) if path[2:3] == ("destination",) else ()))
    return ("certificate_ttl",) if path == ("credential_ttl",) else path


def migrate(document: yaml.Document) -> yaml.Document:
    """Return what a file of v1 says, as one of v2; of its values only those of v1 alone are checked.

    Raises BadParameter or NotSupported with the place, as `tbot_yaml.read` does.
    """
    for key in NEWER:
        if key in document.data:
            raise BadParameter("TBOT-OUTPUTS", key=key).at(document.where((key,)))
    document = dataclasses.replace(document, data=_plain(document.data))
    problems = [str(problem) for problem in yaml.problems(document, V1File)]
    errors: list[TeleportError] = []
    data = without_nulls(document.data)
    found = {key: value for key, value in data.items() if key in BOTH}
    if not problems:
        if "certificate_ttl" in data:
            found["credential_ttl"] = data["certificate_ttl"]
        if data.get("storage"):
            found["storage"] = tbot_forms.destination(data["storage"])
        services = []
        for index, entry in enumerate(convert(data, V1File).destinations):
            try:
                services.append(_service(entry))
            except TeleportError as error:
                errors.append(error.at(document.where(("destinations", index))))
        found["services"] = services
    if problems or errors:
        raise summed(document.source, problems, errors, "TBOT-PROBLEMS")
    return dataclasses.replace(document, data={"version": "v2", **found})


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """Return the file without what YAML takes for something else: `acls: off` without quotes is a boolean."""
    found = dict(data)
    if isinstance(found.get("storage"), dict):
        found["storage"] = _words(found["storage"])
    if isinstance(found.get("destinations"), list):
        found["destinations"] = [_words(entry) if isinstance(entry, dict) else entry for entry in found["destinations"]]
    return found


def _words(entry: dict[str, Any]) -> dict[str, Any]:
    found = dict(entry)
    if isinstance(found.get("directory"), dict):
        found["directory"] = tbot_forms.words(found["directory"])
    if isinstance(configs := found.get("configs"), list):  # `- tls:` is the template without settings
        found["configs"] = [
            {key: {} if value is None else value for key, value in config.items()}
            if isinstance(config, dict)
            else config
            for config in configs
        ]
    return found


def _service(entry: V1Destination) -> dict[str, Any]:
    """Return the service that an entry of `destinations` means."""
    templates = dict(_template(config) for config in entry.configs)
    kinds = [name for name, said in (
        ("application", entry.app), ("database", entry.database), ("kubernetes", entry.kubernetes_cluster),
        ("ssh_host", HOST in templates),
    ) if said]  # fmt: skip
    if len(kinds) > 1:
        raise BadParameter("TBOT-V1-SEVERAL", kinds=", ".join(kinds))
    kind = kinds[0] if kinds else "identity"
    if entry.cluster and kind != "identity":
        raise BadParameter("TBOT-V1-CLUSTER", kind=kind)
    roles = {"roles": list(entry.roles)} if entry.roles else {}
    return {"type": kind, "destination": _destination(entry), **roles, **_own(kind, entry, templates)}


def _own(kind: str, entry: V1Destination, templates: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the keys that only this type of service has."""
    match kind:
        case "application":
            return {"app_name": entry.app, **({"specific_tls_naming": True} if "tls" in templates else {})}
        case "database":
            return _database(entry, templates)
        case "kubernetes":
            return {"kubernetes_cluster": entry.kubernetes_cluster}
        case "ssh_host":
            return {"principals": templates[HOST].get("principals", [])}
    return {"cluster": entry.cluster} if entry.cluster else {}


def _destination(entry: V1Destination) -> dict[str, Any]:
    """Return where an entry's files go."""
    if (entry.directory is None) == (entry.memory is None):
        raise BadParameter("TBOT-V1-DESTINATION")
    if entry.directory is None:
        return {"type": "memory"}
    return tbot_forms.destination({"directory": plain(entry.directory)})


def _database(entry: V1Destination, templates: dict[str, dict[str, Any]]) -> dict[str, Any]:
    formats = [name for name in FORMATS if name in templates]
    if len(formats) > 1:
        raise BadParameter("TBOT-V1-FORMATS", formats=", ".join(formats))
    database = entry.database or V1Database(service="")
    said = {"service": database.service, "database": database.database, "username": database.username}
    return {key: value for key, value in (*said.items(), ("format", "".join(formats))) if value}


def _template(config: str | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Read an entry of `configs`. Raises BadParameter or NotSupported for what v2 cannot say."""
    if isinstance(config, dict) and len(config) != 1:
        raise BadParameter("TBOT-V1-TEMPLATE", template=f"a map of {len(config)} keys", known=", ".join(TEMPLATES))
    name, settings = (config, {}) if isinstance(config, str) else next(iter(config.items()))
    if name not in TEMPLATES or not isinstance(settings, dict):
        raise BadParameter("TBOT-V1-TEMPLATE", template=ascii(name)[:60], known=", ".join(TEMPLATES))
    if unmoved := [key for key in settings if (name, key) != (HOST, "principals")]:
        key = f"{name}.{ascii(unmoved[0])[1:-1][:60]}"
        raise NotSupported("TBOT-V1-SETTING", key=key)
    return name, settings
