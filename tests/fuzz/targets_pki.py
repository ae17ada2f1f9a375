"""Targets of keys and certificates: what a stranger shows before anything is known of them."""

# ruff: noqa: PT017 - laws about a refusal stand where it is caught

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
from collections.abc import Callable, Iterator

import asyncssh
from cryptography.hazmat.primitives.asymmetric import rsa

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, BadParameter, NotAuthenticated
from teleport.model.identity import Identity
from teleport.pki import authority, check, codec, der, keys, ssh, ssh_wire, x509
from tests.fuzz.engine import Run, Target, plain, register, text
from tests.support.authorities import NOW, Cluster, cluster

_NAMES = (
    b"ssh-ed25519", b"ecdsa-sha2-nistp256", b"ssh-rsa", b"ssh-ed25519-cert-v01@openssh.com",
    b"ecdsa-sha2-nistp256-cert-v01@openssh.com", b"ssh-dss", b"source-address", b"force-command", b"verify-required",
    b"permit-pty", b"teleport-roles", b"teleport-traits", b"x-teleport-kind", b"generation", b"root", b"alice,root",
    b"a\nb", b"nistp256", b'{"version":"v1","roles":["access"]}', b"{}", b"\xff", b"\xed\xa0\x80", b"e\xcc\x81", b"",
)  # fmt: skip


@functools.cache
def _house() -> Cluster:
    return cluster()


@functools.cache
def _key() -> bytes:
    return keys.ssh_blob(keys.make_ed25519(SeededEntropy(5)).public_key())


@functools.cache
def _certificates() -> tuple[ssh.SSHCertificate, ...]:
    house = _house()
    pinned = house.identity(pinned_ip="192.0.2.1", generation=7, mfa_verified="d", active_requests=("r",))
    full = house.identity(traits={"team": ("a", "b")}, renewable=True, bot_name="b", kind="bot", login_ip="::1")
    p256 = keys.ssh_blob(keys.make_p256(SeededEntropy(6)).public_key())
    return (
        house.ssh(house.identity(), _key()),
        house.ssh(pinned, _key()),
        house.ssh(full, p256),
        house.ssh(house.host_identity(system_roles=("Node", "Proxy")), _key()),
    )


@functools.cache
def _issued() -> tuple[frozenset[bytes], frozenset[bytes]]:
    return frozenset(c.tbs for c in _certificates()), frozenset(map(_tbs, _leaves()))


def _ssh_certificate(data: bytes) -> object:
    """What is read is what would be written; the library behind us reads the same; no change is ever verified."""
    found = ssh.parse(data)
    assert found.blob == data
    assert found.tbs == ssh.encode_tbs(found)
    assert ssh.is_certificate(data)
    plain_body = ssh.parse_tbs(found.tbs)
    assert all(getattr(plain_body, name) == getattr(found, name) for name in ssh.Body.__slots__)
    assert not ssh.verify(found) or found.tbs in _issued()[0]
    _check(found, found.tbs in _issued()[0])
    read = "another"
    with contextlib.suppress(BadParameter):
        identity = codec.from_ssh(found)
        assert codec.to_ssh(identity).principals == found.principals
        read = identity.kind
    return found.type, read, bool(found.critical_options)


def _check(found: ssh.SSHCertificate, genuine: bool) -> Identity | None:
    """What was not signed by an authority is never accepted, and the refusal is one of the documented ones."""
    try:
        identity = check.check_user(
            found.blob,
            proven_key=found.key,
            login="alice",
            authorities=_house().both,
            now=NOW,
            source_ip="192.0.2.1",
            cluster="example.com",
        )
    except (NotAuthenticated, AccessDenied) as error:
        assert error.what.isprintable()
        return None
    assert genuine
    return identity


@contextlib.contextmanager
def _signed() -> Iterator[Run]:
    """The same with an authority that signs whatever is put before it: the library that checks after us must not
    read another user, another time or another limit than we do."""
    signer, ca = _house().signer, _house().user.spec.active_keys.ssh[0].key_id
    with asyncio.Runner() as loop:

        def run(tbs: bytes) -> object:
            body = ssh.parse_tbs(tbs)
            assert ssh.encode_tbs(body) == tbs
            if body.authority != _certificates()[0].authority:
                return "foreign"
            try:
                raw = loop.run(signer.sign(ca, tbs))
            except AccessDenied:
                assert not body.principals  # whoever has none could be taken for anybody: not even the signer signs it
                return "not signed"
            signature = keys.ssh_signature(keys.load_ssh_blob(body.authority), raw)
            found = ssh.parse(tbs + ssh_wire.string(signature))
            assert ssh.verify(found)
            identity = _check(found, True)
            if identity is None:
                return "refused", found.type
            assert found.type == "user"
            assert "alice" in identity.principals
            assert identity.pinned_ip in ("", "192.0.2.1")
            theirs = asyncssh.public_key.decode_ssh_certificate(found.blob)
            assert isinstance(theirs, asyncssh.public_key.SSHOpenSSHCertificate)
            assert tuple(theirs.principals) == identity.principals
            assert ("source-address" in theirs.options) == bool(identity.pinned_ip)
            assert "force-command" not in theirs.options
            return "accepted", identity.kind, identity.pinned_ip

        yield run


