"""A signed-in client's context without `ssl`: it is as strict as the one with it."""

import datetime as dt
import os
import ssl
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.model.naming import CLUSTER_NAME
from teleport.pki import authority, keys, tls_client, tls_settings, x509
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
    return tls_client.client_of_cluster(**texts, alpn=("x",))


def test_it_is_as_strict_as_every_other_context(files):
    made = context(files)
    other = tls_settings.prepare(tls_settings.ClusterContext(ssl.PROTOCOL_TLS_CLIENT), ("x",))
    for fact in ("verify_mode", "check_hostname", "minimum_version", "maximum_version", "options", "verify_flags",
                 "protocol", "security_level", "post_handshake_auth", "_host_flags"):  # fmt: skip
        assert getattr(made, fact) == getattr(other, fact), fact
    assert [suite["name"] for suite in made.get_ciphers()] == [suite["name"] for suite in other.get_ciphers()]
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert made.check_hostname
    assert made.get_ca_certs()


def test_it_knows_one_name_only(files):
    near = context(files).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="elsewhere.example")
    assert near.server_hostname == CLUSTER_NAME


def test_the_module_that_it_does_without_is_not_imported(files):
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from teleport.pki.tls_client import client_of_cluster\n"
        f"names = [f'{files}/' + name for name in ('authorities', 'certificate', 'key')]\n"
        "a, c, k = (open(name).read() for name in names)\n"
        "client_of_cluster(authorities=a, certificate=c, key=k, alpn=('x',))\n"
        "print({'ssl', 'socket', 'typing', 'enum', 're'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-ISc", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


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
        tls_client.no_password()
