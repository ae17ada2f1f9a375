"""tbot.yaml: what a bot is to do.

Every key of the format is known. Those that this build does not act on yet are refused where they would change what
happens. All problems are told at once, each with its place. A file of version v1 is read as what it means in v2
(`tbot_v1`); short and older forms are put into the one form that the sections have (`tbot_forms`).

Not here: flags and environment (`cli.tbot.options`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from teleport.base import yaml
from teleport.base.errors import BadParameter, NotSupported, TeleportError
from teleport.base.struct import Duration, Struct, Switch, convert, plain
from teleport.base.yaml_shape import without_nulls
from teleport.model import document as written
from teleport.model.address import parse_addr
from teleport.model.config import tbot_forms, tbot_v1
from teleport.model.config.section import OFF, Fault, Section, Warned, summed, trying, unknown, warned
from teleport.model.config.tbot_destinations import DestinationSection, DirectoryDestination
from teleport.model.config.tbot_services import ServiceEntry
from teleport.model.config.teleport_section import AUTH_PORT, PIN, PROXY_PORT
from teleport.model.kinds.token import BOT_METHODS, SERVED_METHODS
from teleport.model.later import Path, Unacted, UnactedSwitch, dotted, refusals

VERSIONS = ("v1", "v2")
DEFAULT_STORAGE = "/var/lib/teleport/bot"
LONGEST_TTL = Duration(24 * 3600)
"""What the Auth Service gives a bot at most."""


class AzureOnboarding(Struct, frozen=True, kw_only=True):
    """Joining as an Azure machine."""

    client_id: str = ""
    """Which managed identity, where the machine has several."""


class GitlabOnboarding(Struct, frozen=True, kw_only=True):
    """Joining as a job of GitLab."""

    token_env_var_name: str = "TBOT_GITLAB_JWT"  # noqa: S105 - the name of a variable
    """Variable in which the job has its token."""


class KubernetesOnboarding(Struct, frozen=True, kw_only=True):
    """Joining as a pod."""

    token_path: str = ""
    """File with the pod's token; empty: the variable KUBERNETES_TOKEN_PATH, or where Kubernetes mounts it."""


class BoundKeypairOnboarding(Struct, frozen=True, kw_only=True):
    """Joining with a key of the machine's own."""

    registration_secret: str = ""
    """Also the variable TBOT_REGISTRATION_SECRET."""
    registration_secret_path: str = ""
    """File with it, so that tbot.yaml holds no secret."""
    static_key_path: str = ""
    """Key that was made before and is never replaced."""

    def __repr__(self) -> str:
        return f"BoundKeypairOnboarding(static_key_path={self.static_key_path!r})"


class Onboarding(Section, frozen=True, kw_only=True):
    """How the bot joins the first time."""

    token: str = ""
    """A token's name or secret, or the absolute path of a file with it, which is read when it is needed."""
    join_method: str = ""
    """Empty: `token`."""
    ca_pins: tuple[str, ...] = ()
    """Hashes of the Auth Service's authority, `sha256:<hex>`, or absolute paths of files with them."""
    ca_path: str = ""
    """PEM file with the authority of the Auth Service, in the place of pins."""
    azure: AzureOnboarding = AzureOnboarding()
    gitlab: GitlabOnboarding = GitlabOnboarding()
    kubernetes: KubernetesOnboarding = KubernetesOnboarding()
    bound_keypair: BoundKeypairOnboarding = BoundKeypairOnboarding()
    terraform: Unacted = None

    def __repr__(self) -> str:
        return f"Onboarding(join_method={self.join_method!r})"  # the token may be a secret

    def faults(self) -> Iterator[Fault]:
        """Return methods and pins that are none, and what contradicts itself."""
        if self.join_method and self.join_method not in BOT_METHODS:
            shown = ascii(self.join_method[:40])[1:-1]
            error = BadParameter("TBOT-JOIN-METHOD", method=shown, known=", ".join(BOT_METHODS))
            yield Fault(("join_method",), error)
        elif self.join_method and self.join_method not in SERVED_METHODS:
            served = ", ".join(method for method in BOT_METHODS if method in SERVED_METHODS)
            key = f"onboarding.join_method: {self.join_method}"
            yield Fault(("join_method",), NotSupported("CONFIG-NOT-SUPPORTED", key=key, supported=served))
        for index, pin in enumerate(self.ca_pins):
            if not (PIN.fullmatch(pin) or pin.startswith("/")):
                error = unknown("CA pin", pin, "sha256: and 64 hexadecimal digits, or /path/of/file")
                yield Fault(("ca_pins", index), error)
        if self.ca_pins and self.ca_path:
            problem = "the options ca-pin and ca-path are mutually exclusive"
            yield Fault(("ca_path",), BadParameter("TBOT-CA", problem=problem))
        if self.bound_keypair.registration_secret and self.bound_keypair.registration_secret_path:
            yield Fault(("bound_keypair",), BadParameter("TBOT-TWO-SECRETS"))


