"""The storage of a bot: the files of its own identity in a destination, and how they change without ever being lost.

What people and other programs know are files (machine-id reference, section 7), of which no two can be replaced at
once. So one file more, `identity.next`, is written first: before the Auth Service is asked, it holds the next key pair;
after the answer, the certificates too; when the files are rewritten from it, it is emptied. Whatever stops the bot in
between, the next start finds what was asked for, or what was given, and goes on from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from teleport.api.messages import Authority
from teleport.base.errors import BadParameter, TeleportError
from teleport.base.log import logger
from teleport.base.struct import Struct
from teleport.bot.destinations.names import OF_STORAGE
from teleport.bot.held import public_keys
from teleport.bot.parts import Destination, Held
from teleport.model.identity import Identity
from teleport.pki import codec, keys, ssh, x509

log = logger("TBOT")

KEY, PUBLIC, SSH, TLS = "key", "key.pub", "key-cert.pub", "tlscert"
SSH_AUTHORITIES, TLS_AUTHORITIES = "sshcacerts", "tlscacerts"
TOKEN_HASH, NEXT = OF_STORAGE
FILES = (KEY, PUBLIC, SSH, TLS, SSH_AUTHORITIES, TLS_AUTHORITIES, TOKEN_HASH, NEXT)
"""Every file of a storage but those of its destination (`lock`, `.write-test`)."""
_NEEDED = (KEY, SSH, TLS, SSH_AUTHORITIES, TLS_AUTHORITIES)
_BETWEEN = "$"
_HOST = "host"


class Next(Struct, frozen=True, kw_only=True):
    """A key pair that the Auth Service is asked to certify; every repetition asks for the same."""

    key: str
    """PEM."""
    follows: str = ""
    """What it shall follow (`position`); empty: it is for a join."""
    token_hash: str = ""
    """Of the token that is used."""

    def __repr__(self) -> str:
        return f"Next(follows={self.follows!r})"


class Parts(Struct, frozen=True, kw_only=True):
    """An identity, as the files have it."""

    key: str
    ssh_certificate: str
    tls_certificate: str
    ssh_authorities: tuple[str, ...]
    tls_authorities: tuple[str, ...]
    token_hash: str = ""

    def __repr__(self) -> str:
        return "Parts(...)"


class _Underway(Struct, frozen=True, kw_only=True):
    """The content of `identity.next`."""

    identity: Parts | None = None
    """What is not yet in the files, or not yet in all of them."""
    next: Next | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a storage holds."""

    held: Held | None = None
    token_hash: str = ""
    """Of the token that the identity comes from; empty if that is not known."""
    next: Next | None = None
    """What was asked for, and nobody knows whether it was given."""
    settled: bool = True
    """Whether the identity stands in its files."""


