"""What a bot does: the entries of `services` in tbot.yaml, by their `type`."""

from __future__ import annotations

from typing import Literal

from teleport.base.struct import Duration, Struct, Switch
from teleport.model.config.section import Section
from teleport.model.config.tbot_destinations import DestinationSection, DirectoryDestination


class ServiceSection(Section, frozen=True, kw_only=True, tag_field="type"):
    """What every service has."""

    name: str = ""
    """Empty: derived from the type and the place in the list, as `application-output-1`."""
    credential_ttl: Duration | None = None
    """None: that of the whole file."""
    renewal_interval: Duration | None = None


class OutputSection(ServiceSection, frozen=True, kw_only=True):
    """What every output has: certificates in a destination."""

    destination: DestinationSection
    roles: tuple[str, ...] = ()
    """Empty: every role that the bot may have."""


class IdentityOutput(OutputSection, frozen=True, kw_only=True, tag="identity"):
    """Certificates for SSH and the API, with a configuration for OpenSSH."""

    ssh_config: Switch = Switch(True)
    allow_reissue: Switch = Switch(False)
    cluster: str = ""
    """Empty: the bot's own."""


class ApplicationOutput(OutputSection, frozen=True, kw_only=True, tag="application"):
    """A certificate for one application."""

    app_name: str
    specific_tls_naming: Switch = Switch(False)


class DatabaseOutput(OutputSection, frozen=True, kw_only=True, tag="database"):
    """A certificate for one database."""

    service: str
    database: str = ""
    username: str = ""
    format: Literal["", "tls", "mongo", "cockroach"] = ""


class KubernetesOutput(OutputSection, frozen=True, kw_only=True, tag="kubernetes"):
    """A kubeconfig for one Kubernetes cluster."""

    kubernetes_cluster: str
    disable_exec_plugin: Switch = Switch(False)


class KubernetesSelector(Struct, frozen=True, kw_only=True):
    """Which clusters are meant: one by name, or all with the labels."""

    name: str = ""
    labels: dict[str, str] = {}
    default_namespace: str = ""


class KubernetesV2Output(ServiceSection, frozen=True, kw_only=True, tag="kubernetes/v2"):
    """A kubeconfig for every cluster that the selectors mean."""

    destination: DestinationSection
    selectors: tuple[KubernetesSelector, ...] = ()
    disable_exec_plugin: Switch = Switch(False)
    context_name_template: str = "{{.ClusterName}}-{{.KubeName}}"


class SshHostOutput(OutputSection, frozen=True, kw_only=True, tag="ssh_host"):
    """Host key and certificate for an OpenSSH server."""

    principals: tuple[str, ...]
    ca_type: Literal["user", "openssh"] = "user"


class SshMultiplexer(ServiceSection, frozen=True, kw_only=True, tag="ssh-multiplexer"):
    """Sockets through which many SSH clients share the bot's connection to the proxy."""

    destination: DirectoryDestination
    roles: tuple[str, ...] = ()
    enable_resumption: Switch = Switch(True)
    proxy_command: tuple[str, ...] = ()
    """Empty: tbot itself."""
    proxy_templates_path: str = ""


ServiceEntry = (
    IdentityOutput
    | ApplicationOutput
    | DatabaseOutput
    | KubernetesOutput
    | KubernetesV2Output
    | SshHostOutput
    | SshMultiplexer
)