register(
    Target(
        "pki.ssh",
        plain(_ssh_certificate),
        lambda: [c.blob for c in _certificates()],
        widths=(4,),
        dictionary=_NAMES,
    )
)
register(
    Target(
        "pki.ssh_tbs",
        _signed,
        lambda: [c.tbs for c in _certificates()],
        widths=(4,),
        dictionary=_NAMES,
    )
)


def _ssh_wire(data: bytes) -> object:
    """Each byte of a program takes one value from the rest; what was taken is written back alike."""
    program, reader, written = data[:6], ssh_wire.Reader(data[6:]), b""
    for step in program:
        if step % 5 == 0:
            written += ssh_wire.string(reader.string())
        elif step % 5 == 1:
            written += ssh_wire.mpint(reader.mpint())
        elif step % 5 == 2:
            written += ssh_wire.string(reader.text().encode())
        else:
            written += reader.uint(step % 5 * 2 - 2).to_bytes(step % 5 * 2 - 2, "big")
    assert written == data[6 : 6 + reader.position]
    reader.end()
    return bytes(step % 5 for step in program)


register(
    Target(
        "pki.ssh_wire",
        plain(_ssh_wire),
        lambda: [b"\0\1\2\3\4\0" + _key(), b"\1\1\1\1\1\1" + ssh_wire.mpint(1 << 80)],
        (ssh_wire.Malformed,),
        widths=(4,),
    )
)


@functools.cache
def _leaves() -> tuple[bytes, ...]:
    house = _house()
    public = keys.make_p256(SeededEntropy(8)).public_key()
    return (
        house.tls(house.identity(traits={"team": ("a",)}, pinned_ip="::1"), public),
        house.tls(house.host_identity(system_roles=("Node",)), public, "node1", "127.0.0.1"),
        *authority.trusted_tls(house.both, "host"),
    )


def _tbs(data: bytes) -> bytes:
    return x509.parse(data).tbs_certificate_bytes


def _x509(data: bytes) -> object:
    found = x509.parse(data)
    issuer = x509.parse(next(iter(authority.trusted_tls(_house().both, "user"))))
    ours = found.tbs_certificate_bytes in _issued()[1]
    assert not x509.is_issued_by(found, issuer) or ours
    answers: list[object] = [x509.is_authority(found), x509.allows(found, "client"), x509.allows(found, "server")]
    der_form = x509.encode(found)
    assert x509.parse(der_form) == found
    with contextlib.suppress(BadParameter):
        x509.pin(data)
        answers.append("pin")
    with contextlib.suppress(BadParameter):
        identity = codec.from_x509(found)
        assert codec.to_subject(identity) == x509.subject_of(found)
        answers.append(identity.kind)
    try:
        check.check_x509(der_form, authorities=_house().both, now=NOW, source_ip="::1", cluster="example.com")
    except (NotAuthenticated, AccessDenied) as error:
        assert error.what.isprintable()
        answers.append(error.code)
    else:
        assert ours
    return tuple(answers)