def hash_of(token: str) -> str:
    """Return how a storage remembers a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def position(held: Held) -> str:
    """Return which certificates these are, of which life of the bot."""
    return f"{held.identity.bot_instance_id}/{held.identity.generation}"


class Storage:
    """Reads and writes. Every method raises what the destination raises."""

    def __init__(self, place: Destination) -> None:
        self._place = place

    def accept(self, held: Held, key: str) -> None:
        """Raise BadParameter (PKI-*, BOT-IDENTITY-REPLY) unless certificates are for this key (PEM)."""
        if held.key != key or not _fits(held.key, held.ssh_certificate, held.tls_certificate):
            raise BadParameter("BOT-IDENTITY-REPLY")

    async def prepare(self) -> None:
        """Make the place ready."""
        await self._place.prepare(FILES)

    async def check(self) -> None:
        """See that it can be written and that nobody else can read it."""
        await self._place.check()

    async def token_hash(self) -> str:
        """Return the hash of the token that the files come from; empty if there is none."""
        return (await self._place.read(TOKEN_HASH) or b"").decode("ascii", "replace").strip()

    async def load(self) -> Found:
        """Return what is there, after completing what was left half done.

        Raises BadParameter (BOT-STORAGE-CORRUPT, BOT-STORAGE-INCOMPLETE, BOT-STORAGE-MIXED, BOT-STORAGE-OUTPUT)."""
        underway = await self._underway()
        if underway.identity is None:
            parts = await self._files()
            if parts is None:
                return Found(next=underway.next)
            held = self.open(parts)
            self._refuse_others(held.identity)
            return Found(held, parts.token_hash, underway.next)
        held = self.open(underway.identity, NEXT)
        settled = await self._complete(underway)
        return Found(held, underway.identity.token_hash, underway.next, settled)

    async def expect(self, next: Next, unsettled: Held | None, token_hash: str) -> None:
        """Keep the key that is going to be asked for, and the identity where the files do not have it yet."""
        await self._note(_Underway(identity=_parts(unsettled, token_hash) if unsettled else None, next=next))

    async def save(self, held: Held, token_hash: str) -> None:
        """Keep a new identity in the place of what was expected."""
        parts = _parts(held, token_hash)
        await self._note(_Underway(identity=parts))
        await self._settle(parts)

    async def overwrite(self, held: Held, token_hash: str) -> None:
        """Write the files at once, as the original does: an interruption leaves what it leaves."""
        await self._settle(_parts(held, token_hash))

    async def _complete(self, underway: _Underway) -> bool:
        """Bring what was given into the files; a full disk leaves it where it is."""
        parts = underway.identity
        assert parts is not None  # noqa: S101 - the caller has looked
        try:
            if underway.next is None:
                await self._settle(parts)
            else:
                await self._place.write(_content(parts))
        except TeleportError as error:
            log.warn("The files of the bot's identity were not completed", storage=self._place, error=error)
            return False
        return underway.next is None

    async def _settle(self, parts: Parts) -> None:
        await self._place.write(_content(parts))
        await self._place.write({NEXT: b""})  # not before the files are whole

    async def _note(self, underway: _Underway) -> None:
        await self._place.write({NEXT: msgspec.json.encode(underway) + b"\n"})

    async def _underway(self) -> _Underway:
        data = await self._place.read(NEXT)
        if not data:
            return _Underway()
        try:
            return msgspec.json.decode(data, type=_Underway)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BadParameter("BOT-STORAGE-CORRUPT", file=NEXT, storage=self._place) from None

    async def _files(self) -> Parts | None:
        found = {name: await self._place.read(name) or b"" for name in (*_NEEDED, TOKEN_HASH)}
        missing = [name for name in _NEEDED if not found[name].strip()]
        if len(missing) == len(_NEEDED):
            return None
        if missing:
            raise BadParameter("BOT-STORAGE-INCOMPLETE", file=missing[0], storage=self._place)
        texts = {name: self._text(name, data) for name, data in found.items()}
        return Parts(
            key=texts[KEY], ssh_certificate=texts[SSH].strip(), tls_certificate=texts[TLS],
            ssh_authorities=_listed(texts[SSH_AUTHORITIES]), tls_authorities=_listed(texts[TLS_AUTHORITIES]),
            token_hash=texts[TOKEN_HASH].strip(),
        )  # fmt: skip

    def open(self, parts: Parts, file: str = "") -> Held:
        """Return an identity that was read, if all of it can be and belongs together. `file`: where it all stands."""
        readers = (
            (KEY, lambda: keys.load_private(parts.key.encode())),
            (SSH, lambda: codec.from_ssh(ssh.parse(keys.load_ssh_line(parts.ssh_certificate)))),
            (TLS, lambda: codec.from_x509(x509.parse(parts.tls_certificate.encode()))),
            (SSH_AUTHORITIES, lambda: [keys.load_ssh_line(line) for line in parts.ssh_authorities]),
            (TLS_AUTHORITIES, lambda: [x509.parse(text.encode()) for text in parts.tls_authorities]),
        )
        for name, read in readers:
            try:
                read()
            except TeleportError:
                raise BadParameter("BOT-STORAGE-CORRUPT", file=file or name, storage=self._place) from None
        if not _fits(parts.key, parts.ssh_certificate, parts.tls_certificate):
            raise BadParameter("BOT-STORAGE-MIXED", file=file or f"{SSH} or {TLS}", storage=self._place)
        return _held(parts)

    def _refuse_others(self, identity: Identity) -> None:
        """Let only the bot's own certificates pass: of no others the Auth Service counts generations, and what an
        output has acts for the bot, whatever roles it has. Both are what the Auth Service itself goes by."""
        if identity.kind != "bot" or identity.impersonator or identity.generation <= 0:
            roles = ", ".join(identity.roles)
            raise BadParameter("BOT-STORAGE-OUTPUT", storage=self._place, name=identity.name, roles=roles)

    def _text(self, name: str, data: bytes) -> str:
        try:
            return data.decode("ascii")
        except UnicodeDecodeError:
            raise BadParameter("BOT-STORAGE-CORRUPT", file=name, storage=self._place) from None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(_BETWEEN) if part.strip())


def _held(parts: Parts) -> Held:
    certificate = x509.parse(parts.tls_certificate.encode())
    identity = codec.from_x509(certificate)
    vouching = Authority(
        cluster=identity.cluster, type=_HOST, ssh_keys=parts.ssh_authorities, tls_certificates=parts.tls_authorities
    )
    return Held(
        key=parts.key, ssh_certificate=parts.ssh_certificate, tls_certificate=parts.tls_certificate, identity=identity,
        valid_after=certificate.not_valid_before_utc, expires=certificate.not_valid_after_utc, authorities=(vouching,),
    )  # fmt: skip


def _parts(held: Held, token_hash: str) -> Parts:
    own = [each for each in held.authorities if (each.type, each.cluster) == (_HOST, held.identity.cluster)]
    return Parts(
        key=held.key, ssh_certificate=held.ssh_certificate, tls_certificate=held.tls_certificate,
        ssh_authorities=tuple(key for each in own for key in each.ssh_keys),
        tls_authorities=tuple(text for each in own for text in each.tls_certificates), token_hash=token_hash,
    )  # fmt: skip


def _content(parts: Parts) -> Mapping[str, bytes]:
    texts = {
        KEY: parts.key, PUBLIC: public_keys(parts.key)[0] + "\n", SSH: parts.ssh_certificate + "\n",
        TLS: parts.tls_certificate, SSH_AUTHORITIES: _BETWEEN.join(parts.ssh_authorities),
        TLS_AUTHORITIES: _BETWEEN.join(parts.tls_authorities), TOKEN_HASH: parts.token_hash,
    }  # fmt: skip
    return {name: text.encode() for name, text in texts.items()}


def _fits(key: str, ssh_certificate: str, tls_certificate: str) -> bool:
    public = keys.load_private(key.encode()).public_key()
    for_ssh, for_tls = ssh.parse(keys.load_ssh_line(ssh_certificate)), x509.parse(tls_certificate.encode())
    same = codec.from_ssh(for_ssh) == codec.from_x509(for_tls)
    return same and for_ssh.key == keys.ssh_blob(public) and keys.spki(for_tls.public_key()) == keys.spki(public)  # type: ignore[arg-type]
