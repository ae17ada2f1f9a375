"""teleport.yaml: what the `teleport` process is to do.

Every key of the format is known. Those that this build acts on are typed in the sections; all others are
refused where they would change what happens. All problems are told at once, each with its place.

Not here: defaults that depend on the host, flags and environment (`process.settings`).
"""

from __future__ import annotations

from collections.abc import Iterator

from teleport.base import yaml
from teleport.base.errors import BadParameter, NotSupported, TeleportError
from teleport.base.struct import convert
from teleport.base.yaml_shape import without_nulls
from teleport.model.config.auth import AuthSection
from teleport.model.config.debug import DebugSection
from teleport.model.config.proxy import ProxySection
from teleport.model.config.section import Fault, Section, ServiceSection, Warned, summed, warned
from teleport.model.config.ssh import SshSection
from teleport.model.config.teleport_section import PROXY_PORTS, TeleportSection
from teleport.model.later import Later, Unacted, dotted, is_off, refusals

VERSIONS = ("v1", "v2", "v3")
DEFAULT_VERSION = "v3"

TUNNEL_ONLY = ("app_service", "db_service", "discovery_service")
"""Services that listen nowhere: they join through a proxy, which reaches them through the tunnel that they keep
(networking guide)."""


class TeleportYaml(Section, frozen=True, kw_only=True):
    """The whole file. Services other than those typed here do not exist in this build yet."""

    version: str = ""
    teleport: TeleportSection = TeleportSection()
    auth_service: AuthSection = AuthSection()
    proxy_service: ProxySection = ProxySection()
    ssh_service: SshSection = SshSection()
    debug_service: DebugSection = DebugSection()

    app_service: Unacted = None
    db_service: Unacted = None
    kubernetes_service: Unacted = None
    windows_desktop_service: Unacted = None
    linux_desktop_service: Unacted = None
    discovery_service: Unacted = None
    jamf_service: Unacted = None
    okta_service: Unacted = None
    relay_service: Unacted = None
    metrics_service: Unacted = None
    tracing_service: Unacted = None
    access_graph: Unacted = None

    def sections(self) -> dict[str, Section]:
        """Return the sections that have an effect, by key: disabled services are left out."""
        every = {name: getattr(self, name) for name in self.__struct_fields__}
        return {
            name: part
            for name, part in every.items()
            if isinstance(part, Section) and (not isinstance(part, ServiceSection) or part.enabled)
        }

    def faults(self) -> Iterator[Fault]:
        """Return what is wrong with the values of every section that has an effect."""
        for name, section in self.sections().items():
            for path, error in section.faults():
                yield Fault((name, *path), error)
        for path, error in self.teleport.version_faults(self.version):
            yield Fault(("teleport", *path), error)
        if self.teleport.proxy_server and (self.auth_service.enabled or self.proxy_service.enabled):
            which = "auth_service" if self.auth_service.enabled else "proxy_service"
            yield Fault(("teleport", "proxy_server"), BadParameter("CONFIG-PROXY-SERVER", service=which))
        yield from self._direct_faults()

    def _direct_faults(self) -> Iterator[Fault]:
        """Return services that would join the Auth Service directly, where no proxy could reach them. With a proxy in
        the same process they keep their tunnel to that one."""
        section = self.teleport
        ports = [address.port for address in section.auth_addresses] if not [*section.faults()] else []
        if not ports or ports[0] in PROXY_PORTS or section.proxy_server or self.proxy_service.enabled:
            return
        key = "auth_server" if section.auth_server else "auth_servers"
        for service in TUNNEL_ONLY:
            if not Later().allows(getattr(self, service)):
                yield Fault((service,), BadParameter("CONFIG-TUNNEL-ONLY", service=service, key=key))

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """What people should know before the process starts."""
        found = []
        if not self.version:
            found.append(warned("CONFIG-NO-VERSION", version=DEFAULT_VERSION))
        if self.auth_service.enabled and self.auth_service.authentication.required == "off":
            found.append(warned("CONFIG-NO-SECOND-FACTOR"))
        public = self.proxy_service.public
        if self.proxy_service.enabled and len(public) > 1:
            found.append(warned("CONFIG-SEVERAL-PUBLIC", first=str(public[0]), count=len(public)))
        return tuple(found)


def load(text: str, source: str) -> TeleportYaml:
    """Read teleport.yaml; `source` is the name shown in errors. An empty text is a file of defaults.

    Raises BadParameter or NotSupported with the place, for one fault alone; for several, BadParameter
    (CONFIG-PROBLEMS) or, where all of them are keys not acted on yet, NotSupported (CONFIG-NOT-SUPPORTED-KEYS).
    """
    documents = yaml.documents(text, source)
    if not documents:
        return TeleportYaml()
    if len(documents) > 1 or not isinstance(documents[0].data, dict):
        raise BadParameter("CONFIG-NOT-A-MAP", source=source)
    document = documents[0]
    version = document.data.get("version") or ""
    if version not in ("", *VERSIONS):
        error = BadParameter("CONFIG-VERSION", version=ascii(version)[:40])
        raise error.at(document.where(("version",)))
    errors = [*_refused(document)]
    problems = [str(problem) for problem in yaml.problems(document, TeleportYaml)]
    if not problems:
        config = convert(without_nulls(document.data), TeleportYaml)
        errors += [error.at(document.where(path)) for path, error in config.faults()]
        if not errors:
            return config
    raise summed(source, problems, errors)


def _refused(document: yaml.Document) -> Iterator[TeleportError]:
    """Yield an error for each key that would change what happens and does not, in sections that are on."""
    on = {
        key: value
        for key, value in document.data.items()
        if not (key.endswith("_service") and isinstance(value, dict) and is_off(value.get("enabled", True)))
    }
    for path, later, beside in refusals(TeleportYaml, on):
        supported = later.supported if later.harmless else f"beside it {', '.join(beside)}"
        error = NotSupported("CONFIG-NOT-SUPPORTED", key=dotted(path), supported=supported)
        yield error.at(document.where(path))
