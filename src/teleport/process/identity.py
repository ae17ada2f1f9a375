"""Who this process is to its cluster: keys and certificates of its system roles, kept on disk and renewed in time.

On disk stands one file for each role, `<data_dir>/proc/<role>.json`, mode 0600 in a folder 0700, which holds a key
pair, its certificates and what they were asked for: it is replaced by a rename, so key and certificate always fit.
Beside them stand the certificates of the host authority (`authorities.pem`), by which the Auth Service is recognised.
Not here: the first certificate, which comes of joining (`process.membership`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from teleport.api.messages import HostRequest, MadeCertificates
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter, Internal, TeleportError
from teleport.base.log import logger
from teleport.base.retry import Backoff
from teleport.base.struct import Struct
from teleport.net.ssh_settings import HostKey
from teleport.pki import keys, x509

log = logger("PROC:1")

FOLDER = "proc"
AUTHORITIES = "authorities.pem"
HOST_UUID = "host_uuid"
LARGEST = 1 << 20
"""Bytes of a file of ours."""
RENEW_AFTER = 2 / 3
"""Part of its life after which a certificate is replaced: a third of it is left to reach the Auth Service."""
LOOK_EVERY = 3600.0
"""Seconds between two looks at the time that is left; machines sleep, and clocks are set."""
_RETRY = Backoff(first=5.0, most=600.0)

Issue = Callable[[HostRequest], Awaitable[MadeCertificates]]
"""Has certificates made: `AuthClient.issue_host` of a client that may."""


@dataclass(frozen=True)
class Wanted:
    """What the certificates of a role shall say."""

    role: str
    node_name: str
    principals: tuple[str, ...] = ()
    """Names beside those that follow from the host's id and name."""
    also: tuple[str, ...] = ()
    """Further system roles, which only an Instance has."""


class KeyPair(Struct, frozen=True, kw_only=True):
    """New keys for a role, before they are certified."""

    ssh: str
    tls: str
    """Both PEM, PKCS #8."""

    @classmethod
    def make(cls, entropy: Entropy) -> KeyPair:
        """Make keys of the algorithms of the suite `balanced-v1`."""
        ssh, tls = keys.make_ed25519(entropy), keys.make_p256(entropy)
        return cls(ssh=keys.private_pem(ssh).decode(), tls=keys.private_pem(tls).decode())

    @property
    def ssh_public(self) -> str:
        """The public SSH key, as in authorized_keys."""
        return keys.ssh_line(keys.ssh_blob(keys.load_private(self.ssh.encode()).public_key()))

    @property
    def tls_public(self) -> str:
        """The public TLS key, PEM."""
        return keys.public_pem(keys.load_private(self.tls.encode()).public_key())

    def __repr__(self) -> str:
        return "KeyPair(...)"


class HostIdentity(Struct, frozen=True, kw_only=True):
    """Keys and certificates with which this process acts in one system role."""

    role: str
    host_uuid: str
    cluster: str
    keys: KeyPair
    ssh_certificate: str
    """One line, as OpenSSH writes it."""
    tls_certificate: str
    """PEM."""
    issued: dt.datetime
    expires: dt.datetime
    node_name: str = ""
    principals: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    """What was wanted (see Wanted)."""

    def fits(self, wanted: Wanted) -> bool:
        """Whether the certificates say what is wanted now."""
        said = (self.node_name, self.principals, frozenset(self.also))
        return said == (wanted.node_name, wanted.principals, frozenset(wanted.also))

    @property
    def renewal(self) -> dt.datetime:
        """When they shall be replaced."""
        return self.issued + (self.expires - self.issued) * RENEW_AFTER

    @property
    def host_key(self) -> HostKey:
        """What an SSH server proves itself with."""
        return HostKey(self.keys.ssh.encode(), keys.load_ssh_line(self.ssh_certificate))

    @property
    def signing_key(self) -> ec.EllipticCurvePrivateKey:
        """The key of the TLS certificate, to sign with."""
        key = keys.load_private(self.keys.tls.encode())
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - `KeyPair.make` makes no other
        return key

    def __repr__(self) -> str:
        return f"HostIdentity(role={self.role!r}, host_uuid={self.host_uuid!r}, expires={self.expires.isoformat()!r})"


