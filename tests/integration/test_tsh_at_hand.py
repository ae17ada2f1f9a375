"""What tsh puts into the hands of other programs, on one real cluster: the SSH agent, settings of OpenSSH and of
PuTTY; and which names and logins certificates have."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.base.entropy import SystemEntropy, new_uuid
from teleport.pki import keys, ssh
from tests.support import ssh_agent
from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster, Done, User
from tests.support.programs import need

HOST = f"{NODE}.{NAME}"
OTHERS = ("service1.example.com", "service2.example.com")
SAID = "ERROR: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], "


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("hand"))
    made.config.write_text(made.config.read_text() + f"  public_addr: {json.dumps(['127.0.0.1', *OTHERS])}\n")
    with made.running() as running:
        running.role("walker", logins=["{{internal.logins}}"])
        yield running


@pytest.fixture(scope="module")
def agent() -> Iterator[str]:
    with ssh_agent.running() as path:
        yield path


def login(user: User, *words: str, anew: bool = False, **env: str) -> Done:
    """Run `tsh login`: who is signed in already stays so, and is not asked for a code, but `anew` asks for another
    length of time."""
    argv = [str(BIN / "tsh"), "login", f"--proxy={user.cluster.public}", f"--user={user.name}", *words]
    typed = f"{user.password}\n{user.code()}\n" if anew else ""
    environment = user.cluster.environment(user.name, **env)
    return user.cluster.run(*argv, *(["--ttl=60"] if anew else []), stdin=typed, env=environment)


# the agent


def test_a_sign_in_is_in_the_agent_until_the_sign_out(cluster: Cluster, agent: str) -> None:
    """Stock ssh uses it without a key file; keys of others stay."""
    bob = cluster.sign_up("bob", ["walker"], [OWN])
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "my own", "-f", f"{agent}.key"], check=True)
    env = cluster.environment("bob", SSH_AUTH_SOCK=agent)
    subprocess.run(["ssh-add", "-q", f"{agent}.key"], env=env, check=True)
    login(bob, SSH_AUTH_SOCK=agent)
    (first,) = [line for line in ssh_agent.listed(agent) if "teleport:" in line]
    login(bob, anew=True, SSH_AUTH_SOCK=agent)
    assert first not in ssh_agent.listed(agent)  # the second takes its place
    comment = f"teleport:localhost:{NAME}:bob"
    assert sorted(line.split(maxsplit=2)[2] for line in ssh_agent.listed(agent)) == ["my own", comment]
    assert f"{comment} (ED25519-CERT)" in cluster.run("ssh-add", "-l", env=env).out

    config = cluster.folder / "agent-config"
    trusted = cluster.folder / "home-bob/keys/localhost/known_hosts"
    config.write_text(
        f"Host *\n  UserKnownHostsFile {trusted}\n  StrictHostKeyChecking yes\n  IdentityFile none\n"
        f"  ProxyCommand {BIN}/tsh proxy ssh %r@%h:%p\n"
    )
    words = ("ssh", "-F", str(config), f"{OWN}@{HOST}", "echo through the agent as $SSH_TELEPORT_USER")
    assert cluster.run(*words, env=env).out == "through the agent as bob\n"

    cluster.run(str(BIN / "tsh"), "logout", env=env)
    assert [line.split(maxsplit=2)[2] for line in ssh_agent.listed(agent)] == ["my own"]


def test_the_agent_is_left_alone_when_that_is_wanted(cluster: Cluster, alice: User, agent: str) -> None:
    before = ssh_agent.listed(agent)
    login(alice, "--add-keys-to-agent=no", SSH_AUTH_SOCK=agent)
    login(alice, SSH_AUTH_SOCK=agent, TELEPORT_ADD_KEYS_TO_AGENT="no")
    assert ssh_agent.listed(agent) == before


def test_a_key_in_the_agent_alone(cluster: Cluster, agent: str) -> None:
    """No file has the private key; tsh and stock ssh sign in with the agent; without it tsh says what is missing."""
    grace = cluster.sign_up("grace", ["walker"], [OWN])
    login(grace, "--add-keys-to-agent=only", anew=True, SSH_AUTH_SOCK=agent)
    folder = cluster.folder / "home-grace/keys/localhost"
    assert not (folder / "grace").exists()
    assert not (folder / "grace.ppk").exists()
    env = cluster.environment("grace", SSH_AUTH_SOCK=agent)
    tsh = str(BIN / "tsh")
    assert cluster.run(tsh, "ssh", f"{OWN}@{NODE}", "echo by agent", env=env).out == "by agent\n"
    login(grace, "--add-keys-to-agent=only", SSH_AUTH_SOCK=agent)  # nothing is asked: it is there
    config = cluster.folder / "grace-config"
    config.write_text(grace.tsh("config").out)
    assert cluster.run("ssh", "-F", str(config), f"{OWN}@{HOST}", "echo stock", env=env).out == "stock\n"
    assert "CLIENT-AGENT-KEY" in grace.tsh("ssh", "--no-holder", f"{OWN}@{NODE}", "id", status=1).err
    assert "CLIENT-AGENT" in grace.tsh("login", "--add-keys-to-agent=only", status=1).err
    cluster.run(tsh, "logout", env=env)
    assert not any("grace" in line for line in ssh_agent.listed(agent))


def test_a_broken_agent_keeps_nobody_from_signing_in(cluster: Cluster) -> None:
    dave = cluster.sign_up("dave", ["walker"], [OWN])
    assert login(dave, anew=True, SSH_AUTH_SOCK="/nowhere/agent").err.count("WARNING") == 0
    assert "CLIENT-AGENT" in login(dave, "--add-keys-to-agent=yes", SSH_AUTH_SOCK="/nowhere/agent").err
    assert "no SSH agent is running" in login(dave, "--add-keys-to-agent=yes").err
    assert dave.tsh("ssh", f"{OWN}@{NODE}", "echo in").out == "in\n"


# other programs


def test_stock_ssh_with_the_settings_that_tsh_prints(cluster: Cluster, alice: User, tmp_path: Path) -> None:
    """S1-28: `ssh -F FILE login@node.cluster` works for a login that is allowed, through the ProxyCommand in the file.
    (FILE is what `tsh config` prints; tbot is not part of this build.)"""
    config = tmp_path / "ssh config"
    config.write_text(alice.tsh("config").out)
    env = cluster.environment("alice")
    done = cluster.run("ssh", "-F", str(config), f"{OWN}@{HOST}", "echo here; exit 3", status=3, env=env)
    assert done.out == "here\n"


def test_stock_ssh_shows_why_the_way_failed(cluster: Cluster, alice: User, tmp_path: Path) -> None:
    """S1-30: the ProxyCommand ends with status 1, and its own error with the cause stands before what ssh says.
    S1-29: here it is that the login is none of the certificate's."""
    config = tmp_path / "config"
    config.write_text(alice.tsh("config").out)
    env = cluster.environment("alice")
    done = cluster.run("ssh", "-F", str(config), f"bob@{HOST}", "id", status=255, env=env)
    cause, _, after = done.err.partition("fix: ")
    assert cause.startswith(SAID)
    assert f"bob is not among the logins of your certificate ({OWN})" in cause
    assert "closed by" in after.lower()
    proxy = cluster.run(str(BIN / "tsh"), "proxy", "ssh", f"bob@{HOST}:3022", status=1, env=env)
    assert proxy.err.startswith(SAID)


