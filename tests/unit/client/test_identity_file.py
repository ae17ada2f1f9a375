"""Identity files: their parts in order, what they become, and what is none."""

import datetime as dt

import pytest

from teleport.base.errors import BadParameter
from teleport.client import identity_file
from teleport.pki import keys
from tests.support import authorities, identities
from tests.support.authorities import NOW

PATH = "/k/identity"
CLUSTER = authorities.cluster()
PARTS = identities.parts(CLUSTER)


def problem(call):
    with pytest.raises(BadParameter) as caught:
        call()
    assert caught.value.code == "CLIENT-IDENTITY"
    assert PATH in str(caught.value)
    return str(caught.value)


def opened(**changes):
    return identity_file.open_home(PARTS._replace(**changes), PATH, "proxy.example.com:443")


def test_parts_stand_in_order_and_come_back():
    text = identity_file.write(PARTS, "example.com").decode()
    marks = ["PRIVATE KEY", "ecdsa-sha2-nistp256-cert-v01@openssh.com ", "BEGIN CERTIFICATE", "@cert-authority "]
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)
    assert text.rindex("BEGIN CERTIFICATE") > places[-1]
    assert "@cert-authority example.com,*.example.com ssh-ed25519 " in text
    assert identity_file.parse(text.encode(), PATH) == PARTS


def test_it_becomes_a_profile_and_files_in_memory():
    home, profile = opened()
    assert (profile.user, profile.cluster, profile.logins) == ("alice", "example.com", ("root", "alice"))
    assert (profile.url, profile.valid_until) == ("https://proxy.example.com:443", NOW + dt.timedelta(hours=1))
    files = home.files(profile)
    assert home.current() == profile
    assert home.disk.read(files.ssh_key, private=True) == home.disk.read(files.tls_key, private=True)
    assert home.disk.read(files.ssh_certificate).decode() == f"{PARTS.ssh_certificate}\n"
    assert home.disk.read(files.cluster_authorities).decode() == PARTS.tls_authorities
    known = home.disk.read(files.own_known_hosts).decode()
    assert known.startswith("@cert-authority proxy.example.com,example.com,*.example.com ssh-ed25519 ")


def test_pinned_address_is_a_critical_option():
    parts = identities.parts(CLUSTER, pinned_ip="192.0.2.1", login_ip="192.0.2.1")
    _, profile = identity_file.open_home(parts, PATH, "p:1")
    assert profile.critical_options == {"source-address": "192.0.2.1/32"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: b"", "it has no private key, and needs one"),
        (lambda text: b"\xff" + text, "it is not text"),
        (lambda text: text + PARTS.key.encode(), "it has 2 private keys"),
        (lambda text: text.replace(PARTS.ssh_certificate.encode(), b""), "no SSH certificate"),
        (lambda text: text.replace(PARTS.tls_certificate.encode(), b""), "are missing"),
        (lambda text: text.replace(b"@cert-authority ", b"# "), "are missing"),
        (lambda text: text.replace(PARTS.ssh_authorities[0].encode(), b""), "are missing"),
        (lambda text: text.rpartition(b"-----END")[0], "its last part has no end"),
    ],
)
def test_what_is_no_identity_file(change, said):
    text = identity_file.write(PARTS, "example.com")
    assert said in problem(lambda: identity_file.parse(change(text), PATH))


def test_parts_of_different_origin_are_refused():
    bob = identities.parts(CLUSTER, name="bob")
    other = keys.private_pem(keys.make_p256(CLUSTER.entropy)).decode()
    assert "name different identities" in problem(lambda: opened(ssh_certificate=bob.ssh_certificate))
    assert "not for its private key" in problem(lambda: opened(key=other))
    assert "damaged" in problem(lambda: opened(key="-----BEGIN PRIVATE KEY-----\n"))
    assert "SSH public key" in problem(lambda: opened(ssh_authorities=("ssh-ed25519 AAAA",)))
    assert problem(lambda: opened(tls_authorities="-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"))


def test_a_host_is_nobody_to_act_as():
    host = identities.parts(CLUSTER, kind="host")
    assert "of the host id1.example.com" in problem(lambda: identity_file.open_home(host, PATH, "p:1"))