_OIDS = tuple(
    der.oid(dotted)
    for dotted in ("2.5.29.17", "2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.30", "2.5.29.35", "2.5.4.3", "2.5.4.10",
                   "1.3.9999.1.7", "1.3.101.112", "1.2.840.10045.4.3.2", "1.2.840.113549.1.1.5")
)  # fmt: skip
_DER = (b"\x30\x80", b"\x30\x00", b"\x02\x01\x00", b"\x05\x00", b"\x01\x01\xff", b"\x30\x84\xff\xff\xff\xff",
        b"\x0c\x00",
        b"\x17\x0d260301120000Z", b"\x18\x0f99991231235959Z", b"\x18\x0f00000101000000Z", b"\x13\x01a", b"\x31\x00",
        b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n")  # fmt: skip


register(
    Target(
        "pki.x509",
        plain(_x509),
        lambda: [*_leaves(), x509.pem(_leaves()[0]).encode()],
        widths=(1, 2),
        dictionary=(*_OIDS, *_DER),
    )
)


def _bundle(data: bytes) -> object:
    found = x509.split_pem(text(data))
    assert all(x509.encode(x509.parse(certificate)) == certificate for certificate in found)
    return min(len(found), 3)


register(
    Target(
        "pki.x509_bundle",
        plain(_bundle),
        lambda: ["".join(map(x509.pem, _leaves())).encode(), b"nothing"],
        dictionary=_DER,
    )
)


def _der(data: bytes) -> object:
    """Elements cover their input without a gap; reading costs no more than its length."""
    found = der.elements(data)
    assert b"".join(element.raw for element in found) == data
    return min(len(found), 4), len(der.attributes(data))


register(
    Target(
        "pki.der",
        plain(_der),
        lambda: [_leaves()[0], b"\x30\0" * 99, der.name((("2.5.4.3", "a"),))[2:]],
        (ssh_wire.Malformed,),
        widths=(1,),
        dictionary=(*_OIDS, *_DER),
        limit=20_000,
    )
)


def _reversible(load: Callable[[bytes], keys.PublicKey], dump: Callable[[keys.PublicKey], bytes]) -> Run:
    def run(data: bytes) -> object:
        key = load(data)
        assert load(dump(key)) == key
        assert keys.load_spki(keys.spki(key)) == key
        assert keys.load_ssh_blob(keys.ssh_blob(key)) == key
        return keys.algorithm_of(key)

    return run


@functools.cache
def _publics() -> tuple[keys.PublicKey, ...]:
    entropy = SeededEntropy(9)
    modulus = (1 << 2047) + 12345
    return (
        keys.make_ed25519(entropy).public_key(),
        keys.make_p256(entropy).public_key(),
        rsa.RSAPublicNumbers(65537, modulus).public_key(),
    )


register(
    Target(
        "pki.keys.ssh_blob",
        plain(_reversible(keys.load_ssh_blob, keys.ssh_blob)),
        lambda: [keys.ssh_blob(key) for key in _publics()],
        widths=(4,),
        dictionary=_NAMES,
        limit=5000,
    )
)
register(
    Target(
        "pki.keys.spki",
        plain(_reversible(keys.load_spki, keys.spki)),
        lambda: [keys.spki(key) for key in _publics()],
        widths=(1, 2),
        dictionary=(*_OIDS, *_DER),
    )
)


def _ssh_line(data: bytes) -> object:
    blob = keys.load_ssh_line(text(data))
    assert keys.load_ssh_line(keys.ssh_line(blob)) == blob
    assert keys.fingerprint(blob).startswith("SHA256:")
    return ssh.is_certificate(blob)


register(
    Target(
        "pki.keys.ssh_line",
        plain(_ssh_line),
        lambda: [
            keys.ssh_line(_key(), "a comment").encode(),
            _certificates()[0].line().encode(),
            b"x " + base64.b64encode(ssh_wire.string(b"x")),
        ],
        dictionary=(b" ", b"ssh-ed25519 ", b"AAAA", b"====", b"\xc2\xa0", b"\n", b'command="x" '),
    )
)


def _private(data: bytes) -> object:
    key = keys.load_private(data)
    assert keys.load_private(keys.private_pem(key)).public_key() == key.public_key()
    return keys.algorithm_of(key)


@functools.cache
def _privates() -> list[bytes]:
    entropy = SeededEntropy(10)
    pair = keys.make_ed25519(entropy), keys.make_p256(entropy)
    return [form(key) for key in pair for form in (keys.private_pem, keys.private_openssh)]


register(
    Target(
        "pki.keys.private",
        plain(_private),
        _privates,
        dictionary=(
            b"-----BEGIN PRIVATE KEY-----\n",
            b"-----END PRIVATE KEY-----\n",
            b"Proc-Type: 4,ENCRYPTED\n",
            b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
            b"-----BEGIN EC PRIVATE KEY-----\n",
            b"AAAA",
            b"\n",
        ),
    )
)


def _signature(data: bytes) -> object:
    """Only the signature that was made is one, whatever else is tried."""
    right = [keys.verify_ssh_signature(key, data, b"message") for key in _publics()[:2]]
    assert not any(right) or data in _signatures()
    return tuple(right)


@functools.cache
def _signatures() -> list[bytes]:
    entropy = SeededEntropy(9)
    made = keys.make_ed25519(entropy), keys.make_p256(entropy)
    return [keys.ssh_signature(key.public_key(), keys.sign(key, b"message")) for key in made]


register(
    Target("pki.keys.signature", plain(_signature), _signatures, (), widths=(4,), dictionary=_NAMES)
)  # fmt: skip