def test_putty_with_a_saved_session(cluster: Cluster, alice: User, tmp_path: Path) -> None:
    """plink knows host, way, key and who vouches for the host from the session alone, and asks nothing."""
    plink = need("plink")
    env = cluster.environment("alice", PUTTYDIR=str(tmp_path / "putty"))
    done = cluster.run(str(BIN / "tsh"), "puttyconfig", f"{OWN}@{NODE}", env=env)
    assert f"{OWN}@{HOST}" in done.out
    words = (plink, "-batch", "-load", f"{OWN}@{HOST}", "echo by PuTTY as $SSH_TELEPORT_USER")
    assert cluster.run(*words, env=env).out == "by PuTTY as alice\n"
    login(alice, anew=True)  # a new key and certificate: the session finds them
    assert cluster.run(*words, env=env).out == "by PuTTY as alice\n"
    (tmp_path / "putty/sshhostcas" / f"TeleportHostCA-{NAME}").unlink()
    refused = cluster.run(*words, status=None, env=env)
    assert refused.status != 0
    assert refused.out == ""


# names and logins


def test_addresses_of_the_service_are_names_of_the_host(cluster: Cluster, alice: User) -> None:
    """S3-06: each `public_addr` becomes a principal of the host certificate. S3-09: the host is reached by it."""
    port = str(cluster.settings["ssh"])
    keyscan = cluster.run("ssh-keyscan", "-c", "-p", port, "127.0.0.1")
    lines = [" ".join(line.split()[-2:]) for line in keyscan.out.splitlines() if "-cert-" in line]
    assert lines
    for line in lines:
        assert set(OTHERS) <= set(ssh.parse(keys.load_ssh_line(line)).principals)
    for name in OTHERS:
        known = cluster.folder / "home-alice/keys/localhost/known_hosts"
        (cluster.folder / "any-name").write_text(known.read_text().replace("@cert-authority ", "@cert-authority *,"))
        options = ("-o", f"HostKeyAlias={name}", "-o", f"UserKnownHostsFile={cluster.folder / 'any-name'}")
        assert alice.ssh("echo under its other name", options=options).out == "under its other name\n"
        assert alice.tsh("ssh", f"{OWN}@{name}:{port}", "echo through the proxy", status=None).err == ""