class TbotYaml(Section, frozen=True, kw_only=True):
    """The whole file, version 2."""

    version: str = "v2"
    debug: Switch = OFF
    """Whether the log has the level DEBUG."""
    auth_server: str = ""
    """`host:port` of the Auth Service, where the machine reaches it directly. Port 3025 if none is given."""
    proxy_server: str = ""
    """`host:port` of the proxy, as `teleport.example.com:443`: one of the two servers is needed, best this one."""
    credential_ttl: Duration = Duration(3600)
    """How long certificates are valid; the Auth Service gives at most 24 hours."""
    renewal_interval: Duration = Duration(1200)
    """How often they are renewed. Means nothing with `oneshot`."""
    oneshot: Switch = OFF
    """Whether the bot writes everything once and ends."""
    fips: UnactedSwitch = False
    insecure: Switch = OFF
    """Whether the proxy is believed whatever certificate it has. For tests alone."""
    diag_addr: str = ""
    """`host:port` for `/livez`, `/readyz` and `/metrics`; empty: none."""
    pid_file: str = ""
    """File for the process id; empty: none."""
    onboarding: Onboarding = Onboarding()
    storage: DestinationSection = DirectoryDestination(path=DEFAULT_STORAGE)
    """Where the bot keeps its own identity. Never copy or share it: whoever renews second locks the bot."""
    services: tuple[ServiceEntry, ...] = ()
    """Those of `outputs`, the older name of the key, too."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each of `services` is called in logs and diagnostics: its name, or one made of type and place."""
        return tuple(entry.name or entry.default_name(number) for number, entry in enumerate(self.services, 1))

    def faults(self) -> Iterator[Fault]:
        """Return what is wrong with the values: of the file, or of file and flags together."""
        yield from self.own_faults()
        parts: list[tuple[Path, Section]] = [(("storage",), self.storage)]
        parts += [(("services", index), entry) for index, entry in enumerate(self.services)]
        for path, part in parts:
            for inner, error in part.faults():
                yield Fault((*path, *inner), error)
        yield from self.shared_faults()

    def own_faults(self) -> Iterator[Fault]:
        """Return what is wrong with the values outside storage and services."""
        if self.auth_server and self.proxy_server:
            yield Fault(("proxy_server",), BadParameter("TBOT-TWO-SERVERS"))
        for key, port in (("auth_server", AUTH_PORT), ("proxy_server", PROXY_PORT), ("diag_addr", 0)):
            if value := getattr(self, key):
                yield from trying((key,), parse_addr, value, port)
        for key in ("credential_ttl", "renewal_interval"):
            if not getattr(self, key) > 0:
                yield _no_time(key)
        if self.insecure:
            for key, word in (("ca_pins", "ca-pin"), ("ca_path", "ca-path")):
                if getattr(self.onboarding, key):
                    problem = f"the option {word} is mutually exclusive with --insecure"
                    yield Fault(("onboarding", key), BadParameter("TBOT-CA", problem=problem))
        for path, error in self.onboarding.faults():
            yield Fault(("onboarding", *path), error)

    def shared_faults(self) -> Iterator[Fault]:
        """Return destinations and names that two have."""
        places, names = {self.storage.place: "storage"}, set[str]()
        for index, (entry, name) in enumerate(zip(self.services, self.names, strict=True)):
            place = entry.destination.place
            if place and place in places:
                error = BadParameter("TBOT-IDENTICAL", place=ascii(place)[1:-1], first=places[place])
                yield Fault(("services", index, "destination"), error)
            places.setdefault(place, f"services[{index}]")
            if name in names:
                yield Fault(("services", index, "name"), BadParameter("TBOT-SAME-NAME", name=ascii(name)[1:-1]))
            names.add(name)

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """What people should know before the bot starts."""
        found = []
        for index, entry in enumerate((self, *self.services)):
            where = f"services[{index - 1}]." if index else ""
            ttl, interval = entry.credential_ttl, entry.renewal_interval
            if index and ttl is None and interval is None:
                continue
            ttl, interval = ttl or self.credential_ttl, interval or self.renewal_interval
            if interval > ttl and not self.oneshot:
                key = f"{where}credential_ttl"
                found.append(warned("TBOT-SHORT-TTL", key=key, ttl=ttl, interval=interval))
            if ttl > LONGEST_TTL:
                found.append(warned("TBOT-LONG-TTL", key=f"{where}credential_ttl", ttl=ttl, most=LONGEST_TTL))
        return tuple(found)


