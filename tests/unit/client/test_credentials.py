"""Whom a command acts as: the profile, or an identity file, and what is said when neither will do."""

import datetime as dt
import socket
import subprocess
import sys

import pytest

from teleport.base.clock import ManualClock
from teleport.base.disk import SystemDisk
from teleport.base.errors import AccessDenied, BadParameter, NotAuthenticated, NotFound, TeleportError, Unavailable
from teleport.client import credentials
from teleport.client.credentials import Wanted, choose
from teleport.client.profile import Home
from tests.support import identities
from tests.support.authorities import NOW
from tests.support.signed_in import profile


@pytest.fixture
def environment(tmp_path):
    return {"TELEPORT_HOME": str(tmp_path / "tsh")}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "identity"
    path.write_bytes(identities.data())
    path.chmod(0o600)
    return path


@pytest.fixture
def said():
    return []


def chosen(environment, said, **wanted):
    return choose(environment, SystemDisk(), Wanted(**wanted), warn=said.append)


def test_profile_of_the_proxy_that_option_or_environment_name(environment, said):
    home = Home(environment["TELEPORT_HOME"], SystemDisk())
    home.save(profile(web_proxy_addr="a.example.com:443", user="ann"))
    home.save(profile(web_proxy_addr="b.example.com:443", user="bob"))
    assert chosen(environment, said).profile.user == "bob"
    assert chosen({**environment, "TELEPORT_PROXY": "a.example.com"}, said).profile.user == "ann"
    assert chosen({**environment, "TELEPORT_PROXY": "a.example.com"}, said, proxy="b.example.com").identity == ""
    with pytest.raises(NotFound) as caught:
        chosen(environment, said, user="ann")
    assert caught.value.code == "CLIENT-NOT-LOGGED-IN"


def test_identity_file_needs_no_profile(environment, file, said):
    found = chosen(environment, said, identity=str(file), proxy="proxy.example.com:3080")
    assert (found.profile.user, found.profile.web_proxy_addr) == ("alice", "proxy.example.com:3080")
    assert found.identity == str(file)
    assert not SystemDisk().exists(environment["TELEPORT_HOME"])
    by_environment = {**environment, "TELEPORT_IDENTITY_FILE": str(file), "TELEPORT_PROXY": "p:1"}
    assert chosen(by_environment, said).profile.web_proxy_addr == "p:1"
    assert said == []


def test_identity_file_that_others_may_read_is_used_with_a_warning(environment, file, said):
    file.chmod(0o644)
    assert chosen(environment, said, identity=str(file), proxy="p:1").identity
    assert said == [f"others may use the private key in {file} (mode 0644): chmod 600 {file}"]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({}, "CLIENT-IDENTITY-PROXY"),
        ({"proxy": "a b"}, "KIND-ADDRESS"),
        ({"proxy": "p:1", "identity": "/nowhere/identity"}, "DISK-MISSING"),
        ({"proxy": "p:1", "identity": "/dev/null"}, "CLIENT-IDENTITY"),
        ({"proxy": "p:1", "user": "bob"}, "CLIENT-NOT-LOGGED-IN"),
    ],
)
def test_what_cannot_be_used(environment, file, said, wanted, code):
    with pytest.raises(TeleportError) as caught:
        chosen(environment, said, **{"identity": str(file), **wanted})
    assert caught.value.code == code


def test_end_of_validity_is_told_with_what_to_do(environment, file, said):
    found = chosen(environment, said, identity=str(file), proxy="p:1")
    found.check_valid(ManualClock(NOW))
    late = ManualClock(NOW + dt.timedelta(hours=1))
    with pytest.raises(NotAuthenticated) as caught:
        found.check_valid(late)
    assert caught.value.code == "CLIENT-IDENTITY-EXPIRED"
    assert f"tctl auth sign --user=alice --out={file} --overwrite" in caught.value.fix
    with pytest.raises(NotAuthenticated) as caught:
        found._replace(identity="").check_valid(late)
    assert caught.value.code == "CLIENT-EXPIRED"