def test_logins_of_a_new_certificate_follow_the_role(cluster: Cluster) -> None:
    """S1-33: the principals are those of the role; after a change of its logins a new certificate has the new ones.
    S1-34: each remedy lets S1-28 succeed - another login, another role's logins, one more role."""

    cluster.role("changing", logins=["somebody"])
    spec = {"roles": ["changing"], "traits": {"logins": []}}
    cluster.create({"kind": "user", "version": "v2", "metadata": {"name": "erin"}, "spec": spec})
    old = renewed(cluster, "erin")
    assert logins(cluster, old) == ["somebody"]
    assert enters(cluster, old, OWN, status=1).err.startswith(SAID)
    cluster.role("changing", logins=["somebody", OWN])
    assert enters(cluster, old, OWN, status=1).err.startswith(SAID)  # the old certificate has the old logins
    new = renewed(cluster, "erin")
    assert sorted(logins(cluster, new)) == sorted(["somebody", OWN])
    assert enters(cluster, new, OWN).out == "in\n"
    cluster.role("changing", logins=["somebody"])
    assert enters(cluster, renewed(cluster, "erin"), OWN, status=1).err.startswith(SAID)
    cluster.role("more", logins=[OWN])
    cluster.create({"kind": "user", "version": "v2", "metadata": {"name": "erin"},
                    "spec": {**spec, "roles": ["changing", "more"]}})  # fmt: skip
    assert enters(cluster, renewed(cluster, "erin"), OWN).out == "in\n"


def renewed(cluster: Cluster, user: str) -> Path:
    """Make new certificates for a user."""
    path = cluster.folder / f"{user}.identity"
    cluster.tctl("auth", "sign", f"--user={user}", f"--out={path}", "--overwrite")
    kept = cluster.folder / f"{user}-{new_uuid(SystemEntropy())}.identity"
    path.rename(kept)
    return kept


def as_owner(cluster: Cluster, identity: Path, *words: str, status: int = 0) -> Done:
    argv = (str(BIN / "tsh"), "-i", str(identity), f"--proxy={cluster.public}", *words)
    return cluster.run(*argv, status=status, env=cluster.environment("nobody"))


def logins(cluster: Cluster, identity: Path) -> list[str]:
    found = json.loads(as_owner(cluster, identity, "status", "--format=json").out)["active"]["logins"]
    assert isinstance(found, list)
    return found


def enters(cluster: Cluster, identity: Path, login: str, *, status: int = 0) -> Done:
    return as_owner(cluster, identity, "ssh", f"{login}@{HOST}", "echo in", status=status)
