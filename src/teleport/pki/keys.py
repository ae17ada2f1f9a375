"""Key pairs and public keys: making, writing and reading them.

Here are the forms in which keys travel (PEM, OpenSSH line and blob, SPKI) and fingerprints. Keys made
here belong to users and hosts; keys of authorities are made in the signer process (`pki.custody`) and
never pass through this module's caller. RSA keys are accepted from users but never made: making one
takes as long as thousands of signatures.

Quick to import: for Ed25519, which our own commands and nodes have, next to nothing of the library is loaded.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.base.lean import TYPE_CHECKING
from teleport.pki.library import is_wrong, library
from teleport.pki.ssh_wire import Malformed, Reader, mpint, string

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey as RSAPublicKey
else:  # what the library's keys are instances of, without the modules that describe them
    EllipticCurvePrivateKey, EllipticCurvePublicKey = library.ec.ECPrivateKey, library.ec.ECPublicKey
    Ed25519PrivateKey, Ed25519PublicKey = library.ed25519.Ed25519PrivateKey, library.ed25519.Ed25519PublicKey
    RSAPublicKey = library.rsa.RSAPublicKey

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey

ED25519 = "ed25519"
ECDSA_P256 = "ecdsa-p256"

SSH_ED25519 = b"ssh-ed25519"
SSH_ECDSA = b"ecdsa-sha2-nistp256"
SSH_RSA = b"ssh-rsa"

_P256 = "secp256r1"
"""What the library calls the curve."""
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_BLOB_LIMIT = 4096
"""Largest plain public key in bytes; RSA of 8192 bits takes 1.1 KB."""
_RSA_BITS = range(2048, 8193)
_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_PLAIN_KEY = b"openssh-key-v1\0" + string(b"none") + string(b"none") + string(b"") + (1).to_bytes(4, "big")
"""How the key in such a file begins if it is the only one and not encrypted."""


def make_ed25519(entropy: Entropy) -> Ed25519PrivateKey:
    """Make a key for SSH (RFC 8032)."""
    return library.ed25519.from_private_bytes(entropy.token(32))


def make_p256(entropy: Entropy) -> EllipticCurvePrivateKey:
    """Make a key for TLS. 64 surplus bits make the scalar uniform (FIPS 186-5, A.2.1)."""
    from cryptography.hazmat.primitives.asymmetric import ec

    scalar = int.from_bytes(entropy.token(40), "big") % (_P256_ORDER - 1) + 1
    return ec.derive_private_key(scalar, ec.SECP256R1())


def algorithm_of(key: PrivateKey | PublicKey) -> str:
    """Return `ed25519`, `ecdsa-p256` or `rsa-<bits>`."""
    if isinstance(key, RSAPublicKey):
        return f"rsa-{key.key_size}"
    is_edwards = isinstance(key, (Ed25519PrivateKey, Ed25519PublicKey))
    return ED25519 if is_edwards else ECDSA_P256


def spki(key: PublicKey) -> bytes:
    """Return the SubjectPublicKeyInfo in DER (RFC 5280, 4.1.2.7)."""
    from cryptography.hazmat.primitives import serialization

    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_pem(key: PublicKey) -> str:
    """Return the SubjectPublicKeyInfo as PEM."""
    from cryptography.hazmat.primitives import serialization

    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def load_spki(data: bytes) -> PublicKey:
    """Read a SubjectPublicKeyInfo in DER. Raises BadParameter (PKI-KEY)."""
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm, InternalError):
        raise _bad("the public key", "it is not a SubjectPublicKeyInfo in DER") from None
    return _closed(key)


def raw_ed25519(pem: str) -> bytes:
    """Return the 32 bytes of an Ed25519 public key that stands in PEM. Raises BadParameter (PKI-KEY)."""
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key: object = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm, InternalError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise _bad("the public key", "it is not Ed25519 in PEM")
    return key.public_bytes_raw()


def ssh_blob(key: PublicKey) -> bytes:
    """Return the public key as OpenSSH writes it (RFC 4253 section 6.6, RFC 5656, RFC 8709)."""
    from cryptography.hazmat.primitives import serialization

    if isinstance(key, Ed25519PublicKey):
        return string(SSH_ED25519) + string(key.public_bytes_raw())
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        return string(SSH_RSA) + mpint(numbers.e) + mpint(numbers.n)
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return string(SSH_ECDSA) + string(b"nistp256") + string(point)


def load_ssh_blob(blob: bytes) -> PublicKey:
    """Read a *plain* public key; a certificate is not one. Raises BadParameter (PKI-KEY)."""
    try:
        if len(blob) > _BLOB_LIMIT:
            raise Malformed("it is too long")
        reader = Reader(blob)
        key = _read_fields(reader.string(), reader)
        reader.end()
    except Malformed as error:
        raise _bad("the SSH public key", str(error)) from None
    except ValueError:
        raise _bad("the SSH public key", "it is no point of its curve") from None
    return _closed(key)


def _read_fields(kind: bytes, reader: Reader) -> PublicKey:
    if kind == SSH_ED25519:
        return library.ed25519.from_public_bytes(reader.string())
    if kind == SSH_ECDSA:
        curve, point = reader.string(), reader.string()
        if curve != b"nistp256" or point[:1] != b"\x04":
            raise Malformed("its curve or the form of its point is unknown")
        from cryptography.hazmat.primitives.asymmetric import ec

        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    if kind == SSH_RSA:
        exponent, modulus = reader.mpint(), reader.mpint()
        if modulus.bit_length() not in _RSA_BITS or not 3 <= exponent < 1 << 64:
            raise Malformed("its RSA numbers are out of bounds (2048 to 8192 bits)")
        from cryptography.hazmat.primitives.asymmetric import rsa

        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    raise Malformed("its type is not ssh-ed25519, ecdsa-sha2-nistp256 or ssh-rsa")


def ssh_line(blob: bytes, comment: str = "") -> str:
    """Return the line of a `.pub` file, without newline, for a key or a certificate blob."""
    kind = Reader(blob).string().decode()
    return f"{kind} {b2a_base64(blob, newline=False).decode()} {comment}".rstrip()


def load_ssh_line(line: str) -> bytes:
    """Return the blob of a line of a `.pub` or `authorized_keys` file without options.

    The blob is not examined further than its type. Raises BadParameter (PKI-KEY)."""
    words = line.split(maxsplit=2)
    try:
        blob = a2b_base64(words[1], strict_mode=True)
        if Reader(blob).string() != words[0].encode():
            raise Malformed("the types before and in the key differ")
    except (IndexError, ValueError, Malformed):  # all that base64 and the codecs say is a ValueError
        raise _bad("the SSH public key line", "it is not `<type> <base64>`") from None
    return blob


def fingerprint(blob: bytes) -> str:
    """Return `SHA256:...` of a key blob, as `ssh-keygen -l` prints it."""
    import hashlib

    return "SHA256:" + b2a_base64(hashlib.sha256(blob).digest(), newline=False).decode().rstrip("=")


def private_pem(key: PrivateKey) -> bytes:
    """Return the private key as unencrypted PKCS #8 PEM (RFC 5958)."""
    from cryptography.hazmat.primitives import serialization

    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def private_openssh(key: PrivateKey) -> bytes:
    """Return the private key in OpenSSH's own form: `ssh` reads Ed25519 keys in no other."""
    from cryptography.hazmat.primitives import serialization

    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, plain)


