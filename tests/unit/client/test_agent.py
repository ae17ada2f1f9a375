"""Keys of a sign-in in a real ssh-agent, beside keys that are somebody's own, and agents that are none."""

import datetime as dt
import os
import socket
import subprocess
import threading

import pytest

from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.entropy import SeededEntropy, SystemEntropy
from teleport.base.errors import BadParameter, NotFound, TeleportError, Unavailable
from teleport.client import agent
from teleport.client.login import sign_in
from teleport.client.profile import Home
from teleport.client.ssh_client.trust import user_key
from teleport.pki import keys
from teleport.wire.buffer import ProtocolError
from tests.support import authorities, signed_in, ssh_agent

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def socket_path():
    with ssh_agent.running() as path:
        yield path


@pytest.fixture
def environment(socket_path):
    with agent.Agent(socket_path) as talk:
        for identity in talk.identities():
            talk.remove(identity.blob)
    return {"SSH_AUTH_SOCK": socket_path}


def signed_in_at(folder, **identity):
    """A home with a sign-in whose certificates are of now."""
    now = CLOCK.now().replace(microsecond=0)
    home = Home(str(folder), SystemDisk())
    proxy = signed_in.Proxy(authorities.cluster(now=now), now=now)
    proxy.identity = {"expires": now + dt.timedelta(hours=1), **identity}
    return home, sign_in(home, proxy, signed_in.SETTINGS, user="alice", password="x", entropy=SystemEntropy())


def test_the_key_goes_in_with_its_certificate_and_out_again(tmp_path, environment):
    home, profile = signed_in_at(tmp_path)
    assert agent.load(home, profile, environment, CLOCK) is None
    (line,) = ssh_agent.listed(environment["SSH_AUTH_SOCK"])
    kind, blob, comment = line.split(maxsplit=2)
    assert kind == "ssh-ed25519-cert-v01@openssh.com"
    assert comment == "teleport:proxy.example.com:example.com:alice"
    assert blob in (tmp_path / "keys/proxy.example.com/alice-ssh/example.com-cert.pub").read_text()
    assert agent.unload(profile, environment) is None
    assert ssh_agent.listed(environment["SSH_AUTH_SOCK"]) == []


def test_a_later_sign_in_replaces_an_earlier_one(tmp_path, environment):
    for name in ("a", "b"):
        home, profile = signed_in_at(tmp_path / name)
        agent.load(home, profile, environment, CLOCK)
    with agent.Agent(environment["SSH_AUTH_SOCK"]) as talk:
        (identity,) = talk.identities()
        blob = keys.load_ssh_line((tmp_path / "b/keys/proxy.example.com/alice-ssh/example.com-cert.pub").read_text())
        assert identity.blob == blob


def test_other_keys_stay(tmp_path, environment):
    """Also one that has the comment of ours: it is no certificate."""
    home, profile = signed_in_at(tmp_path / "home")
    for name, comment in (("own", "me"), ("posing", agent.comment_of(profile))):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(tmp_path / name)], check=True
        )
        subprocess.run(["ssh-add", "-q", str(tmp_path / name)], env={**os.environ, **environment}, check=True)
    before = ssh_agent.listed(environment["SSH_AUTH_SOCK"])
    agent.load(home, profile, environment, CLOCK)
    assert len(ssh_agent.listed(environment["SSH_AUTH_SOCK"])) == 3
    agent.unload(profile, environment)
    assert ssh_agent.listed(environment["SSH_AUTH_SOCK"]) == before


def test_it_signs_with_what_was_added(tmp_path, environment):
    home, profile = signed_in_at(tmp_path)
    agent.load(home, profile, environment, CLOCK)
    with agent.Agent(environment["SSH_AUTH_SOCK"]) as talk:
        (identity,) = talk.identities()
        signature = talk.sign(identity.blob, b"what is signed")
        with pytest.raises(ProtocolError) as caught:
            talk.sign(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32), b"x")
    assert caught.value.code == "WIRE-AGENT"
    public = keys.load_ssh_blob(keys.load_ssh_line((tmp_path / "keys/proxy.example.com/alice.pub").read_text()))
    assert keys.verify_ssh_signature(public, signature, b"what is signed")