class Loaded(NamedTuple):
    """A file that can be used."""

    config: TbotYaml
    warnings: tuple[Warned, ...]
    """What people should know of the file, its version included."""
    version: str
    """The file's own; its meaning is v2 in any case."""


class _File(TbotYaml, frozen=True, kw_only=True):
    """The file as it is written: entries, which are read one by one, and older names of keys."""

    certificate_ttl: Duration | None = None
    storage: Any = None
    services: tuple[Any, ...] = ()
    outputs: tuple[Any, ...] = ()

    def faults(self) -> Iterator[Fault]:
        """Return what is wrong beside the entries, which say it themselves."""
        yield from self.own_faults()
        if self.certificate_ttl is not None and not self.certificate_ttl > 0:
            yield _no_time("certificate_ttl")


def _no_time(key: str) -> Fault:
    return Fault((key,), BadParameter("TBOT-EMPTY", key=key, problem="is not longer than no time"))


def load(text: str, source: str) -> TbotYaml:
    """Return the configuration of a file, as `read` does."""
    return read(text, source).config


def read(text: str, source: str) -> Loaded:
    """Read tbot.yaml; `source` is the name shown in errors. A text without a word is a file of version v1.

    Raises BadParameter or NotSupported with the place, for one fault alone; for several, BadParameter
    (TBOT-PROBLEMS) or, where all of them are keys not acted on yet, NotSupported (CONFIG-NOT-SUPPORTED-KEYS).
    """
    found = yaml.documents(text, source)
    if not found:
        return Loaded(TbotYaml(), (warned("TBOT-DEPRECATED"),), "v1")
    if len(found) > 1 or not isinstance(found[0].data, dict):
        raise BadParameter("TBOT-NOT-A-MAP", source=source)
    document = found[0]
    version = document.data.get("version") or "v1"
    if version not in VERSIONS:
        error = BadParameter("TBOT-VERSION", version=ascii(version)[:40].strip("'"))
        raise error.at(document.where(("version",)))
    if version == "v2":
        config = _Reader(dataclasses.replace(document, data=tbot_forms.plain(document.data))).config()
        return Loaded(config, config.warnings, version)
    migrated = tbot_v1.migrate(document)
    config = _Reader(migrated, tbot_v1.origin).config()
    return Loaded(config, (warned("TBOT-DEPRECATED"), *config.warnings), version)


