"""The certificate of the web port: made once, kept, made anew when it no longer fits; configured pairs."""

import datetime as dt
import ssl

import pytest
from cryptography import x509

from teleport.base.clock import ManualClock
from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter, NotFound
from teleport.pki import contexts, keys
from teleport.proxy.web_certificate import LIFETIME, RENEW_BEFORE, configured, covers, names, self_signed
from tests.support import tls

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
NAMES = ["proxy.example.com", "localhost", "127.0.0.1", "::1"]
CERTIFICATE, KEY = "/data/webproxy_cert.pem", "/data/webproxy_key.pem"


class Place:
    """A data directory, a clock, and how often a certificate was made (which a warning tells)."""

    def __init__(self):
        self.disk = MemoryDisk()
        self.disk.make_dir("/data")
        self.clock = ManualClock(NOW)
        self._entropy = SeededEntropy(1)

    def pair(self, names=NAMES):
        return self_signed("/data", names, disk=self.disk, clock=self.clock, entropy=self._entropy)


@pytest.fixture
def place():
    return Place()


def parsed(pem):
    return x509.load_pem_x509_certificate(pem.encode())


def test_made_one_names_every_address(place, caplog):
    certificate, key = place.pair()
    made = parsed(certificate)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["proxy.example.com", "localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert made.not_valid_after_utc == NOW + LIFETIME
    assert made.not_valid_before_utc < NOW
    assert keys.load_private(key.encode()).public_key() == made.public_key()
    assert "self-signed" in caplog.text


def test_key_is_private_and_certificate_public(place):
    place.pair()
    assert (place.disk.mode(KEY), place.disk.mode(CERTIFICATE)) == (0o600, 0o644)


def test_second_start_uses_the_same(place):
    first = place.pair()
    place.clock.advance(LIFETIME - RENEW_BEFORE - dt.timedelta(hours=1))
    assert place.pair() == first


def test_new_one_when_the_old_one_ends_soon_or_names_others(place):
    first = place.pair()
    place.clock.advance(LIFETIME - RENEW_BEFORE)
    second = place.pair()
    assert second != first
    assert place.pair([*NAMES, "new.example.com"]) != second


@pytest.mark.parametrize("path", [CERTIFICATE, KEY])
@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_damaged_files_are_made_anew(place, path, damage):
    first = place.pair()
    place.disk.write(path, damage, mode=0o600)
    second = place.pair()
    assert second != first
    contexts.web_context(certificate=second[0], key=second[1])


@pytest.mark.parametrize("path", [CERTIFICATE, KEY])
def test_one_file_alone_is_made_anew(place, path):
    place.pair()
    place.disk.remove(path)
    certificate, key = place.pair()
    assert keys.load_private(key.encode()).public_key() == parsed(certificate).public_key()


def test_key_of_another_certificate_is_not_used(place):
    first = place.pair()
    place.disk.write(KEY, keys.private_pem(keys.make_p256(SeededEntropy(9))), mode=0o600)
    assert place.pair()[0] != first[0]


def test_key_that_others_may_read_is_refused(place):
    place.pair()
    place.disk.write(KEY, place.disk.read(KEY), mode=0o644)
    with pytest.raises(BadParameter) as caught:
        place.pair()
    assert caught.value.code == "DISK-PERMISSIONS"


def test_browser_that_is_given_it_believes_it(place):
    place.clock = ManualClock(dt.datetime.now(dt.UTC))  # noqa: TID251 - OpenSSL has no other clock
    certificate, key = place.pair()
    server = contexts.web_context(certificate=certificate, key=key, alpn=("http/1.1",))
    client = ssl.create_default_context(cadata=certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="proxy.example.com")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (ours, theirs, ours, theirs):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert ours.getpeercert()["subjectAltName"][0] == ("DNS", "proxy.example.com")


def test_configured_pair(place):
    pem = tls.authority().issue().decode()
    place.disk.write("/c.pem", pem.encode())
    place.disk.write("/k.pem", pem.encode())
    assert configured("/c.pem", "/k.pem", place.disk) == (pem, pem)


@pytest.mark.parametrize("content", [b"", b"\x30\x82", b"-----BEGIN CERTIFICATE-----"])
def test_configured_files_of_another_form_are_named(place, content):
    for path in ("/c.pem", "/k.pem"):
        place.disk.write(path, content)
    with pytest.raises(BadParameter) as caught:
        configured("/c.pem", "/k.pem", place.disk)
    assert caught.value.code == "PROXY-KEYPAIR"
    assert "/c.pem" in caught.value.what


def test_configured_files_that_are_missing(place):
    with pytest.raises(NotFound):
        configured("/c.pem", "/k.pem", place.disk)


def test_names_of_a_certificate():
    assert names(tls.authority().issue("A.example.com").decode()) == ("a.example.com",)
    assert names("nothing") == names("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n") == ()


@pytest.mark.parametrize(
    ("asked", "covered"),
    [
        ("a.example.com", True), ("A.Example.Com", True), ("b.w.example.com", True), ("w.example.com", False),
        ("c.b.w.example.com", False), ("", False), ("example.com", False),
    ],
)  # fmt: skip
def test_a_star_stands_for_one_label(asked, covered):
    assert covers(("a.example.com", "*.w.example.com"), asked) is covered