class IdentityStore:
    """Identities in a data directory."""

    def __init__(self, disk: Disk, data_dir: Path) -> None:
        self._disk = disk
        self._data_dir = data_dir
        self._folder = str(data_dir / FOLDER)

    def load(self, role: str) -> HostIdentity | None:
        """Return the identity of a role; None if there is none. Raises BadParameter (DISK-PERMISSIONS, PROC-IDENTITY)
        and what reading raises."""
        path = self._path(f"{role.lower()}.json")
        if not self._disk.exists(path):
            return None
        data = self._disk.read(path, limit=LARGEST, private=True)
        try:
            found = msgspec.json.decode(data, type=HostIdentity)
            x509.parse(found.tls_certificate.encode())
            keys.load_private(found.keys.tls.encode())
            _ = found.host_key
        except (msgspec.DecodeError, TeleportError):
            raise BadParameter("PROC-IDENTITY", path=path) from None
        return found

    def save(self, identity: HostIdentity) -> None:
        """Keep an identity; with it the host's id, if it is another. Raises what writing raises."""
        self._write(f"{identity.role.lower()}.json", msgspec.json.encode(identity))
        if self.host_uuid() != identity.host_uuid:
            self._disk.write(str(self._data_dir / HOST_UUID), f"{identity.host_uuid}\n".encode(), mode=0o600)

    def authorities(self) -> tuple[str, ...]:
        """Return the certificates (PEM) of the host authority that were kept. Raises BadParameter (PROC-IDENTITY)."""
        path = self._path(AUTHORITIES)
        if not self._disk.exists(path):
            return ()
        try:
            text = self._disk.read(path, limit=LARGEST).decode()
            return tuple(x509.pem(data) for data in x509.split_pem(text))
        except (UnicodeDecodeError, BadParameter):
            raise BadParameter("PROC-IDENTITY", path=path) from None

    def save_authorities(self, certificates: Sequence[str]) -> None:
        """Keep the certificates (PEM) of the host authority. Raises what writing raises."""
        self._write(AUTHORITIES, "".join(certificates).encode())

    def host_uuid(self) -> str:
        """Return the host's id; empty if it has none yet."""
        path = str(self._data_dir / HOST_UUID)
        return self._disk.read(path, limit=100).decode().strip() if self._disk.exists(path) else ""

    def _write(self, name: str, data: bytes) -> None:
        self._disk.make_dir(self._folder, mode=0o700)
        self._disk.write(self._path(name), data, mode=0o600)

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)


class RoleIdentity:
    """The identity of one role while the process runs: always the newest."""

    def __init__(
        self, wanted: Wanted, *, issue: Issue, clock: Clock, entropy: Entropy, store: IdentityStore | None = None,
        on_change: Callable[[HostIdentity], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """Without a `store` keys stay in memory and live as long as the process. `on_change` hears of each new one."""
        self.wanted = wanted
        self._issue = issue
        self._clock = clock
        self._entropy = entropy
        self._store = store
        self._on_change = on_change
        self._current: HostIdentity | None = None

    @property
    def current(self) -> HostIdentity:
        """The identity in use. Raises Internal (PROC-NO-IDENTITY) before `ensure` has ended."""
        if self._current is None:
            raise Internal("PROC-NO-IDENTITY", role=self.wanted.role)
        return self._current

    @property
    def ready(self) -> bool:
        """Whether there is an identity to act with."""
        return self._current is not None

    def use(self, identity: HostIdentity) -> None:
        """Use an identity that is on disk."""
        self._current = identity

    def take(self, identity: HostIdentity) -> None:
        """Use an identity that was made elsewhere, and keep it."""
        if self._store is not None:
            self._store.save(identity)
        self._current = identity
        self._on_change(identity)

    async def ensure(self, host_uuid: str, cluster: str) -> None:
        """Have an identity for this host that says what is wanted: the one on disk if it does, else a new one.

        Raises what `issue`, reading and writing raise."""
        held = self._current or (self._store.load(self.wanted.role) if self._store is not None else None)
        if held is not None and (held.host_uuid, held.cluster) == (host_uuid, cluster) and held.fits(self.wanted):
            if self._clock.now() < held.renewal:
                self._current = held
                return
        elif held is not None:
            log.info("What certificates say has changed, new ones are asked for", role=self.wanted.role)
        await self.renew(host_uuid, cluster)

    async def renew(self, host_uuid: str, cluster: str) -> None:
        """Have new keys certified and use them. Raises what `issue` and writing raise."""
        wanted, pair, now = self.wanted, KeyPair.make(self._entropy), self._clock.now()
        made = await self._issue(
            HostRequest(
                host_uuid=host_uuid, node_name=wanted.node_name, roles=(wanted.role, *wanted.also),
                ssh_public_key=pair.ssh_public, tls_public_key=pair.tls_public, principals=wanted.principals,
            )
        )  # fmt: skip
        self.take(
            HostIdentity(
                role=wanted.role, host_uuid=host_uuid, cluster=cluster, keys=pair,
                ssh_certificate=made.ssh_certificate, tls_certificate=made.tls_certificate, issued=now,
                expires=made.expires, node_name=wanted.node_name, principals=wanted.principals, also=wanted.also,
            )
        )  # fmt: skip

    async def keep(self) -> None:
        """Renew in time, until cancelled. While it fails the former identity stays in use, and the log says so."""
        waits = _RETRY.waits(self._entropy)
        while True:
            held, now = self.current, self._clock.now()
            if now < held.renewal:
                waits = _RETRY.waits(self._entropy)
                await asyncio.sleep(min((held.renewal - now).total_seconds(), LOOK_EVERY))
                continue
            try:
                await self.renew(held.host_uuid, held.cluster)
                log.info("Certificates were renewed", role=held.role, expires=self.current.expires.isoformat())
            except TeleportError as error:
                tell = log.error if now >= held.expires else log.warn
                tell("Certificates were not renewed", role=held.role, expires=held.expires.isoformat(), error=error)
                await asyncio.sleep(1.0 + next(waits))


def keeping(identity: RoleIdentity) -> asyncio.Task[None]:
    """Keep an identity fresh in the background; the caller cancels the task."""
    return tasks.spawn(identity.keep(), name=f"identity of {identity.wanted.role}", on_error=_ended)


def _ended(error: BaseException) -> None:
    log.error("Certificates of this process are no longer renewed", error=error)