def test_who_renews_a_file_of_tbot_is_tbot(environment, tmp_path, said):
    """As long as its neighbours are those of an output, and their certificate names a bot or cannot be read."""
    file = identities.output(tmp_path, bot_name="ex")
    late = ManualClock(NOW + dt.timedelta(hours=1))
    with pytest.raises(NotAuthenticated) as caught:
        chosen(environment, said, identity=str(file), proxy="p:1").check_valid(late)
    assert (caught.value.code, str(caught.value)) == ("CLIENT-OUTPUT-EXPIRED", f"the identity in {file} has expired")
    assert ("tctl auth sign" in caught.value.fix, "tbot doctor" in caught.value.fix) == (False, True)
    good = file.read_bytes()
    file.write_bytes(good[:-40])
    for certificate in ((tmp_path / "tlscert").read_bytes(), b"damaged", b""):
        (tmp_path / "tlscert").write_bytes(certificate)
        with pytest.raises(BadParameter) as damaged:
            chosen(environment, said, identity=str(file), proxy="p:1")
        assert (damaged.value.code, "tbot doctor" in damaged.value.fix) == ("CLIENT-OUTPUT-DAMAGED", True)
        assert str(damaged.value) == f"{file} is no identity file of a user: its last part has no end"
    identities.output(tmp_path)  # of a person
    with pytest.raises(NotAuthenticated) as caught:
        chosen(environment, said, identity=str(file), proxy="p:1").check_valid(late)
    assert caught.value.code == "CLIENT-IDENTITY-EXPIRED"
    identities.output(tmp_path, bot_name="ex")
    mine = file.rename(tmp_path / "mine")
    (tmp_path / "mine").write_bytes(b"damaged")
    with pytest.raises(BadParameter) as damaged:
        chosen(environment, said, identity=str(mine), proxy="p:1")
    assert damaged.value.code == "CLIENT-IDENTITY"


def test_another_cluster_is_named_when_an_identity_is_used(environment, file, said):
    found = chosen(environment, said, identity=str(file), proxy="p:1")
    strange = NotAuthenticated("NET-TLS-UNKNOWN-CA", address="p:1", reason="unknown")
    with pytest.raises(NotAuthenticated) as caught, found.in_use():
        raise strange
    assert caught.value.code == "CLIENT-IDENTITY-FOREIGN"
    assert str(caught.value) == f"the identity in {file} cannot be used at p:1"
    assert "it is of the cluster example.com" in caught.value.why
    for credential, error in ((found._replace(identity=""), strange), (found, BadParameter("CLIENT-NO-PROXY"))):
        with pytest.raises(TeleportError) as caught, credential.in_use():
            raise error
        assert caught.value is error


def test_a_login_that_the_certificate_is_not_for_is_told(environment, file, said):
    """S1-29: with the text that other clients have, the logins there are, and the decision's id."""
    found = chosen(environment, said, identity=str(file), proxy="p:1")
    refused = AccessDenied("CLIENT-NODE-REFUSED", id="0123", host="node-1", said="no")
    with pytest.raises(AccessDenied) as caught, found.in_use("bob"):
        raise refused
    assert (caught.value.code, caught.value.id) == ("CLIENT-LOGIN", "0123")
    assert "unable to authenticate, attempted methods [none publickey]" in caught.value.what
    assert "bob is not among the logins of your certificate (" in caught.value.why
    other = BadParameter("CLIENT-NO-PROXY")
    for login, error in ((found.profile.logins[0], refused), ("", refused), ("bob", other)):
        with pytest.raises(TeleportError) as kept, found.in_use(login):
            raise error
        assert kept.value is error


def test_a_proxy_without_a_port_is_looked_for(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as open_port, socket.create_server(("127.0.0.1", 0)) as other:
        number, closed = open_port.getsockname()[1], other.getsockname()[1]
        other.close()
        monkeypatch.setattr(credentials, "DEFAULT_PORTS", (closed, number))
        assert credentials.locate("127.0.0.1") == f"127.0.0.1:{number}"
        assert credentials.locate("https://127.0.0.1:77") == "127.0.0.1:77"
        monkeypatch.setattr(credentials, "DEFAULT_PORTS", (closed,))
        with pytest.raises(Unavailable) as caught:
            credentials.locate("127.0.0.1")
        assert caught.value.code == "CLIENT-UNREACHABLE"


def test_nothing_heavy_is_imported_without_an_identity_file():
    heavy = ("asyncssh", "grpclib", "cryptography", "click", "http.client")
    code = f"import sys, teleport.client.credentials; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
