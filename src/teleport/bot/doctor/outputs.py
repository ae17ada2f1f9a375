"""Whether an output has what it should: what it would get now is made, into memory, and compared with what is there."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from teleport.base.errors import AccessDenied, NotFound, TeleportError
from teleport.bot.doctor.case import Case, Repair
from teleport.bot.held import stamp
from teleport.bot.parts import Destination
from teleport.client import identity_file
from teleport.client.doctor.report import Finding
from teleport.model.config.tbot_destinations import DirectoryDestination
from teleport.model.config.tbot_services import KubernetesOutput, KubernetesV2Output, OutputSection, ServiceEntry
from teleport.model.identity import Identity
from teleport.pki import codec, keys, ssh, x509

CERTIFICATE, SSH_CERTIFICATE, KEY, IDENTITY = "tlscert", "key-cert.pub", "key", "identity"
_OF_TODAY = (".write-test",)
"""Files whose absence means nothing."""


class Scratch:
    """A destination in memory that passes for another one."""

    def __init__(self, place: Destination) -> None:
        self._place = place
        self.files: dict[str, bytes] = {}

    @property
    def folder(self) -> str:
        """See Destination."""
        return self._place.folder

    async def prepare(self, names: Sequence[str]) -> None:
        """Do nothing."""

    async def check(self) -> None:
        """Do nothing."""

    async def read(self, name: str) -> bytes | None:
        """See Destination."""
        return self.files.get(name)

    async def write(self, files: Mapping[str, bytes]) -> None:
        """Keep files."""
        self.files.update(files)

    def __str__(self) -> str:
        return str(self._place)


class Look:
    """At one service."""

    def __init__(self, section: ServiceEntry, name: str) -> None:
        self._section = section
        self._name = name

    async def run(self, case: Case) -> str | Finding:
        """Raises what making it raises."""
        section = self._section
        if not isinstance(section, (OutputSection, KubernetesV2Output)):
            return Finding(self._name, "skip", "it listens, and keeps its certificates to itself")
        if _pointless(section):
            evidence = f"Destination {section.destination} must be a directory in exec plugin mode"
            return Finding.told(self._name, "K8S-SECRET-EXEC", evidence)
        place = case.destination(section.destination)
        wanted: dict[str, bytes] | None = None
        if case.in_standing:
            try:
                wanted = await self._made(case, section, place)
            except TeleportError as error:
                return await self._refused(case, section, place, error)
        return await self._compared(case, place, wanted)

    async def _made(self, case: Case, section: ServiceEntry, place: Destination) -> dict[str, bytes]:
        scratch = Scratch(place)
        service = case.service(section, scratch)
        await service.prepare()
        await service.generate(case.bot)
        return scratch.files

    async def _refused(self, case: Case, section: ServiceEntry, place: Destination, error: TeleportError) -> Finding:
        """Return why an output gets nothing: because of the roles that it asks for, where that is why."""
        held, roles = case.held, getattr(section, "roles", ())
        bot = held.identity.bot_name if held else ""
        if error.code == "POL-IMPERSONATION":
            return Finding.told(self._name, "BOT-ROLE-NOT-GRANTED", error.what, bot=bot, roles=",".join(roles))
        if roles and isinstance(error, (NotFound, AccessDenied)):
            try:
                await self._made(case, msgspec.structs.replace(section, roles=()), place)
            except TeleportError:
                return Finding.of(self._name, error)
            evidence = f"{error.what}: with all roles of the bot it would be there, `roles` leaves some out"
            return Finding.told(self._name, "BOT-ROLE-SUBSET", evidence, roles=", ".join(roles))
        return Finding.of(self._name, error)

    async def _compared(self, case: Case, place: Destination, wanted: dict[str, bytes] | None) -> str | Finding:
        written = await place.read(CERTIFICATE)
        if not written and (wanted is None or CERTIFICATE in wanted):
            return Finding.told(self._name, "OUT-EMPTY", f"{place} has no certificates", place=place)
        expected = [name for name, content in (wanted or {}).items() if content and name not in _OF_TODAY]
        missing = [name for name in expected if not await place.read(name)]
        if missing:
            return Finding.told(self._name, "OUT-EMPTY", f"{place} has no {', '.join(missing)}", place=place)
        if not written:
            return f"{place} has what it should"
        return self._open(case, place) or await self._damaged(place) or await self._fresh(case, place, written, wanted)

    def _open(self, case: Case, place: Destination) -> Finding | None:
        path = os.path.join(place.folder, KEY)
        if not place.folder or not os.path.exists(path):
            return None
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if not mode & stat.S_IRWXO:
            return None
        case.repairs[self._name] = Repair(f"chmod 0600 {path}", partial(os.chmod, path, 0o600))
        return Finding.told(self._name, "OUT-OPEN", f"{path} has mode {mode:04o}", path=path)

    async def _damaged(self, place: Destination) -> Finding | None:
        for name, read in _READERS.items():
            content = await place.read(name)
            try:
                if content is not None:
                    read(content)
            except TeleportError as error:
                evidence = f"{name} in {place}: {error.what}"
                return Finding.told(self._name, "OUT-DAMAGED", evidence, file=name)
        return None

    async def _fresh(
        self, case: Case, place: Destination, written: bytes, wanted: dict[str, bytes] | None
    ) -> str | Finding:  # fmt: skip
        certificate = x509.parse(written)
        key = await place.read(KEY)
        if key is not None and keys.load_private(key).public_key() != certificate.public_key():
            return Finding.told(self._name, "OUT-MIXED", f"{place}: {CERTIFICATE} is not for {KEY}", place=place)
        until = certificate.not_valid_after_utc
        if until <= case.now():
            return Finding.told(self._name, "OUT-EXPIRED", f"{place}: ended at {stamp(until)}", place=place)
        # Whom certificates name stands in the one for SSH: that for a database names an account of the database.
        line = await place.read(SSH_CERTIFICATE)
        if line is None:
            return f"{place}: valid until {stamp(until)}"
        identity = _named(line)
        if wanted is not None and SSH_CERTIFICATE in wanted:
            now = _named(wanted[SSH_CERTIFICATE])
            changed = [
                f"{what} {_words(former)}, now {_words(new)}"
                for what, former, new in (
                    ("roles", identity.roles, now.roles), ("logins", identity.logins, now.logins),
                    ("traits", identity.traits, now.traits),
                )
                if former != new
            ]  # fmt: skip
            if changed:
                self._offer_reload(case)
                return Finding.told(self._name, "BOT-STALE-CERT", f"{place}: {'; '.join(changed)}", "warn")
        return f"{place}: {', '.join(identity.roles)}, valid until {stamp(until)}"

    def _offer_reload(self, case: Case) -> None:
        holder = case.machine.holder(os.path.join(case.storage.folder, "lock")) if case.storage.folder else None
        if holder is not None:
            case.repairs[self._name] = Repair(
                f"kill -USR1 {holder.pid}", partial(os.kill, holder.pid, signal.SIGUSR1)
            )  # fmt: skip


def _named(line: bytes) -> Identity:
    """Return whom an SSH certificate names."""
    return codec.from_ssh(ssh.parse(keys.load_ssh_line(line.decode("ascii", "replace"))))


def _whole(data: bytes) -> None:
    """See that an identity file has what programs take from it. Raises BadParameter (CLIENT-IDENTITY, PKI-*)."""
    parts = identity_file.parse(data, IDENTITY)
    keys.load_private(parts.key.encode())
    x509.parse(parts.tls_certificate.encode())
    _named(parts.ssh_certificate.encode())


_READERS: Mapping[str, Callable[[bytes], object]] = {
    KEY: keys.load_private, CERTIFICATE: x509.parse, SSH_CERTIFICATE: _named, IDENTITY: _whole,
}  # fmt: skip
"""How programs read the files of an output."""


def _pointless(section: OutputSection | KubernetesV2Output) -> bool:
    """Whether kubectl is told to ask for credentials that are in no folder."""
    plugin = isinstance(section, (KubernetesOutput, KubernetesV2Output)) and not section.disable_exec_plugin
    return plugin and not isinstance(section.destination, DirectoryDestination)


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={'/'.join(values)}" for name, values in sorted(value.items())) or "none"
    return ", ".join(value) if isinstance(value, tuple) and value else "none"
