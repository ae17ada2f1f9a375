"""Profile: what `tsh` remembers of a sign-in, and where it stands under `~/.tsh`.

A profile file holds the facts of the certificate, so that `tsh status` parses no certificate. It is
JSON, which is YAML as well, under the name other tools look for: `<proxy>.yaml`.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping

import msgspec

from teleport.base.disk import Disk
from teleport.base.errors import BadParameter, NotFound
from teleport.base.struct import Struct, decode, encode

MAX_FILE = 1 << 20
"""Bytes that a file of the profile may have."""


class Profile(Struct, frozen=True, kw_only=True):
    """One sign-in at one proxy."""

    web_proxy_addr: str
    """`host:port` of the proxy."""
    user: str
    cluster: str
    auth_type: str = "local"
    roles: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    """Logins of hosts; internal principals are left out."""
    traits: dict[str, tuple[str, ...]] = {}
    extensions: tuple[str, ...] = ()
    valid_until: dt.datetime

    @property
    def proxy_host(self) -> str:
        """Host of the proxy without port: the name of the profile."""
        return self.web_proxy_addr.rpartition(":")[0].strip("[]")

    @property
    def url(self) -> str:
        """Address of the proxy as people see it."""
        return f"https://{self.web_proxy_addr}"


class Home:
    """The folder of profiles and keys. All key files have mode 0600, all folders 0700."""

    def __init__(self, root: str, disk: Disk) -> None:
        self.root = root
        self.disk = disk

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], disk: Disk) -> Home:
        """Use `TELEPORT_HOME`, else `~/.tsh`."""
        chosen = environment.get("TELEPORT_HOME")
        return cls(chosen or os.path.join(os.path.expanduser("~"), ".tsh"), disk)

    def current(self) -> Profile:
        """Return the profile in use. Raises NotFound (CLIENT-NOT-LOGGED-IN)."""
        try:
            host = self.disk.read(f"{self.root}/current-profile", limit=300).decode().strip()
        except NotFound:
            raise NotFound("CLIENT-NOT-LOGGED-IN") from None
        return self.load(host)

    def load(self, proxy_host: str) -> Profile:
        """Return the profile of one proxy. Raises NotFound (CLIENT-NOT-LOGGED-IN), BadParameter (CLIENT-PROFILE)."""
        path = self._profile_file(proxy_host)
        try:
            data = self.disk.read(path, limit=MAX_FILE)
        except NotFound:
            raise NotFound("CLIENT-NOT-LOGGED-IN") from None
        try:
            return decode(data, Profile)
        except (msgspec.DecodeError, msgspec.ValidationError) as problem:
            raise BadParameter("CLIENT-PROFILE", path=path, problem=problem) from None

    def profiles(self) -> list[Profile]:
        """Return every readable profile, in order of proxy."""
        if not self.disk.exists(self.root):
            return []
        names = sorted(name for name in self.disk.list_dir(self.root) if name.endswith(".yaml"))
        return [self.load(name.removesuffix(".yaml")) for name in names]

    def save(self, profile: Profile) -> None:
        """Write the profile and make it the current one."""
        self.disk.make_dir(self.root, mode=0o700)
        self.disk.write(self._profile_file(profile.proxy_host), encode(profile) + b"\n", mode=0o600)
        self.disk.write(f"{self.root}/current-profile", profile.proxy_host.encode() + b"\n", mode=0o600)

    def forget(self, profile: Profile) -> None:
        """Remove a profile with all its keys and certificates."""
        for path in self.files(profile).all():
            self._remove(path)
        self._remove(self._profile_file(profile.proxy_host))
        current = f"{self.root}/current-profile"
        if self.disk.exists(current) and self.disk.read(current, limit=300).decode().strip() == profile.proxy_host:
            self.disk.remove(current)

    def _remove(self, path: str) -> None:
        if self.disk.exists(path):
            self.disk.remove(path)

    def files(self, profile: Profile) -> Files:
        """Return where the keys and certificates of a profile stand."""
        return Files(self.root, profile.proxy_host, profile.user, profile.cluster)

    def _profile_file(self, proxy_host: str) -> str:
        if not proxy_host or "/" in proxy_host or proxy_host.startswith("."):
            raise BadParameter("CLIENT-PROXY-NAME", proxy=proxy_host[:80])
        return f"{self.root}/{proxy_host}.yaml"


class Files:
    """Paths of one sign-in, as other programs expect them (the layout of `~/.tsh`)."""

    def __init__(self, root: str, proxy_host: str, user: str, cluster: str) -> None:
        for part in (proxy_host, user, cluster):
            if not part or "/" in part or part.startswith("."):
                raise BadParameter("CLIENT-PROXY-NAME", proxy=part[:80])
        keys = f"{root}/keys/{proxy_host}"
        self.folder = keys
        self.known_hosts = f"{root}/known_hosts"
        self.ssh_key = f"{keys}/{user}"
        self.ssh_public_key = f"{keys}/{user}.pub"
        self.ssh_certificate = f"{keys}/{user}-ssh/{cluster}-cert.pub"
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
            self.tls_key,
            self.tls_certificate,
            self.authorities,
            self.cluster_authorities,
        )
