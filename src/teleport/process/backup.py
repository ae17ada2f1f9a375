"""Backup: everything in the data directory that a restored cluster needs, in one private file.

The store is copied by SQLite while the process runs or not, keys of authorities by the kernel
(`process.archive`), and a manifest with the digest of every file ends the archive: without it there is none.
The file gets its name only when it is whole, so that a backup that was interrupted leaves nothing that looks
like one. Not here: bringing it back (`process.restore`).
"""

from __future__ import annotations

import base64
import datetime as dt
import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from teleport.base.clock import Clock
from teleport.base.disk import map_errors
from teleport.base.entropy import Entropy
from teleport.base.errors import AlreadyExists, BadParameter, NotFound, TeleportError, Unavailable, from_grpc
from teleport.base.struct import Struct, decode, encode
from teleport.model.kinds.cert_authority import AuditKey, CertAuthority, JwtKey
from teleport.model.kinds.session_recording_config import SessionRecordingConfig
from teleport.pki import keys, x509
from teleport.process import archive, staging
from teleport.store import sqlite_schema
from teleport.store.sqlite_copy import SqliteCopy, snapshot
from teleport.version import VERSION

FORMAT = 1
MANIFEST = "manifest.json"
STORE = f"backend/{sqlite_schema.FILE}"
KEYS = "keys"
MANIFEST_LIMIT = 1 << 24
ATTEMPTS = 5
"""How often keys and store are copied anew when an authority's key changed in between."""
_LEFT_OUT = (".db-wal", ".db-shm", ".db-journal", ".sock")
_LOCKS = frozenset({"lock"})


class FileFacts(Struct, frozen=True, kw_only=True):
    """What a member of the archive must be."""

    size: int
    sha256: str


class Head(Struct, frozen=True, kw_only=True):
    """Where a log ended."""

    log: str
    sequence: int
    digest: str


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    format: int
    version: str
    """Of the build that wrote it."""
    created: dt.datetime
    files: dict[str, FileFacts]
    logs: tuple[Head, ...] = ()


@dataclass(frozen=True)
class Summary:
    """What was saved."""

    files: int
    keys: int
    size: int
    records: int
    """Audit records."""


def make(data_dir: Path, target: Path, *, clock: Clock, entropy: Entropy) -> Summary:
    """Write a backup of `data_dir` to the new file `target`.

    Raises AlreadyExists (DISK-EXISTS), BadParameter (BACKUP-INSIDE),
    NotFound (BACKUP-NOTHING), Unavailable (BACKUP-CHANGING), and STORE-*,
    PKI-* and DISK-* errors.
    """
    target = target.absolute()
    if os.path.lexists(target):
        raise AlreadyExists("DISK-EXISTS", path=target)
    if target.is_relative_to(data_dir.absolute()):
        raise BadParameter("BACKUP-INSIDE", path=target, data_dir=data_dir)
    if not (data_dir / STORE).is_file():
        raise NotFound("BACKUP-NOTHING", path=data_dir)
    with staging.folder(target.parent, f".{target.name}.backup", entropy) as work:
        store = work / sqlite_schema.FILE
        key_facts = _copy_store(data_dir, store)
        draft = work / "archive"
        with map_errors(str(draft)):
            file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                summary = _write(file, data_dir, store, key_facts, clock)
            finally:
                os.close(file)
        with map_errors(str(target)):
            _name(draft, target)
        staging.sync(target.parent)
    return summary


def _name(draft: Path, target: Path) -> None:
    """Give the finished archive its name; what stands there by now is not replaced."""
    try:
        os.link(draft, target)  # unlike a rename, fails when something is there
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        os.rename(draft, target)  # a file system without second names for a file


def _copy_store(data_dir: Path, copy: Path) -> Mapping[str, Mapping[str, str]]:
    """Copy the store, then look at the keys: they must be those that the copy speaks of."""
    for _ in range(ATTEMPTS):
        snapshot(data_dir / STORE, copy)
        known = survey(data_dir / KEYS)
        with SqliteCopy(copy) as store:
            store.check()
            if not (problem := key_problem(store, known)):
                return known
        copy.unlink()
    raise Unavailable("BACKUP-CHANGING", problem=problem)


