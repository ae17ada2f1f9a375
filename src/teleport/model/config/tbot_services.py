"""What a bot does: the entries of `services` in tbot.yaml, by their `type`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from teleport.base.errors import BadParameter
from teleport.base.struct import Duration, Struct, Switch
from teleport.model.config.section import OFF, ON, Fault, Section
from teleport.model.config.tbot_destinations import DestinationSection, DirectoryDestination
from teleport.model.later import Unacted

LONGEST_NAME = 64
"""Characters; the Auth Service refuses the health of a service with a longer one."""
OWN_NAMES = ("identity", "ca-rotation", "heartbeat")
"""Services that every bot has, beside those of the file."""
_NAME = re.compile(r"[A-Za-z0-9_+-]+")


class ServiceSection(Section, frozen=True, kw_only=True, tag_field="type"):
    """What every service has."""

    name: str = ""
    """Empty: derived from the type and the place in the list, as `application-output-1`."""
    credential_ttl: Duration | None = None
    """Without it: that of the whole file."""
    renewal_interval: Duration | None = None
    """Without it: that of the whole file."""

    @property
    def type(self) -> str:
        """What `type` says in the file."""
        return str(self.__struct_config__.tag)

    def default_name(self, number: int) -> str:
        """Return the name of the `number`-th entry of the file where it says none."""
        return f"{self.type.replace('/', '-')}-{number}"

    def faults(self) -> Iterator[Fault]:
        """Return a name that cannot be used, times that are none, and what is wrong with the destination."""
        if self.name and (not _NAME.fullmatch(self.name) or len(self.name) > LONGEST_NAME):
            yield Fault(("name",), BadParameter("TBOT-NAME", name=ascii(self.name[:80])[1:-1]))
        if self.name in OWN_NAMES:
            yield Fault(("name",), BadParameter("TBOT-OWN-NAME", name=self.name))
        for key in ("credential_ttl", "renewal_interval"):
            value = getattr(self, key)
            if value is not None and not value > 0:
                yield Fault((key,), BadParameter("TBOT-EMPTY", key=key, problem="is not longer than no time"))


class OutputSection(ServiceSection, frozen=True, kw_only=True):
    """What every output has: certificates in a destination."""

    destination: DestinationSection
    roles: tuple[str, ...] = ()
    """Empty: every role that the bot may have."""

    def default_name(self, number: int) -> str:
        """Return the name of the `number`-th entry of the file where it says none."""
        return f"{self.type.replace('/', '-')}-output-{number}"

    def faults(self) -> Iterator[Fault]:
        """Return what is wrong with the service, the destination, and keys that must not be empty."""
        yield from super().faults()
        yield from within(self.destination)
        yield from self.empty()

    def empty(self) -> Iterator[Fault]:
        """Return required keys that are there and say nothing."""
        return iter(())


class IdentityOutput(OutputSection, frozen=True, kw_only=True, tag="identity"):
    """Certificates for SSH and the API, with a configuration for OpenSSH."""

    ssh_config: Switch = ON
    """Whether files for OpenSSH are written, for which the proxy is asked about its addresses."""
    allow_reissue: Switch = OFF
    """Whether the certificates may be used to get others, as `tsh` does for each database."""
    cluster: str = ""
    """Empty: the bot's own, which is the only one so far."""


class ApplicationOutput(OutputSection, frozen=True, kw_only=True, tag="application"):
    """A certificate for one application."""

    app_name: str
    """Name in the cluster."""
    specific_tls_naming: Switch = OFF
    """Whether `tls.crt`, `tls.key` and `tls.cas` are written too."""

    def empty(self) -> Iterator[Fault]:
        """Return a missing `app_name`."""
        yield from said("app_name", self.app_name)


class DatabaseOutput(OutputSection, frozen=True, kw_only=True, tag="database"):
    """A certificate for one database."""

    service: str
    """Name of the database in the cluster."""
    database: str = ""
    """Name of the database on its server."""
    username: str = ""
    """User of the database."""
    format: Literal["", "tls", "mongo", "cockroach"] = ""
    """Files for programs that want names of their own."""

    def empty(self) -> Iterator[Fault]:
        """Return a missing `service`."""
        yield from said("service", self.service)