def test_a_key_that_is_in_the_agent_alone(tmp_path, environment, monkeypatch):
    """The own client signs with it; an earlier key goes from the disk."""
    home, _ = signed_in_at(tmp_path)
    now = CLOCK.now().replace(microsecond=0)
    proxy = signed_in.Proxy(authorities.cluster(now=now), now=now)
    proxy.identity = {"expires": now + dt.timedelta(hours=1)}
    agent.check(environment)
    profile = sign_in(
        home, proxy, signed_in.SETTINGS, user="alice", password="x", entropy=SystemEntropy(),
        keep=lambda profile, private, line: agent.keep(environment, profile, private, line, CLOCK),
    )  # fmt: skip
    files = home.files(profile)
    assert not os.path.exists(files.ssh_key)
    assert not os.path.exists(files.putty_key)
    assert agent.has_key(home, profile, environment)
    monkeypatch.setenv("SSH_AUTH_SOCK", environment["SSH_AUTH_SOCK"])
    key = user_key(home, profile)
    public = keys.load_ssh_blob(keys.load_ssh_line((tmp_path / "keys/proxy.example.com/alice.pub").read_text()))
    assert keys.verify_ssh_signature(public, key.sign(b"data"), b"data")
    agent.unload(profile, environment)
    assert not agent.has_key(home, profile, environment)
    for found in (environment["SSH_AUTH_SOCK"], ""):
        monkeypatch.setenv("SSH_AUTH_SOCK", found)
        with pytest.raises(NotFound) as caught:
            user_key(home, profile)
        assert caught.value.code == "CLIENT-AGENT-KEY"
    with pytest.raises(Unavailable) as caught:
        agent.check({})
    assert caught.value.code == "CLIENT-AGENT"


def test_nothing_is_stored_when_the_agent_does_not_take_the_key(tmp_path):
    now = CLOCK.now().replace(microsecond=0)
    home = Home(str(tmp_path / "home"), SystemDisk())
    proxy = signed_in.Proxy(authorities.cluster(now=now), now=now)
    proxy.identity = {"expires": now + dt.timedelta(hours=1)}

    def refuse(profile, private, certificate):
        raise Unavailable("CLIENT-AGENT", problem="full")

    with pytest.raises(Unavailable):
        sign_in(
            home, proxy, signed_in.SETTINGS, user="alice", password="x", entropy=SystemEntropy(), keep=refuse
        )  # fmt: skip
    assert not (tmp_path / "home").exists()


def test_a_p256_key(tmp_path, environment):
    entropy = SeededEntropy(7)
    key, now = keys.make_p256(entropy), CLOCK.now().replace(microsecond=0)
    cluster = authorities.cluster(now=now)
    identity = cluster.identity(expires=now + dt.timedelta(hours=1))
    line = cluster.ssh(identity, keys.ssh_blob(key.public_key()), now=now).line()
    with agent.Agent(environment["SSH_AUTH_SOCK"]) as talk:
        talk.add(keys.private_openssh(key), line, comment="p256", lifetime=60)
        assert [each.comment for each in talk.identities()] == ["p256"]
        assert talk.sign(talk.identities()[0].blob, b"x")


def test_what_has_expired_is_not_loaded(tmp_path, environment):
    _, profile = signed_in_at(tmp_path)
    home = Home(str(tmp_path / "nothing"), SystemDisk())  # nothing is read
    old = signed_in.profile(valid_until=CLOCK.now() - dt.timedelta(hours=1))
    assert agent.load(home, old, environment, CLOCK) is None
    assert ssh_agent.listed(environment["SSH_AUTH_SOCK"]) == []
    missing = agent.load(home, profile, environment, CLOCK)
    assert isinstance(missing, TeleportError)
    assert missing.code == "DISK-MISSING"


def test_without_an_agent_nothing_happens(tmp_path):
    home, profile = signed_in_at(tmp_path)
    assert agent.load(home, profile, {}, CLOCK) is None
    assert agent.unload(profile, {"SSH_AUTH_SOCK": ""}) is None
    assert not agent.present({})


@pytest.mark.parametrize("path", ["/nowhere/agent", "/" + "x" * 300, "/a\0b"])
def test_an_agent_that_is_not_there(path):
    with pytest.raises(Unavailable) as caught:
        agent.Agent(path)
    assert caught.value.code == "CLIENT-AGENT"
    problem = agent.unload(signed_in.profile(), {"SSH_AUTH_SOCK": path})
    assert problem is not None


@pytest.mark.parametrize(("answer", "code"), [(b"", "CLIENT-AGENT"), (b"\0\0\0\x01\x05", "WIRE-AGENT")])
def test_an_agent_that_is_none(tmp_path, monkeypatch, answer, code):
    monkeypatch.chdir(tmp_path)  # the paths of sockets are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        listener.listen()

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            problem = agent.unload(signed_in.profile(), {"SSH_AUTH_SOCK": "s"})
        finally:
            thread.join()
    assert isinstance(problem, TeleportError)
    assert problem.code == code


def test_a_damaged_key_is_refused(environment):
    with agent.Agent(environment["SSH_AUTH_SOCK"]) as talk, pytest.raises(BadParameter) as caught:
        talk.add(b"no key", "ssh-ed25519 AAAA", comment="x", lifetime=1)
    assert caught.value.code == "PKI-KEY"