def _write(file: int, data_dir: Path, store: Path, key_facts: Mapping[str, Mapping[str, str]], clock: Clock) -> Summary:
    writer = archive.ArchiveWriter(file)
    files = {}
    for name, source in [(STORE, store), *_others(data_dir)]:
        try:
            member = writer.add(name, source)
        except NotFound:  # recordings leave the spool while this goes on; they are stored elsewhere then
            if not name.startswith("log/"):
                raise
            continue
        files[name] = FileFacts(size=member.size, sha256=digest(file, member))
    for key_id, facts in key_facts.items():
        member = writer.add(f"{KEYS}/{key_id}", data_dir / KEYS / key_id)
        files[f"{KEYS}/{key_id}"] = FileFacts(size=member.size, sha256=facts["sha256"])
    with SqliteCopy(store) as copy:
        heads = heads_of(copy)
    manifest = Manifest(format=FORMAT, version=VERSION, created=clock.now(), files=files, logs=heads)
    writer.add_bytes(MANIFEST, encode(manifest))
    writer.finish()
    records = sum(head.sequence for head in heads)
    return Summary(len(files), len(key_facts), os.fstat(file).st_size, records)


def _others(data_dir: Path) -> Iterator[tuple[str, Path]]:
    """Yield what else lies in the data directory: names in the archive and paths, in order."""
    for folder, folders, names in os.walk(data_dir):
        here = Path(folder)
        top = here == data_dir
        folders[:] = sorted(f for f in folders if not f.startswith(".") and not (top and f in (KEYS, "backend")))
        for name in sorted(names):
            path = here / name
            member = str(path.relative_to(data_dir))
            kept = archive.NAME.fullmatch(member) and not name.endswith(_LEFT_OUT) and name not in _LOCKS
            if kept and stat.S_ISREG(path.lstat().st_mode):
                yield member, path


def survey(folder: Path) -> dict[str, dict[str, str]]:
    """Have the keys in a folder looked at by a process that is as closed as the signer. Raises PKI-* errors."""
    if not folder.exists():
        return {}
    command = [sys.executable, "-I", "-m", "teleport.pki.key_check", "--folder", str(folder.absolute())]
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, cwd="/", check=False
    )  # fmt: skip
    try:
        told = json.loads(done.stdout)
    except ValueError:
        problem = f"the check of the keys ended with status {done.returncode}"
        raise BadParameter("PKI-KEY-STORE", path=folder, problem=problem) from None
    if done.returncode:
        raise from_grpc(told["grpc"], told["code"], told["fields"])
    return dict(told)


def key_problem(store: SqliteCopy, known: Mapping[str, Mapping[str, str]]) -> str:
    """Return why the keys do not fit the authorities in a store; empty when every one has its own."""
    for key, value in store.items("/authorities/"):
        try:
            authority = decode(value, CertAuthority)
        except (msgspec.MsgspecError, TeleportError) as error:
            return f"{key} cannot be read: {error}"
        for key_id, public in _keys_of(authority):
            facts = known.get(key_id)
            if facts is None:
                return f"{key}: its key {key_id} is missing"
            if base64.b64decode(facts["spki"]) != public:
                return f"{key}: its key {key_id} is another one"
    return _recording_problem(store, known)


def _recording_problem(store: SqliteCopy, known: Mapping[str, Mapping[str, str]]) -> str:
    for key, value in store.items("/session_recording_config/"):
        try:
            config = decode(value, SessionRecordingConfig)
        except (msgspec.MsgspecError, TeleportError) as error:
            return f"{key} cannot be read: {error}"
        for sealing in config.status.keys:
            if known.get(sealing.id, {}).get("spki") != sealing.public_key:
                return f"{key}: its key {sealing.id} is missing, or another one"
    return ""


def _keys_of(authority: CertAuthority) -> Iterator[tuple[str, bytes]]:
    """Yield the id and the public part of every key that the signer is to have."""
    for pair in (authority.spec.active_keys, authority.spec.additional_trusted_keys):
        for ssh in pair.ssh:
            if ssh.key_id:
                yield ssh.key_id, keys.spki(keys.load_ssh_blob(keys.load_ssh_line(ssh.public_key)))
        for tls in pair.tls:
            if tls.key_id:
                (certificate,) = x509.split_pem(tls.cert)
                yield (
                    tls.key_id,
                    x509.parse(certificate).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
                )
        plain_keys: tuple[JwtKey | AuditKey, ...] = (*pair.jwt, *pair.audit)
        for plain in plain_keys:
            if plain.key_id:
                yield plain.key_id, _der(plain.public_key)


def _der(pem: str) -> bytes:
    """Return what stands between the lines of a PEM block; of garbage nothing, which is no key's."""
    try:
        return base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-----")))
    except ValueError:
        return b""


def heads_of(store: SqliteCopy) -> tuple[Head, ...]:
    """Return where every log ends."""
    return tuple(
        Head(log=name, sequence=sequence, digest=found.hex()) for name, sequence, found in store.heads()
    )  # fmt: skip


def digest(file: int, member: archive.Member) -> str:
    """Return the SHA-256 of a member's content, in hexadecimal digits. Never used for keys."""
    found = hashlib.sha256()
    for part in archive.read(file, member):
        found.update(part)
    return found.hexdigest()