class KubernetesOutput(OutputSection, frozen=True, kw_only=True, tag="kubernetes"):
    """A kubeconfig for one Kubernetes cluster."""

    kubernetes_cluster: str
    """Name in the cluster."""
    disable_exec_plugin: Switch = OFF
    """Whether credentials stand in the kubeconfig, which then has to be read again after each renewal."""

    def empty(self) -> Iterator[Fault]:
        """Return a missing `kubernetes_cluster`."""
        yield from said("kubernetes_cluster", self.kubernetes_cluster)


class KubernetesSelector(Struct, frozen=True, kw_only=True):
    """Which clusters are meant: one by name, or all with the labels."""

    name: str = ""
    """Either this or `labels`."""
    labels: dict[str, str] = {}
    default_namespace: str = ""


class KubernetesV2Output(ServiceSection, frozen=True, kw_only=True, tag="kubernetes/v2"):
    """A kubeconfig for every cluster that the selectors mean."""

    destination: DestinationSection
    selectors: tuple[KubernetesSelector, ...] = ()
    disable_exec_plugin: Switch = OFF
    """As for `kubernetes`."""
    context_name_template: str = "{{.ClusterName}}-{{.KubeName}}"
    """Names of contexts, from ClusterName, KubeName and Labels."""
    relay_server: Unacted = None

    def default_name(self, number: int) -> str:
        """Return the name of the `number`-th entry of the file where it says none."""
        return f"kubernetes-v2-output-{number}"

    def faults(self) -> Iterator[Fault]:
        """Return what is wrong with the service, the destination and the selectors."""
        yield from super().faults()
        yield from within(self.destination)
        if not self.selectors:
            yield Fault(("selectors",), BadParameter("TBOT-SELECTOR", problem="there is none"))
        for index, selector in enumerate(self.selectors):
            if bool(selector.name) == bool(selector.labels):
                problem = "it has both" if selector.name else "it has neither"
                yield Fault(("selectors", index), BadParameter("TBOT-SELECTOR", problem=problem))


class SshHostOutput(OutputSection, frozen=True, kw_only=True, tag="ssh_host"):
    """Host key and certificate for an OpenSSH server."""

    principals: tuple[str, ...]
    """Names under which the server is reached."""
    ca_type: Literal["user", "openssh"] = "user"
    """Whom the server is to let in: users of the cluster, or what the proxy connects as."""

    def empty(self) -> Iterator[Fault]:
        """Return missing principals."""
        if not self.principals or not all(self.principals):
            yield from said("principals", "")


class SshMultiplexer(ServiceSection, frozen=True, kw_only=True, tag="ssh-multiplexer"):
    """Sockets through which many SSH clients share the bot's connection to the proxy."""

    destination: DirectoryDestination
    roles: tuple[str, ...] = ()
    """Empty: every role that the bot may have."""
    enable_resumption: Switch = ON
    """Whether sessions outlive their connection."""
    proxy_command: tuple[str, ...] = ()
    """Empty: tbot itself."""
    proxy_templates_path: str = ""
    """File with rules that rewrite host names."""
    relay_server: Unacted = None

    def faults(self) -> Iterator[Fault]:
        """Return what is wrong with the service and the folder."""
        yield from super().faults()
        yield from within(self.destination)


ServiceEntry = (
    IdentityOutput
    | ApplicationOutput
    | DatabaseOutput
    | KubernetesOutput
    | KubernetesV2Output
    | SshHostOutput
    | SshMultiplexer
)

LATER = (
    "workload-identity-x509", "workload-identity-jwt", "workload-identity-api", "workload-identity-aws-roles-anywhere",
    "spiffe-svid", "spiffe-workload-api", "database-tunnel", "application-tunnel", "application-proxy",
    "kubernetes/argo-cd", "example", "unstable-client-credential",
)  # fmt: skip
"""Types that this build knows of and does not have."""


def within(destination: DestinationSection) -> Iterator[Fault]:
    """Return what is wrong with a service's destination."""
    for path, error in destination.faults():
        yield Fault(("destination", *path), error)


def said(key: str, value: str) -> Iterator[Fault]:
    """Return a fault where a required key is there and says nothing."""
    if not value:
        yield Fault((key,), BadParameter("TBOT-EMPTY", key=key, problem="is empty"))