class _Reader:
    """Turns a document into a configuration, and gathers on the way what is wrong with it."""

    def __init__(self, document: yaml.Document, origin: Callable[[Path], Path] = lambda path: path) -> None:
        self._document = document
        self._origin = origin
        self._problems: list[str] = []
        self._errors: list[TeleportError] = []

    def config(self) -> TbotYaml:
        """Return the configuration. Raises what `read` raises."""
        data = self._document.data
        self._check((), _File)
        if data.get("certificate_ttl") is not None and data.get("credential_ttl") is not None:
            twice = BadParameter("TBOT-TWICE", key="credential_ttl", older="certificate_ttl")
            self._wrong(("certificate_ttl",), twice)
        entries = [(key, n) for key in tbot_forms.LISTS for n, _ in enumerate(tbot_forms.listed(data.get(key)))]
        for entry in entries:
            self._check_entry(entry)
        given = data.get("storage") is not None
        if given and (shape := self._type(("storage",), tbot_forms.DESTINATIONS, "destination")):
            self._check(("storage",), shape)
        if not self._problems and not self._errors:
            config = convert(tbot_forms.joined(without_nulls(data)), TbotYaml)
            for path, error in config.shared_faults():
                self._wrong((*entries[int(path[1])], *path[2:]) if path[0] == "services" else path, error)
            if not self._errors:
                return config
        raise summed(self._document.source, self._problems, self._errors, "TBOT-PROBLEMS")

    def _check_entry(self, path: Path) -> None:
        """See that an entry of a list is a service, and its destination one."""
        shape = self._type(path, tbot_forms.SERVICES, str(path[0]).removesuffix("s"))
        if shape is None:
            return
        place = (*path, "destination")
        given = self._at(path).get("destination") is not None
        known = not given or self._type(place, tbot_forms.DESTINATIONS, "destination")
        self._check(path, shape, but=None if known else place)

    def _type(self, path: Path, known: Mapping[str, type[Section]], what: str) -> type[Section] | None:
        """Return the section that the `type` of an entry names; it is noted where there is none."""
        value = self._at(path)
        if not isinstance(value, dict):
            self._problems += map(str, yaml.problems(self._document, dict[str, Any], path))
            return None
        name = value.get("type")
        if isinstance(name, str) and name in known:
            return known[name]
        self._wrong((*path, "type"), tbot_forms.unknown_type(what, dotted(path), name))
        return None

    def _check(self, path: Path, shape: type[Section], *, but: Path | None = None) -> None:
        """Note what keeps the part at `path` from being of a shape, values that it cannot have, and keys that nothing
        acts on yet. That the part at `but` is of no known type has been noted."""
        problems = yaml.problems(self._document, shape, path)
        noted = (dotted(but), dotted((*but, "type"))) if but else ()
        self._problems += [str(each) for each in problems if each.path not in noted]
        if not problems:
            for inner, error in convert(without_nulls(self._at(path)), shape).faults():
                self._wrong((*path, *inner), error)
        for at, later, beside in refusals(shape, self._at(path), path):
            supported = later.supported if later.harmless else f"beside it {', '.join(beside)}"
            self._wrong(at, NotSupported("CONFIG-NOT-SUPPORTED", key=dotted(at), supported=supported))

    def _at(self, path: Path) -> Any:
        value: Any = self._document.data
        for step in path:
            value = value[step]
        return value

    def _wrong(self, path: Path, error: TeleportError) -> None:
        self._errors.append(error.at(self._document.where(self._origin(path))))


def dump(config: TbotYaml) -> str:
    """Write a configuration as YAML, in the order of the keys, with its secrets; reading it gives the same one."""
    return written.write({"version": config.version, **plain(config)})
