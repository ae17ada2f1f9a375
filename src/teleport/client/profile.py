"""Profile: what `tsh` remembers of a sign-in, and where it stands under `~/.tsh`.

A profile file holds the facts of the certificate, so that `tsh status` parses no certificate. It is
JSON, which is YAML as well, under the name other tools look for: `<proxy>.yaml`.
"""

from __future__ import annotations

import os

from teleport.base import lean_json
from teleport.base.disk import Disk
from teleport.base.errors import BadParameter, NotFound
from teleport.base.lean import TYPE_CHECKING, Callable, Iterable, Mapping, NamedTuple, dt
from teleport.model.address import Address, parse_addr
from teleport.model.naming import name_problem

if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

MAX_FILE = 1 << 20
"""Bytes that a file of the profile may have."""
DEFAULT_PORTS = (443, 3080)
"""Tried in this order for a proxy given without a port."""
WAY = (
    "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
    "TELEPORT_TLS_ROUTING_CONN_UPGRADE", "TELEPORT_TLS_ROUTING_UPGRADE",
)  # fmt: skip
"""Variables because of which the way to a proxy may not be straight."""
WAY_EXCEPTIONS = ("NO_PROXY", "no_proxy")
_LONGEST = 200
"""Characters of a name that becomes part of a file name: with its ending it must fit into 255 bytes."""
_RESERVED = ("cas", "certs.pem", "known_hosts")
"""Names beside the keys of the user."""


class Profile(NamedTuple):
    """One sign-in at one proxy. No Struct: reading it would cost a command more than the command itself."""

    web_proxy_addr: str
    """`host:port` of the proxy."""
    user: str
    cluster: str
    valid_until: dt.datetime
    auth_type: str = "local"
    roles: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    """Logins of hosts; internal principals are left out."""
    traits: Mapping[str, tuple[str, ...]] = {}
    extensions: tuple[str, ...] = ()
    critical_options: Mapping[str, str] = {}
    """Limits of the certificate that every SSH server must respect, for example `source-address`."""
    proxy_version: str = ""
    """Version that the proxy had at the sign-in."""
    upgraded: bool = False
    """Whether a load balancer ended TLS before the proxy at the sign-in, so that connections must be upgraded."""

    @property
    def proxy_host(self) -> str:
        """Host of the proxy without port: the name of the profile."""
        return host_of(self.web_proxy_addr)

    @property
    def url(self) -> str:
        """Address of the proxy as people see it."""
        return f"https://{self.web_proxy_addr}"


