"""Signing in: what is sent, what is stored, and answers that are not believed."""

import pytest

from teleport.base.disk import MemoryDisk, SystemDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter, NotFound, TeleportError
from teleport.client.login import sign_in
from teleport.client.profile import Home
from teleport.pki import keys
from tests.support import authorities
from tests.support.signed_in import HOUR, NOW, SETTINGS, Proxy, other_keys


def run(proxy, home=None, settings=SETTINGS, **options):
    home = home or Home("/tsh", MemoryDisk())
    made = sign_in(home, proxy, settings, user="alice", password="pw", entropy=SeededEntropy(3), **options)
    return home, made


def test_private_keys_stay_here():
    proxy = Proxy()
    run(proxy)
    assert set(proxy.asked) == {"user", "password", "ssh_pub_key", "tls_pub_key", "ttl"}
    assert proxy.asked["ttl"] == "0"
    assert "PRIVATE" not in str(proxy.asked)
    run(proxy, ttl_minutes=90)
    assert proxy.asked["ttl"] == "90m"


def test_profile_says_what_the_certificate_says():
    home, made = run(Proxy())
    assert home.current() == made
    assert (made.user, made.cluster, made.roles, made.logins) == (
        "alice", "example.com", ("access",), ("root", "alice"),
    )  # fmt: skip
    assert made.valid_until == NOW + HOUR
    assert "permit-pty" in made.extensions


def test_files_fit_each_other(tmp_path):
    proxy = Proxy()
    home, made = run(proxy, Home(str(tmp_path), SystemDisk()))
    files = home.files(made)
    private = keys.load_private(home.disk.read(files.ssh_key, private=True))
    assert keys.ssh_line(keys.ssh_blob(private.public_key())) == proxy.asked["ssh_pub_key"]
    assert keys.public_pem(keys.load_private(home.disk.read(files.tls_key)).public_key()) == proxy.asked["tls_pub_key"]
    for path in files.all():
        assert home.disk.mode(path) == 0o600
    line = home.disk.read(files.own_known_hosts).decode()
    assert line.startswith("@cert-authority proxy.example.com,example.com,*.example.com ssh-ed25519 ")
    assert home.disk.read(files.known_hosts).decode() == line


def test_clusters_share_the_old_known_hosts_but_not_their_own():
    home, first = run(Proxy())
    other = Proxy(authorities.cluster("other.example", seed=5))
    other.address = "other.example:443"
    _, second = run(other, home, {"cluster_name": "other.example"})
    assert len(home.disk.read(home.files(first).known_hosts).splitlines()) == 2
    for made in (first, second):
        own = home.disk.read(home.files(made).own_known_hosts).decode()
        assert own.count("\n") == 1
        assert f"clustername={made.cluster}" in own


UNLIKELY = [
    {"cert": None},
    {"cert": "ssh-ed25519 AAAA"},
    {"cert": ""},
    {"tls_cert": "PEM"},
    {"tls_cert": 5},
    {"host_signers": []},
    {"host_signers": "x"},
    {"host_signers": [{}]},
    {"host_signers": [{"domain_name": "example.com", "checking_keys": [], "tls_certs": []}]},
    {"host_signers": [{"domain_name": "example.com", "checking_keys": ["x"], "tls_certs": ["y"]}]},
]


@pytest.mark.parametrize("changes", UNLIKELY)
def test_answer_of_the_wrong_shape_is_refused_and_nothing_stored(changes):
    home = Home("/tsh", MemoryDisk())
    with pytest.raises(TeleportError):
        run(Proxy(**changes), home)
    assert not home.disk.exists("/tsh")


def test_unknown_parts_of_an_answer_are_passed_over():
    run(Proxy(later="x"))


@pytest.mark.parametrize("kind", ["ssh", "tls"])
def test_certificate_for_another_key_is_refused(kind):
    proxy = Proxy()
    proxy.other_keys = {kind: other_keys()[kind]}
    with pytest.raises(BadParameter, match="not for the keys that were sent"):
        run(proxy)


@pytest.mark.parametrize("name", ["other.example.com", "*", "a,b", "a b", "a\nb", "../x", "", "-a"])
def test_proxy_cannot_claim_another_cluster(name):
    home = Home("/tsh", MemoryDisk())
    with pytest.raises(BadParameter) as caught:
        run(Proxy(), home, {"cluster_name": name})
    assert caught.value.code == "CLIENT-ANSWER"
    assert not home.disk.exists("/tsh")


def test_settings_without_a_cluster():
    with pytest.raises(BadParameter, match="a part is missing"):
        run(Proxy(), settings={})


@pytest.mark.parametrize("user", ["../../etc/cron.d/x", ".ssh", "certs.pem"])
def test_user_whose_name_is_a_path_is_refused_and_nothing_stored(user):
    proxy = Proxy()
    proxy.identity = {"name": user}
    home = Home("/tsh", MemoryDisk())
    with pytest.raises(BadParameter) as caught:
        run(proxy, home)
    assert caught.value.code in ("CLIENT-PROXY-NAME", "PKI-IDENTITY")
    assert not home.disk.exists("/tsh")


def test_signing_in_as_somebody_else_replaces_the_first():
    home, first = run(Proxy())
    proxy = Proxy()
    proxy.identity = {"name": "bob"}
    run(proxy, home)
    assert not home.disk.exists(home.files(first).ssh_key)
    assert home.current().user == "bob"
    home.forget(home.current())
    with pytest.raises(NotFound):
        home.current()
