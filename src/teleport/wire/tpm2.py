"""The few commands of a TPM 2.0 by which a machine shows which chip it has: commands out, answers in.

Here: marshalling, and the shapes of keys. Not here: what carries the bytes (`net.tpm_device`), the order of the
commands (`client.joining.tpm`) and cryptography (`pki.tpm`). Every number is that of the TPM 2.0 Library
specification: Part 2 (structures), Part 3 (commands); the endorsement key is template L-1 of the TCG EK Credential
Profile, the place of its certificate section 2.2.1.4 there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from teleport.base.errors import Unavailable
from teleport.wire.buffer import ProtocolError, Reader, Writer

LARGEST = 4096
"""Bytes of a command or an answer, in every implementation."""
HEAD = 10
"""Bytes before the first handle."""
MOST_CERTIFICATE = 8 * 1024
"""Bytes of a certificate in the chip."""
CHUNK = 512
"""Bytes that are read of it at a time: every chip gives at least as many."""
EK_CERTIFICATE = 0x01C00002
"""Index of the certificate of the endorsement key (RSA 2048)."""

_NO_SESSIONS, _SESSIONS = 0x8001, 0x8002
_ENDORSEMENT, _NULL, _PASSWORD = 0x4000000B, 0x40000007, 0x40000009
_RSA, _ECC, _SHA256, _AES, _CFB, _NONE, _ECDSA, _P256 = 0x01, 0x23, 0x0B, 0x06, 0x43, 0x10, 0x18, 0x03
_POLICY_SESSION = 0x01
_EK_POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
_EK_ATTRIBUTES = 0x000300B2  # fixedTPM fixedParent sensitiveDataOrigin adminWithPolicy restricted decrypt
_AK_ATTRIBUTES = 0x00050472  # fixedTPM fixedParent sensitiveDataOrigin userWithAuth noDA restricted sign
_AK_MUST = 0x00050032  # the same without userWithAuth and noDA: who may use it is the business of its owner
_EXPONENT = 65537
_BUSY = frozenset({0x908, 0x90A, 0x922})  # yielded, testing, retry (Part 2, section 6.6.3)

START_SESSION, CREATE_PRIMARY, ACTIVATE, POLICY_SECRET = 0x176, 0x131, 0x147, 0x151
FLUSH, NV_READ_PUBLIC, NV_READ = 0x165, 0x169, 0x14E


@dataclass(frozen=True, slots=True)
class Primary:
    """A key that the chip has made, and holds until it is flushed."""

    handle: int
    public: bytes
    """Its public area (TPMT_PUBLIC)."""


@dataclass(frozen=True, slots=True)
class RsaPublic:
    """What a public area says of an RSA key."""

    modulus: int
    exponent: int


def create_ek() -> bytes:
    """Return the command that makes the endorsement key: the same each time, since the chip derives it."""
    symmetric = Writer().u16(_AES).u16(128).u16(_CFB)
    shape = Writer().u16(_RSA).u16(_SHA256).u32(_EK_ATTRIBUTES).vector16(_EK_POLICY).raw(bytes(symmetric))
    shape.u16(_NONE).u16(2048).u32(0).vector16(bytes(256))
    return _create_primary(bytes(shape))


def create_ak() -> bytes:
    """Return the command that makes a key which signs nothing but what the chip itself says (restricted)."""
    shape = Writer().u16(_ECC).u16(_SHA256).u32(_AK_ATTRIBUTES).vector16(b"")
    shape.u16(_NONE).u16(_ECDSA).u16(_SHA256).u16(_P256).u16(_NONE).vector16(b"").vector16(b"")
    return _create_primary(bytes(shape))


def _create_primary(public: bytes) -> bytes:
    body = Writer().vector16(bytes(4)).vector16(public).vector16(b"").u32(0)
    return _command(CREATE_PRIMARY, [_ENDORSEMENT], bytes(body), [_PASSWORD])


def start_policy(nonce: bytes) -> bytes:
    """Return the command that begins a policy session; `nonce` has 16 bytes or more."""
    body = Writer().vector16(nonce).vector16(b"").u8(_POLICY_SESSION).u16(_NONE).u16(_SHA256)
    return _command(START_SESSION, [_NULL, _NULL], bytes(body))


def policy_secret(session: int) -> bytes:
    """Return the command that lets a session use the endorsement key."""
    body = Writer().vector16(b"").vector16(b"").vector16(b"").u32(0)
    return _command(POLICY_SECRET, [_ENDORSEMENT, session], bytes(body), [_PASSWORD])


def activate(ak: int, ek: int, session: int, blob: bytes, secret: bytes) -> bytes:
    """Return the command that opens a credential, made for the endorsement key `ek` and the name of `ak`."""
    body = Writer().vector16(blob).vector16(secret)
    return _command(ACTIVATE, [ak, ek], bytes(body), [_PASSWORD, session])


def flush(handle: int) -> bytes:
    """Return the command that takes a key or a session out of the chip."""
    return _command(FLUSH, [handle], b"")


def nv_read_public(index: int) -> bytes:
    """Return the command that asks what stands at an index."""
    return _command(NV_READ_PUBLIC, [index], b"")


def nv_read(index: int, size: int, offset: int) -> bytes:
    """Return the command that reads a part of what stands at an index."""
    return _command(NV_READ, [index, index], bytes(Writer().u16(size).u16(offset)), [_PASSWORD])


def _command(code: int, handles: list[int], body: bytes, sessions: list[int] | None = None) -> bytes:
    area = Writer()
    for session in sessions or ():
        area.u32(session).vector16(b"").u8(0).vector16(b"")
    rest = Writer()
    for handle in handles:
        rest.u32(handle)
    rest.raw(bytes(Writer().vector32(bytes(area))) if sessions else b"").raw(body)
    head = Writer().u16(_SESSIONS if sessions else _NO_SESSIONS).u32(HEAD + len(rest)).u32(code)
    return bytes(head.raw(bytes(rest)))


def answer_size(head: bytes) -> int:
    """Return how long an answer is that begins with these bytes (at least 6). Raises ProtocolError (WIRE-TPM)."""
    size = int.from_bytes(head[2:6], "big")
    if not HEAD <= size <= LARGEST:
        raise ProtocolError("WIRE-TPM", problem=f"its answer is said to have {size} bytes")
    return size


def is_busy(answer: bytes) -> bool:
    """Whether the chip says that it is to be asked the same again."""
    return int.from_bytes(answer[6:HEAD], "big") in _BUSY


def _open(answer: bytes, *, handles: int = 0) -> tuple[list[int], Reader]:
    """Return the handles and the parameters. Raises Unavailable (NET-TPM-REFUSED), ProtocolError (WIRE-*)."""
    if answer_size(answer[:6].ljust(6, b"\0")) != len(answer):
        raise ProtocolError("WIRE-TPM", problem="its answer has not the length that it says")
    reader = Reader(answer)
    tag, _, code = reader.u16(), reader.u32(), reader.u32()
    if code:
        raise Unavailable("NET-TPM-REFUSED", response=f"0x{code:03x}")
    found = [reader.u32() for _ in range(handles)]
    return found, Reader(reader.vector32()) if tag == _SESSIONS else reader


def read_primary(answer: bytes) -> Primary:
    """Read what CreatePrimary answers. This and the others raise Unavailable (NET-TPM-REFUSED) where the chip says
    no, ProtocolError (WIRE-*) for what cannot be read."""
    (handle,), rest = _open(answer, handles=1)
    return Primary(handle, rest.vector16())


def read_session(answer: bytes) -> int:
    """Read the handle that StartAuthSession answers."""
    (handle,), _ = _open(answer, handles=1)
    return handle


def read_bytes(answer: bytes) -> bytes:
    """Read the bytes that ActivateCredential and NV_Read answer."""
    return _open(answer)[1].vector16()


def read_done(answer: bytes) -> None:
    """Read an answer of which only matters that it is not a refusal."""
    _open(answer)


def read_nv_size(answer: bytes) -> int:
    """Read how many bytes stand at an index. Raises ProtocolError (WIRE-TPM) for more than a certificate has."""
    told = Reader(_open(answer)[1].vector16())
    told.take(4 + 2 + 4)  # index, algorithm, attributes
    told.vector16()
    size = told.u16()
    if size > MOST_CERTIFICATE:
        raise ProtocolError("WIRE-TPM", problem=f"its certificate is said to have {size} bytes")
    return size


def read_rsa(public: bytes) -> RsaPublic:
    """Read the public area of an endorsement key. Raises ProtocolError (WIRE-TPM) for a key of another sort."""
    reader = Reader(public)
    if (reader.u16(), reader.u16()) != (_RSA, _SHA256):
        raise ProtocolError("WIRE-TPM", problem="its endorsement key is not RSA with SHA-256")
    reader.u32()
    reader.vector16()
    for _ in range(1 if reader.u16() == _NONE else 3):  # cipher, size, mode; then the scheme
        reader.u16()
    reader.u16()
    exponent = reader.u32() or _EXPONENT
    modulus = int.from_bytes(reader.vector16(), "big")
    reader.expect_end()
    return RsaPublic(modulus, exponent)


def ak_name(public: bytes) -> bytes:
    """Return the name of an attestation key, by which a credential is bound to it (Part 1, section 16).

    Raises ProtocolError (WIRE-*) unless it is such a key: made in the chip, never outside of it, and restricted."""
    reader = Reader(public)
    kind, algorithm, attributes = reader.u16(), reader.u16(), reader.u32()
    if kind not in (_RSA, _ECC) or algorithm != _SHA256 or attributes & _AK_MUST != _AK_MUST:
        raise ProtocolError("WIRE-TPM", problem="the attestation key is not one that stays in the chip")
    return bytes(Writer().u16(_SHA256).raw(hashlib.sha256(public).digest()))
