"""pki.ssh: certificates against ssh-keygen and asyncssh, and what is refused."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.pki import keys, ssh
from teleport.pki.signer import MemorySigner
from teleport.pki.ssh_wire import string

ENTROPY = SeededEntropy(3)
CA = keys.make_ed25519(ENTROPY)
CA_BLOB = keys.ssh_blob(CA.public_key())
KEYS = {
    "ed25519": keys.ssh_blob(keys.make_ed25519(ENTROPY).public_key()),
    "ecdsa": keys.ssh_blob(keys.make_p256(ENTROPY).public_key()),
    "rsa": keys.ssh_blob(rsa.generate_private_key(65537, 2048).public_key()),
}
BODY = ssh.Body(
    key=KEYS["ed25519"], nonce=bytes(32), serial=7, type="user", key_id="alice", principals=("root", "alice"),
    valid_after=1_700_000_000, valid_before=1_700_003_600, critical_options={"source-address": "10.0.0.1/32"},
    extensions={"permit-pty": "", "teleport-roles": "{}", "permit-X11-forwarding": ""}, authority=CA_BLOB,
)  # fmt: skip


def made(**changes: Any) -> bytes:
    """Return a certificate signed by CA, with changes."""
    tbs = ssh.encode_tbs(BODY._replace(**changes))
    return tbs + string(keys.ssh_signature(CA.public_key(), keys.sign(CA, tbs)))


@pytest.mark.parametrize("kind", KEYS)
def test_what_was_written_is_read(kind: str) -> None:
    blob = made(key=KEYS[kind])
    certificate = ssh.parse(blob)
    for name in BODY._fields:
        assert getattr(certificate, name) == getattr(BODY._replace(key=KEYS[kind]), name)
    assert certificate.blob == blob
    assert ssh.parse_tbs(certificate.tbs).serial == 7
    assert ssh.verify(certificate)
    assert ssh.is_certificate(blob)
    assert keys.load_ssh_line(certificate.line("c")) == blob


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256"])
@pytest.mark.parametrize("kind", KEYS)
def test_ssh_keygen_and_asyncssh_read_the_same(kind: str, algorithm: str, tmp_path: Path) -> None:
    async def issue() -> ssh.SSHCertificate:
        signer = MemorySigner(ENTROPY)
        handle = await signer.generate(algorithm, "ssh")
        authority = keys.ssh_blob(keys.load_spki(handle.spki))
        return await ssh.issue(
            signer, handle.key_id, authority=authority, key=KEYS[kind], type="user", key_id="alice@example.com",
            principals=("root", "-teleport-internal-join"), valid_after=1_700_000_000, valid_before=4_000_000_000,
            critical_options={"source-address": "10.0.0.1/32"}, extensions={"permit-pty": "", "login-ip": "10.0.0.1"},
            entropy=ENTROPY,
        )  # fmt: skip

    certificate = asyncio.run(issue())
    assert ssh.verify(ssh.parse(certificate.blob))
    assert ssh.parse(certificate.blob) == certificate
    file = tmp_path / "id-cert.pub"
    file.write_text(certificate.line() + "\n")
    run = ["env", "TZ=UTC", "ssh-keygen", "-L", "-f", str(file)]
    shown = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    words = " ".join(shown.split())
    assert "user certificate" in shown
    assert 'Key ID: "alice@example.com"' in shown
    assert f"Serial: {certificate.serial}" in shown
    assert "Principals: root -teleport-internal-join" in words
    assert "source-address 10.0.0.1/32" in words
    assert "2023-11-14T22:13:20" in shown
    assert keys.fingerprint(certificate.authority) in shown
    assert keys.fingerprint(certificate.key) in shown
    other: Any = asyncssh.import_certificate(certificate.line())
    assert list(other.principals) == ["root", "-teleport-internal-join"]
    assert other.signing_key.public_data == certificate.authority
    assert other.key.public_data == certificate.key
    other.validate(asyncssh.public_key.CERT_TYPE_USER, "root")


def test_ssh_keygens_certificates_are_read(tmp_path: Path) -> None:
    for name in ("ca", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    sign = [
        "ssh-keygen",
        "-q",
        "-s",
        "ca",
        "-h",
        "-I",
        "host id",
        "-n",
        "a.example,b",
        "-V",
        "+1h",
        "-z",
        "9",
        "user.pub",
    ]
    subprocess.run(sign, check=True, cwd=tmp_path)
    certificate = ssh.parse(keys.load_ssh_line((tmp_path / "user-cert.pub").read_text()))
    assert (certificate.type, certificate.key_id, certificate.serial) == ("host", "host id", 9)
    assert certificate.principals == ("a.example", "b")
    assert ssh.verify(certificate)


def test_a_plain_key_is_no_certificate() -> None:
    assert not ssh.is_certificate(KEYS["ed25519"])
    assert not ssh.is_certificate(b"\0")


def refuse(blob: bytes, problem: str, parse: Any = ssh.parse) -> None:
    with pytest.raises(BadParameter, match=problem) as caught:
        parse(blob)
    assert caught.value.code == "PKI-SSH-CERT"


def nested(authority: bytes) -> bytes:
    """Return a certificate whose authority field holds whatever is given; the rest is in order."""
    blob = made()
    tbs = ssh.parse(blob).tbs.removesuffix(string(CA_BLOB)) + string(authority)
    return tbs + string(keys.ssh_signature(CA.public_key(), keys.sign(CA, tbs)))


def test_cve_2025_49825_a_certificate_as_authority_is_refused() -> None:
    refuse(nested(made()), "signing key is not a plain key")
    refuse(nested(made(type="host")), "signing key is not a plain key")


def test_cve_2025_49825_a_damaged_or_empty_authority_is_refused() -> None:
    refuse(nested(CA_BLOB + b"x"), "signing key is not a plain key")
    refuse(nested(b""), "signing key is not a plain key")
    refuse(nested(KEYS["rsa"]), "neither Ed25519 nor")
    with pytest.raises(BadParameter, match="neither Ed25519"):
        made(authority=KEYS["rsa"])


@pytest.mark.parametrize(
    "bad", ["root,admin", "a\nb", "a\0b", "a b", "", "a\x7f", "a\u202eb", "e\u0301", "x" * 513, "\ud800"]
)
def test_cve_2026_35414_principals_have_a_grammar(bad: str) -> None:
    with pytest.raises(BadParameter, match="principal") as caught:
        made(principals=("root", bad))
    assert caught.value.code == "PKI-SSH-CERT"
    if bad != "\ud800":
        good = string(b"root") + string(b"alice")
        lie = string(string(b"root") + string(bad.encode()))
        refuse(made().replace(string(good), lie, 1), "principal")


async def _issue(**changes: Any) -> ssh.SSHCertificate:
    signer = MemorySigner(ENTROPY)
    handle = await signer.generate("ed25519", "ssh")
    wanted = {
        "authority": keys.ssh_blob(keys.load_spki(handle.spki)), "key": KEYS["ed25519"], "type": "user",
        "key_id": "alice", "principals": ("root",), "valid_after": 1, "valid_before": 2, "entropy": ENTROPY,
    }  # fmt: skip
    return await ssh.issue(signer, handle.key_id, **{**wanted, **changes})


def test_cve_2024_7594_a_certificate_without_principals_is_never_issued() -> None:
    assert asyncio.run(_issue()).principals == ("root",)
    with pytest.raises(BadParameter, match="no principals"):
        asyncio.run(_issue(principals=()))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"principals": ("root", "root")}, "twice"),
        ({"principals": tuple(f"p{n}" for n in range(257))}, "too many"),
        ({"key_id": "a\nb"}, "key id"),
        ({"key_id": "a" * 513}, "key id"),
        ({"extensions": {"": ""}}, "no name"),
        ({"extensions": {"a\n": ""}}, "name of an option"),
        ({"extensions": {"a": "\udfff"}}, "no text"),
        ({"extensions": {f"e{n}": "" for n in range(65)}}, "too many options"),
        ({"extensions": {"a": "x" * 70000}}, "more than"),
        ({"valid_after": 5, "valid_before": 5}, "validity"),
        ({"valid_before": 1 << 64}, "validity"),
        ({"serial": 1 << 64}, "out of range"),
        ({"nonce": b"short"}, "nonce"),
        ({"key": made()}, "certified key is not a plain key"),
    ],
)
def test_what_must_not_be_written_is_not(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadParameter, match=problem) as caught:
        made(**changes)
    assert caught.value.code == "PKI-SSH-CERT"


KEY_FIELD = string(KEYS["ed25519"][-32:])
BEGIN = (1_700_000_000).to_bytes(8, "big")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"ssh-ed25519-cert-v01@openssh.com", b"ssh-ed25518-cert-v01@openssh.com", "type is unknown"),
        (b"ssh-ed25519-cert-v01@openssh.com", b"ssh-ed25519-cert-v02@openssh.com", "type is unknown"),
        ((7).to_bytes(8, "big") + b"\0\0\0\1", (7).to_bytes(8, "big") + b"\0\0\0\3", "neither for a user"),
        (b"permit-X11", b"qermit-X11", "not sorted"),
        (string(string(b"{}")), string(b"\0\0\0\0\0\0"), "empty value"),
        (string(string(b"{}")), string(b"\0\0\0\1a!"), "follow"),
        (b"alice" + BEGIN, b"al\xffce" + BEGIN, "UTF-8"),
        (string(b"") + string(CA_BLOB), string(b"x") + string(CA_BLOB), "reserved"),
        (KEY_FIELD, string(bytes(31)), "certified key is not a plain key"),
    ],
)  # fmt: skip
def test_changed_certificates_are_refused(old: bytes, new: bytes, problem: str) -> None:
    blob = made()
    assert old in blob
    refuse(blob.replace(old, new, 1), problem)


def test_an_option_may_not_stand_there_twice() -> None:
    flag = string(b"permit-pty") + string(b"")
    tbs = ssh.parse(made(extensions={"permit-pty": ""})).tbs
    refuse(tbs.replace(string(flag), string(flag + flag)), "twice", ssh.parse_tbs)


def test_nothing_may_follow() -> None:
    refuse(made() + b"x", "follow")
    refuse(ssh.parse(made()).tbs + b"x", "follow", ssh.parse_tbs)
    refuse(ssh.parse(made()).tbs[:-1], "cut short", ssh.parse_tbs)
    refuse(bytes(70000), "more than")
    refuse(made()[:-1], "cut short")


def test_a_changed_certificate_does_not_verify() -> None:
    assert not ssh.verify(ssh.parse(made().replace(b"root", b"toor")))
    assert not ssh.verify(ssh.parse(nested(keys.ssh_blob(keys.make_p256(ENTROPY).public_key()))))