def load_private(data: bytes) -> PrivateKey:
    """Read an unencrypted private key, PKCS #8, SEC 1 or OpenSSH. Raises BadParameter (PKI-KEY)."""
    if (own := _own_ed25519(data)) is not None:
        return own
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        if data.lstrip().startswith(_OPENSSH):
            key: object = serialization.load_ssh_private_key(data, None)
        else:
            key = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError, RuntimeError, UnsupportedAlgorithm, InternalError):  # more than the library says
        raise _bad("the private key", "it is damaged, encrypted, or in an unknown form") from None
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name == _P256:
        return key
    raise _bad("the private key", "it is neither Ed25519 nor ECDSA P-256")


def _own_ed25519(data: bytes) -> Ed25519PrivateKey | None:
    """Read the one form that `private_openssh` writes for Ed25519 (OpenSSH, PROTOCOL.key): the library's reader of all
    of them takes longer to import than a command has. None for every other."""
    body = data.strip().removeprefix(_OPENSSH).removesuffix(_OPENSSH.replace(b"BEGIN", b"END"))
    try:
        blob = a2b_base64(b"".join(body.split()), strict_mode=True)
        if not blob.startswith(_PLAIN_KEY):
            return None
        reader = Reader(blob[len(_PLAIN_KEY) :])
        public, inner = reader.string(), Reader(reader.string())
        reader.end()
        checks, kind, point, pair = inner.take(8), inner.string(), inner.string(), inner.string()
    except ValueError:  # all that base64 and the codecs say
        return None
    if checks[:4] != checks[4:] or kind != SSH_ED25519 or len(pair) != 64:
        return None
    key = library.ed25519.from_private_bytes(pair[:32])
    own = key.public_key().public_bytes_raw()
    return key if own == point == pair[32:] and public == string(kind) + string(own) else None


def sign(key: PrivateKey, message: bytes) -> bytes:
    """Sign: 64 bytes for Ed25519, DER for ECDSA with SHA-256 (nonces after RFC 6979)."""
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(message)
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def verify(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Say whether `sign` made this signature; RSA is checked as PKCS #1 v1.5 with SHA-256."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, message)
        else:
            _verify_other(key, signature, message)
    except Exception as error:
        if is_wrong(error):
            return False
        raise
    return True


def _verify_other(key: EllipticCurvePublicKey | RSAPublicKey, signature: bytes, message: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    if isinstance(key, EllipticCurvePublicKey):
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    else:
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())


def ssh_signature(key: PublicKey, signature: bytes) -> bytes:
    """Wrap what `sign` returned as an SSH signature blob (RFC 5656 section 3.1.2, RFC 8709 section 6)."""
    if isinstance(key, Ed25519PublicKey):
        return string(SSH_ED25519) + string(signature)
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(signature)
    return string(SSH_ECDSA) + string(mpint(r) + mpint(s))


def verify_ssh_signature(key: PublicKey, blob: bytes, message: bytes) -> bool:
    """Check an SSH signature blob made by an Ed25519 or P-256 key; its type must be that of the key."""
    try:
        reader = Reader(blob)
        kind, signature = reader.string(), reader.string()
        reader.end()
        if isinstance(key, Ed25519PublicKey):
            return kind == SSH_ED25519 and verify(key, signature, message)
        numbers = Reader(signature)
        r, s = numbers.mpint(), numbers.mpint()
        numbers.end()
    except Malformed:
        return False
    if kind != SSH_ECDSA or not isinstance(key, EllipticCurvePublicKey):
        return False
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    return verify(key, encode_dss_signature(r, s), message)


def _closed(key: object) -> PublicKey:
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name == _P256:
        return key
    if isinstance(key, RSAPublicKey) and key.key_size in _RSA_BITS:
        return key
    raise _bad("the public key", "it is not Ed25519, ECDSA P-256 or RSA of 2048 to 8192 bits")


def _bad(thing: str, problem: str) -> BadParameter:
    return BadParameter("PKI-KEY", thing=thing, problem=problem)