def between(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that change the way to a proxy (`model.proxy_env` reads them); usually none."""
    found = {name: environment[name] for name in WAY if environment.get(name)}
    if found:
        found |= {name: environment[name] for name in WAY_EXCEPTIONS if environment.get(name)}
    return found


def address_of(text: str) -> Address:
    """Read the address of a proxy as people write it, `https://` and all; port 0 where none is given.

    Raises BadParameter (KIND-ADDRESS).
    """
    return parse_addr(text.strip().removeprefix("https://").rstrip("/"), 0)


def host_of(text: str) -> str:
    """Return the host in the address of a proxy. Raises BadParameter (KIND-ADDRESS)."""
    return address_of(text).host


def write(profile: Profile) -> bytes:
    """Return the text of a profile file: JSON without what is as usual."""
    fields: dict[str, Any] = profile._asdict()
    usual: Mapping[str, Any] = Profile._field_defaults
    kept = {name: value for name, value in fields.items() if name not in usual or value != usual[name]}
    import json  # what reads a profile has no time for it

    kept["valid_until"] = profile.valid_until.isoformat().replace("+00:00", "Z")
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def read(data: bytes) -> Profile:
    """Read what `write` has written. Raises ValueError, RecursionError."""
    document = lean_json.loads(data.decode())
    if not isinstance(document, dict):
        raise ValueError("it is no object")
    missing = {"web_proxy_addr", "user", "cluster", "valid_until"} - set(document)
    unknown = set(document) - set(Profile._fields)
    if missing or unknown:
        raise ValueError(f"it lacks or has a field: {', '.join(sorted(missing or unknown))[:100]}")
    return Profile(**{name: _reader(name)(value) for name, value in document.items()})


def _reader(name: str) -> Callable[[Any], Any]:
    return _READERS.get(name, _text)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is none")
    value.encode()  # lone surrogates are no text
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("a list is none")
    return tuple(map(_text, value))


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("a switch is none")
    return value


def _map(value: Any, read_entry: Callable[[Any], T]) -> dict[str, T]:
    if not isinstance(value, dict):
        raise ValueError("an object is none")
    return {_text(name): read_entry(entry) for name, entry in value.items()}


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "valid_until": lambda value: dt.datetime.fromisoformat(_text(value)),
    "roles": _texts, "logins": _texts, "extensions": _texts,
    "traits": lambda value: _map(value, _texts), "critical_options": lambda value: _map(value, _text),
    "upgraded": _switch,
}  # fmt: skip


class Home:
    """The folder of profiles and keys. All key files have mode 0600, all folders 0700."""

    def __init__(self, root: str, disk: Disk, between: Mapping[str, str] | None = None) -> None:
        """`between`: variables of the environment that change the way to a proxy (`between`)."""
        self.root = root
        self.disk = disk
        self.between = between or {}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], disk: Disk) -> Home:
        """Use `TELEPORT_HOME`, else `~/.tsh`."""
        chosen = environment.get("TELEPORT_HOME")
        return cls(chosen or os.path.join(os.path.expanduser("~"), ".tsh"), disk, between(environment))

    def current(self) -> Profile:
        """Return the profile in use. Raises NotFound (CLIENT-NOT-LOGGED-IN, CLIENT-NO-ACTIVE-PROFILE) and as `load`."""
        return self.load(self._current())

    def load(self, proxy_host: str) -> Profile:
        """Return the profile of one proxy. Raises NotFound (CLIENT-NOT-LOGGED-IN), BadParameter (CLIENT-PROFILE)."""
        path = self._profile_file(proxy_host)
        try:
            data = self.disk.read(path, limit=MAX_FILE)
        except NotFound:
            raise NotFound("CLIENT-NOT-LOGGED-IN") from None
        try:
            profile = read(data)
            files = self.files(profile)
        except (ValueError, RecursionError, BadParameter) as problem:
            raise BadParameter("CLIENT-PROFILE", path=path, problem=problem) from None
        if files.proxy_host != proxy_host or profile.valid_until.tzinfo is None:
            raise BadParameter("CLIENT-PROFILE", path=path, problem="it is not the profile of this proxy")
        return profile

    def proxies(self) -> list[str]:
        """Return the hosts of all proxies with a profile, in order."""
        if not self.disk.exists(self.root):
            return []
        names = [name.removesuffix(".yaml") for name in self.disk.list_dir(self.root) if name.endswith(".yaml")]
        return sorted(name for name in names if not _problem(name))

    def choose(self, proxy: str) -> Profile:
        """Return the profile of a proxy, given with or without port; the current one for an empty name.

        Raises as `load`, and BadParameter (KIND-ADDRESS).
        """
        if not proxy:
            return self.current()
        return self.load(host_of(proxy))

    def profiles(self) -> list[Profile]:
        """Return every profile that can be read, in order of proxy; the log names the others."""
        found = []
        for host in self.proxies():
            try:
                found.append(self.load(host))
            except BadParameter as error:
                from teleport.base.log import logger  # every command reads a profile, and few have something to log

                logger("CLIENT").warn("A profile is left out", error=error)
        return found

    def save(self, profile: Profile) -> None:
        """Write the profile and make it the current one. What is left of another user at this proxy goes."""
        try:
            before = self.load(profile.proxy_host)
        except (NotFound, BadParameter):
            before = profile
        kept = self.files(profile).all()
        self._remove(path for path in self.files(before).all() if path not in kept)
        self.disk.make_dir(self.root, mode=0o700)
        self.disk.write(self._profile_file(profile.proxy_host), write(profile), mode=0o600)
        self.disk.write(f"{self.root}/current-profile", profile.proxy_host.encode() + b"\n", mode=0o600)

    def forget(self, profile: Profile) -> None:
        """Remove a profile with all its keys, certificates and trust."""
        files = self.files(profile)
        self._remove(files.all())
        from teleport.client import known_hosts

        known_hosts.remove(self.disk, files.known_hosts, profile.cluster)
        self._remove([self._profile_file(profile.proxy_host)])
        try:
            if self._current() == profile.proxy_host:
                self._remove([f"{self.root}/current-profile"])
        except NotFound:
            pass

    def _current(self) -> str:
        try:
            return self.disk.read(f"{self.root}/current-profile", limit=300).decode(errors="replace").strip()
        except NotFound:
            pass
        if proxies := self.proxies():
            raise NotFound("CLIENT-NO-ACTIVE-PROFILE", proxies=", ".join(proxies[:10]))
        raise NotFound("CLIENT-NOT-LOGGED-IN")

    def _remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            if self.disk.exists(path):
                self.disk.remove(path)

    def files(self, profile: Profile) -> Files:
        """Return where the keys and certificates of a profile stand. Raises BadParameter (CLIENT-PROXY-NAME)."""
        return Files(self.root, profile.proxy_host, profile.user, profile.cluster)

    def _profile_file(self, proxy_host: str) -> str:
        _check(proxy_host)
        return f"{self.root}/{proxy_host}.yaml"


class Files:
    """Paths of one sign-in, as other programs expect them (the layout of `~/.tsh`)."""

    def __init__(self, root: str, proxy_host: str, user: str, cluster: str) -> None:
        for part in (proxy_host, user, cluster):
            _check(part)
        keys = f"{root}/keys/{proxy_host}"
        self.proxy_host = proxy_host
        self.folder = keys
        self.known_hosts = f"{root}/known_hosts"
        """Host authorities of all clusters; for tools that look there."""
        self.own_known_hosts = f"{keys}/known_hosts"
        """Host authorities of this cluster alone: another cluster may not vouch for its hosts."""
        self.ssh_key = f"{keys}/{user}"
        self.ssh_public_key = f"{keys}/{user}.pub"
        self.ssh_certificate = f"{keys}/{user}-ssh/{cluster}-cert.pub"
        self.putty_key = f"{keys}/{user}.ppk"
        """The SSH key with its certificate as PuTTY reads it."""
        self.tls_key = f"{keys}/{user}.key"
        self.tls_certificate = f"{keys}/{user}.crt"
        self.authorities = f"{keys}/certs.pem"
        self.cluster_authorities = f"{keys}/cas/{cluster}.pem"

    def all(self) -> tuple[str, ...]:
        """Every file of this sign-in alone (`known_hosts` is shared)."""
        return (
            self.ssh_key,
            self.ssh_public_key,
            self.ssh_certificate,
            self.putty_key,
            self.tls_key,
            self.tls_certificate,
            self.authorities,
            self.cluster_authorities,
            self.own_known_hosts,
        )


def _check(part: str) -> None:
    problem = _problem(part)
    if problem:
        raise BadParameter("CLIENT-PROXY-NAME", proxy=part[:80], problem=problem)


def _problem(part: str) -> str:
    """Return why a name cannot be part of a file name; what ssh_config(5) cannot quote is refused as well."""
    if len(part.encode(errors="replace")) > _LONGEST:
        return f"it is longer than {_LONGEST} bytes"
    if part.startswith(".") or part in _RESERVED or '"' in part or "\\" in part:
        return "it begins with a dot, has a quote or a backslash, or is the name of another file"
    return name_problem(part)
