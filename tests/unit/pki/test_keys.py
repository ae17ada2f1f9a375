"""pki.keys: forms of keys, against ssh-keygen and openssl, and what is refused."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from teleport.base.entropy import SeededEntropy, SystemEntropy
from teleport.base.errors import BadParameter
from teleport.pki import keys
from teleport.pki.ssh_wire import mpint, string

ENTROPY = SeededEntropy(1)
ED = keys.make_ed25519(ENTROPY)
P256 = keys.make_p256(ENTROPY)
RSA = rsa.generate_private_key(65537, 2048)
PUBLIC = [ED.public_key(), P256.public_key(), RSA.public_key()]


def test_same_entropy_gives_same_keys() -> None:
    again = SeededEntropy(1)
    assert keys.private_pem(keys.make_ed25519(again)) == keys.private_pem(ED)
    assert keys.private_pem(keys.make_p256(again)) == keys.private_pem(P256)
    assert keys.private_pem(keys.make_p256(SystemEntropy())) != keys.private_pem(P256)


def test_algorithms() -> None:
    assert [keys.algorithm_of(key) for key in (ED, P256, *PUBLIC)] == [
        "ed25519", "ecdsa-p256", "ed25519", "ecdsa-p256", "rsa-2048",
    ]  # fmt: skip


@pytest.mark.parametrize("public", PUBLIC, ids=keys.algorithm_of)
def test_public_forms_are_reversible(public: keys.PublicKey) -> None:
    assert keys.load_spki(keys.spki(public)) == public
    assert serialization.load_pem_public_key(keys.public_pem(public).encode()) == public
    blob = keys.ssh_blob(public)
    assert keys.load_ssh_blob(blob) == public
    assert keys.load_ssh_line(keys.ssh_line(blob, "a comment")) == blob
    openssh = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert keys.ssh_line(blob) == openssh.decode()


@pytest.mark.parametrize("private", [ED, P256], ids=keys.algorithm_of)
def test_private_forms_are_reversible(private: keys.PrivateKey) -> None:
    for data in (keys.private_pem(private), keys.private_openssh(private)):
        assert keys.spki(keys.load_private(data).public_key()) == keys.spki(private.public_key())


@pytest.mark.parametrize("private", [ED, P256], ids=keys.algorithm_of)
def test_ssh_keygen_reads_our_keys(private: keys.PrivateKey, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_bytes(keys.private_openssh(private))
    blob = keys.ssh_blob(private.public_key())
    read = subprocess.run(["ssh-keygen", "-y", "-f", file], capture_output=True, text=True, check=True)
    assert keys.load_ssh_line(read.stdout) == blob
    (tmp_path / "key.pub").write_text(keys.ssh_line(blob))
    shown = subprocess.run(["ssh-keygen", "-l", "-f", tmp_path / "key.pub"], capture_output=True, text=True, check=True)
    assert keys.fingerprint(blob) in shown.stdout


@pytest.mark.parametrize("private", [ED, P256], ids=keys.algorithm_of)
def test_signatures(private: keys.PrivateKey) -> None:
    public = private.public_key()
    signature = keys.sign(private, b"text")
    assert keys.verify(public, signature, b"text")
    assert not keys.verify(public, signature, b"other")
    wrapped = keys.ssh_signature(public, signature)
    assert keys.verify_ssh_signature(public, wrapped, b"text")
    assert not keys.verify_ssh_signature(public, wrapped, b"other")
    assert not keys.verify_ssh_signature(public, wrapped + b"x", b"text")
    assert not keys.verify_ssh_signature(public, wrapped[:-1], b"text")


def test_rsa_signatures_are_checked() -> None:
    signature = RSA.sign(b"text", padding.PKCS1v15(), SHA256())
    assert keys.verify(RSA.public_key(), signature, b"text")
    assert not keys.verify(RSA.public_key(), signature, b"other")


def test_a_signature_must_have_the_type_of_its_key() -> None:
    """The type inside the signature never chooses how it is checked."""
    ed = keys.ssh_signature(ED.public_key(), keys.sign(ED, b"t"))
    ecdsa = keys.ssh_signature(P256.public_key(), keys.sign(P256, b"t"))
    assert not keys.verify_ssh_signature(P256.public_key(), ed, b"t")
    assert not keys.verify_ssh_signature(ED.public_key(), ecdsa, b"t")
    assert not keys.verify_ssh_signature(RSA.public_key(), ecdsa, b"t")
    assert not keys.verify_ssh_signature(ED.public_key(), ed.replace(b"ssh-ed25519", b"ssh-ed25518"), b"t")
    renamed = string(b"ssh-rsa") + ecdsa[4 + len(keys.SSH_ECDSA) :]
    assert not keys.verify_ssh_signature(P256.public_key(), renamed, b"t")


def _refused(load: object, data: object, problem: str) -> None:
    with pytest.raises(BadParameter, match=problem) as caught:
        load(data)  # type: ignore[operator]
    assert caught.value.code == "PKI-KEY"
    assert caught.value.fix


P384 = ec.generate_private_key(ec.SECP384R1())
SMALL = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
PKCS8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)


@pytest.mark.parametrize("key", [P384, SMALL], ids=["p384", "rsa-1024"])
def test_other_algorithms_are_refused(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    public = key.public_key()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    _refused(keys.load_spki, spki, "not Ed25519")
    _refused(keys.load_private, key.private_bytes(*PKCS8, serialization.NoEncryption()), "neither Ed25519")
    line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    _refused(keys.load_ssh_blob, keys.load_ssh_line(line), "type is not|out of bounds")


def test_an_ed25519_key_in_pem_has_32_bytes() -> None:
    key = keys.make_ed25519(SeededEntropy(1)).public_key()
    assert keys.raw_ed25519(keys.public_pem(key)) == key.public_bytes_raw()
    for pem in (keys.public_pem(keys.make_p256(SeededEntropy(1)).public_key()), "no PEM"):
        with pytest.raises(BadParameter):
            keys.raw_ed25519(pem)


def test_damaged_keys_are_refused() -> None:
    _refused(keys.load_spki, b"\x30\x00", "SubjectPublicKeyInfo")
    _refused(keys.load_private, b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "damaged")
    _refused(keys.load_private, b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "damaged")
    locked = P256.private_bytes(*PKCS8, serialization.BestAvailableEncryption(b"word"))
    _refused(keys.load_private, locked, "encrypted")


CURVE = string(keys.SSH_ECDSA)
POINT = keys.ssh_blob(P256.public_key())[len(CURVE) + 12 :]


@pytest.mark.parametrize(
    ("blob", "problem"),
    [
        (bytes(5000), "too long"),
        (b"", "cut short"),
        (string(b"ssh-dss"), "type is not"),
        (string(b"ssh-ed25519-cert-v01@openssh.com"), "type is not"),
        (keys.ssh_blob(ED.public_key()) + b"x", "follow"),
        (string(keys.SSH_ED25519) + string(bytes(31)), "no point"),
        (CURVE + string(b"nistp384") + POINT, "curve"),
        (CURVE + string(b"nistp256") + string(b"\x02" + bytes(32)), "curve or the form"),
        (CURVE + string(b"nistp256") + string(b"\x04" + bytes(64)), "no point"),
        (string(keys.SSH_RSA) + mpint(1) + mpint(1 << 2047), "out of bounds"),
        (string(keys.SSH_RSA) + mpint(65537) + mpint(1 << 9000), "out of bounds"),
    ],
)
def test_damaged_blobs_are_refused(blob: bytes, problem: str) -> None:
    _refused(keys.load_ssh_blob, blob, problem)


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-ed25519 AAAA", "ssh-é AAAAAA=="])
def test_damaged_lines_are_refused(line: str) -> None:
    _refused(keys.load_ssh_line, line, "base64")


def test_a_line_must_say_its_type_truly() -> None:
    line = keys.ssh_line(keys.ssh_blob(ED.public_key())).replace("ssh-ed25519", "ssh-rsa", 1)
    _refused(keys.load_ssh_line, line, "base64")


def test_an_openssh_key_whose_halves_do_not_fit_is_refused() -> None:
    """The quick reader of our own form takes nothing that the library's would not."""
    made, other = (keys.make_ed25519(SeededEntropy(number)) for number in (41, 42))
    text = keys.private_openssh(made)
    assert keys.load_private(text).private_bytes_raw() == made.private_bytes_raw()
    blob = base64.b64decode(b"".join(text.splitlines()[1:-1]))
    point, wrong = made.public_key().public_bytes_raw(), other.public_key().public_bytes_raw()
    at = blob.rindex(point)
    changed = [
        blob.replace(point, wrong, 1), blob.replace(point, wrong, 2).replace(wrong, point, 1),
        blob[:at] + wrong + blob[at + 32 :], blob[:-20], blob.replace(b"openssh-key-v1", b"openssh-key-v2"),
    ]  # fmt: skip
    for data in changed:
        lines = [text.splitlines()[0], base64.b64encode(data), text.splitlines()[-1]]
        with pytest.raises(BadParameter):
            keys.load_private(b"\n".join(lines))


def test_what_is_no_question_of_a_wrong_signature_is_not_answered():
    with pytest.raises(TypeError):
        keys.verify(keys.make_ed25519(SeededEntropy(1)).public_key(), "text", b"message")  # type: ignore[arg-type]
