"""The types of service that a command line can describe: the flags of each, and the section that they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import click

from teleport.base.errors import BadParameter, TeleportError
from teleport.base.struct import Switch
from teleport.base.text import parse_labels
from teleport.model.config.section import OFF, ON
from teleport.model.config.tbot_destinations import (
    DestinationSection,
    DirectoryDestination,
    Reader,
    from_uri,
)
from teleport.model.config.tbot_services import (
    ApplicationOutput,
    DatabaseOutput,
    IdentityOutput,
    KubernetesOutput,
    KubernetesSelector,
    KubernetesV2Output,
    ServiceEntry,
    SshHostOutput,
    SshMultiplexer,
)

Flags = Mapping[str, Any]
Option = Callable[[Any], Any]

DESTINATION = click.option("--destination", required=True, metavar="URI",
                           help="Where files go: /a/path, memory://, kubernetes-secret://namespace/name.")  # fmt: skip
READERS = (
    click.option("--reader-user", "reader_users", multiple=True, metavar="NAME", help="User who may read the files."),
    click.option("--reader-group", "reader_groups", multiple=True, metavar="NAME", help="Group that may read them."),
)  # fmt: skip
NO_PLUGIN = click.option("--disable-exec-plugin", is_flag=True,
                         help="Write credentials into the kubeconfig, not how to ask tbot for them.")  # fmt: skip


class Type(NamedTuple):
    """A type of service on the command line."""

    options: tuple[Option, ...]
    names: tuple[str, ...]
    """Parameters that the options give."""
    make: Callable[[Flags], ServiceEntry]


def _destination(flags: Flags) -> DestinationSection:
    """Read `--destination` with its readers. Raises BadParameter (TBOT-READERS, and those of `from_uri`)."""
    found = from_uri(flags["destination"])
    readers = (
        *(Reader(user=_number(name)) for name in flags.get("reader_users", ())),
        *(Reader(group=_number(name)) for name in flags.get("reader_groups", ())),
    )
    if not readers:
        return found
    if not isinstance(found, DirectoryDestination):
        raise BadParameter("TBOT-READERS")
    return DirectoryDestination(path=found.path, readers=readers)


def _number(name: str) -> str | int:
    return int(name) if name.isascii() and name.isdecimal() and len(name) < 11 else name


def switch(on: bool) -> Switch:
    """Return the one of the two that is the default of a section, so that it is not written."""
    return ON if on else OFF


def _identity(flags: Flags) -> IdentityOutput:
    return IdentityOutput(
        destination=_destination(flags), cluster=flags["cluster"], allow_reissue=switch(flags["allow_reissue"])
    )


def _application(flags: Flags) -> ApplicationOutput:
    naming = switch(flags["specific_tls"])
    return ApplicationOutput(destination=_destination(flags), app_name=flags["app"], specific_tls_naming=naming)


def _database(flags: Flags) -> DatabaseOutput:
    return DatabaseOutput(
        destination=_destination(flags), service=flags["service"], database=flags["database"],
        username=flags["username"], format=flags["database_format"],
    )  # fmt: skip


def _kubernetes(flags: Flags) -> KubernetesOutput:
    return KubernetesOutput(
        destination=_destination(flags), kubernetes_cluster=flags["kubernetes_cluster"],
        disable_exec_plugin=switch(flags["disable_exec_plugin"]),
    )  # fmt: skip


def _kubernetes_v2(flags: Flags) -> KubernetesV2Output:
    names, labels = flags["name_selectors"], flags["label_selectors"]
    if names and labels:
        raise BadParameter("TBOT-OPTIONS", first="--name-selector", second="--label-selector")
    selectors = (
        *(KubernetesSelector(name=name) for name in names),
        *(KubernetesSelector(labels=_labels(text)) for text in labels),
    )
    return KubernetesV2Output(
        destination=_destination(flags), selectors=selectors, disable_exec_plugin=switch(flags["disable_exec_plugin"])
    )


def _labels(text: str) -> dict[str, str]:
    try:
        return parse_labels(text)
    except TeleportError as error:
        raise BadParameter("TBOT-LABELS", text=ascii(text[:80])[1:-1], problem=error.what) from None


def _ssh_host(flags: Flags) -> SshHostOutput:
    principals = tuple(name for text in flags["principals"] for name in text.split(",") if name)
    return SshHostOutput(destination=_destination(flags), principals=principals, ca_type=flags["ca_type"])


def _multiplexer(flags: Flags) -> SshMultiplexer:
    destination = from_uri(flags["destination"])
    if not isinstance(destination, DirectoryDestination):
        name = str(destination.__struct_config__.tag)
        raise BadParameter("TBOT-TYPE", what="destination", type=name, known="directory")
    return SshMultiplexer(
        destination=destination, enable_resumption=switch(flags["enable_resumption"]),
        proxy_templates_path=flags["proxy_templates_path"],
    )  # fmt: skip


_FILES = (DESTINATION, *READERS)
_FILES_NAMES = ("destination", "reader_users", "reader_groups")

TYPES: dict[str, Type] = {
    "identity": Type(
        (*_FILES, click.option("--cluster", default="", help="Name of a leaf cluster [the bot's own]."),
         click.option("--allow-reissue", is_flag=True, help="Certificates may be used to get others.")),
        (*_FILES_NAMES, "cluster", "allow_reissue"), _identity,
    ),
    "application": Type(
        (*_FILES, click.option("--app", required=True, help="Name of the application."),
         click.option("--specific-tls-extensions", "specific_tls", is_flag=True, help="Also tls.crt, tls.key.")),
        (*_FILES_NAMES, "app", "specific_tls"), _application,
    ),
    "database": Type(
        (*_FILES, click.option("--service", required=True, help="Name of the database in the cluster."),
         click.option("--username", default="", help="User of the database."),
         click.option("--database", default="", help="Name of the database on its server."),
         click.option("--format", "database_format", default="", metavar="FORMAT",
                      type=click.Choice(["", "tls", "mongo", "cockroach"]), help="tls, mongo or cockroach.")),
        (*_FILES_NAMES, "service", "username", "database", "database_format"), _database,
    ),
    "kubernetes": Type(
        (*_FILES, click.option("--kubernetes-cluster", required=True, help="Name of the cluster."), NO_PLUGIN),
        (*_FILES_NAMES, "kubernetes_cluster", "disable_exec_plugin"), _kubernetes,
    ),
    "kubernetes/v2": Type(
        (*_FILES, NO_PLUGIN,
         click.option("--name-selector", "name_selectors", multiple=True, help="Name of a Kubernetes cluster."),
         click.option("--label-selector", "label_selectors", multiple=True, metavar="K=V,..", help="Labels of some.")),
        (*_FILES_NAMES, "disable_exec_plugin", "name_selectors", "label_selectors"), _kubernetes_v2,
    ),
    "ssh-host": Type(
        (*_FILES, click.option("--principals", multiple=True, required=True, help="Names of the server."),
         click.option("--ca-type", type=click.Choice(["user", "openssh"]), default="user", show_default=True,
                      help="Whom the server is to let in: users, or what the proxy connects as.")),
        (*_FILES_NAMES, "principals", "ca_type"), _ssh_host,
    ),
    "ssh-multiplexer": Type(
        (DESTINATION,
         click.option("--enable-resumption/--no-enable-resumption", default=True, show_default=True,
                      help="Sessions outlive their connection."),
         click.option("--proxy-templates-path", default="", metavar="FILE", help="Rules that rewrite host names.")),
        ("destination", "enable_resumption", "proxy_templates_path"), _multiplexer,
    ),
}  # fmt: skip
"""By the word on the command line, which is that of the file but for `ssh-host`."""
