"""TLS settings that all contexts share, and a signed-in client's context."""

import datetime as dt
import os
import socket
import ssl

import pytest
from cryptography.hazmat.primitives import serialization

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.pki import authority, keys, tls_settings, x509
from tests.support.authorities import NOW, cluster


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("files"), cluster()
    key = keys.make_p256(SeededEntropy(2))
    (folder / "key").write_bytes(keys.private_pem(key))
    (folder / "other-key").write_bytes(keys.private_pem(keys.make_p256(SeededEntropy(3))))
    identity = made.identity(expires=NOW + dt.timedelta(hours=1))
    (folder / "certificate").write_text(x509.pem(made.tls(identity, key.public_key())))
    bundle = "".join(x509.pem(data) for data in authority.trusted_tls([made.host], "host"))
    (folder / "authorities").write_text(bundle)
    (folder / "empty").write_text("")
    (folder / "foreign").write_text("\N{SNOWMAN}")
    (folder / "broken").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    sealed = serialization.BestAvailableEncryption(b"secret")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "locked-key").write_bytes(key.private_bytes(pem, form, sealed))
    return folder


def context(files, **changes):
    names = {"authorities": "authorities", "certificate": "certificate", "key": "key", **changes}
    texts = {name: (files / file).read_text() for name, file in names.items()}
    return tls_settings.client_of_cluster(**texts, alpn=("x",))


def test_context_of_a_client(files):
    made = context(files)
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert made.check_hostname
    assert made.minimum_version == ssl.TLSVersion.TLSv1_2
    assert made.verify_flags & ssl.VerifyFlags.VERIFY_X509_STRICT
    assert made.options & ssl.OP_NO_RENEGOTIATION
    assert made.get_ca_certs()


def test_it_knows_one_name_only(files):
    made = context(files)
    near = made.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="elsewhere.example")
    assert near.server_hostname == tls_settings.CLUSTER_NAME
    one, two = socket.socketpair()
    with two, made.wrap_socket(one, do_handshake_on_connect=False) as wrapped:
        assert wrapped.server_hostname == tls_settings.CLUSTER_NAME


def test_without_protocols_none_is_offered():
    assert isinstance(tls_settings.prepare(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ()), ssl.SSLContext)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"authorities": "foreign"}, "PKI-X509"),
        ({"authorities": "broken"}, "PKI-X509"),
        ({"authorities": "empty"}, "PKI-X509"),
        ({"certificate": "foreign"}, "PKI-KEY"),
        ({"key": "empty"}, "PKI-KEY"),
        ({"key": "other-key"}, "PKI-KEY"),
        ({"key": "locked-key"}, "PKI-KEY"),
        ({"certificate": "empty"}, "PKI-KEY"),
    ],
)
def test_parts_that_do_not_fit(files, changes, code):
    with pytest.raises(BadParameter) as caught:
        context(files, **changes)
    assert caught.value.code == code


def test_without_memory_files_the_key_is_in_a_folder_for_a_moment(files, tmp_path, monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert context(files).get_ca_certs()
    assert list(tmp_path.iterdir()) == []


def test_nobody_is_asked_for_a_password():
    with pytest.raises(ValueError, match="encrypted"):
        tls_settings.no_password()
