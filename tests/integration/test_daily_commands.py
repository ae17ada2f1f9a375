"""What administrators and users do every day, on one real cluster: identities for machines, `-i`, signing in again,
signing out, and what is checked of the other side each time."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from teleport.base.clock import SystemClock
from tests.support import authorities, identities
from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster, Done, User, decision_in

HOST = f"{NODE}.{NAME}"


@pytest.fixture(scope="module")
def identity(cluster: Cluster) -> Path:
    """An identity file of a user who never signs in."""
    spec = {"roles": ["walker"], "traits": {"logins": [OWN]}}
    cluster.create({"kind": "user", "version": "v2", "metadata": {"name": "deploy"}, "spec": spec})
    out = cluster.folder / "deploy.identity"
    done = cluster.tctl("auth", "sign", "--user=deploy", f"--out={out}", "--ttl=1h")
    assert f"have been written to: {out}\n" in done.out
    return out


def nowhere(cluster: Cluster) -> dict[str, str]:
    """The environment of a machine that has no profile and trusts no web certificate of ours."""
    env = cluster.environment("machine", TELEPORT_CONFIG_FILE=str(cluster.folder / "elsewhere.yaml"))
    del env["SSL_CERT_FILE"]
    return env


def run(cluster: Cluster, program: str, *words: str, status: int = 0, stdin: str = "") -> Done:
    """Run a command on that machine."""
    return cluster.run(str(BIN / program), *words, status=status, stdin=stdin, env=nowhere(cluster))


def tsh(cluster: Cluster, file: Path, *words: str, status: int = 0) -> Done:
    return run(cluster, "tsh", "-i", str(file), f"--proxy={cluster.public}", *words, status=status)


# identities


def test_an_identity_file_is_all_that_a_machine_needs(cluster: Cluster, identity: Path) -> None:
    assert NODE in tsh(cluster, identity, "ls").out
    assert tsh(cluster, identity, "ls", "-f", "names").out == f"{NODE}\n"
    assert json.loads(tsh(cluster, identity, "resolve", NODE, "-f", "json").out)["spec"]["hostname"] == NODE
    assert tsh(cluster, identity, "ssh", f"{OWN}@{HOST}", "echo $SSH_TELEPORT_USER").out == "deploy\n"
    assert tsh(cluster, identity, "ssh", f"{OWN}@{HOST}", "exit 7", status=7).out == ""
    assert not (cluster.folder / "home-machine").exists()
    assert "Not logged in." in run(cluster, "tsh", "ls", status=1).err


def test_stock_ssh_with_an_identity_file(cluster: Cluster, identity: Path) -> None:
    """`tsh config -i` writes settings with which stock ssh goes through `tsh proxy ssh --identity`."""
    config = cluster.folder / "machine-ssh-config"
    config.write_text(tsh(cluster, identity, "config").out)
    argv = ["ssh", "-F", str(config), f"{OWN}@{HOST}", "echo through the proxy as $SSH_TELEPORT_USER"]
    assert cluster.run(*argv, env=nowhere(cluster)).out == "through the proxy as deploy\n"


def test_tctl_with_an_identity_file_has_the_rights_of_its_owner(cluster: Cluster, identity: Path) -> None:
    words = ("-i", str(identity), f"--auth-server={cluster.public}")
    assert NAME in run(cluster, "tctl", *words, "status").out
    denied = run(cluster, "tctl", *words, "get", "roles", status=1)
    assert "access denied" in denied.err
    assert "user deploy" in cluster.tctl("access", "explain", decision_in(denied.err)).out
    # also on the auth host, where commands without -i have all rights
    assert "access denied" in cluster.tctl(*words, "get", "roles", status=1).err


def test_an_identity_of_another_cluster_is_told(cluster: Cluster) -> None:
    now = SystemClock().now()
    other = authorities.cluster("other.example.com", now=now)
    file = cluster.folder / "foreign.identity"
    file.write_bytes(identities.data(other, expires=now.replace(microsecond=0) + dt.timedelta(hours=1)))
    file.chmod(0o600)
    for words in (("ls",), ("ssh", f"{OWN}@{HOST}", "id"), ("proxy", "ssh", f"{OWN}@{HOST}")):
        done = tsh(cluster, file, *words, status=1)
        assert "CLIENT-IDENTITY-FOREIGN" in done.err
        assert "it is of the cluster other.example.com" in done.err


def test_a_forged_identity_opens_nothing(cluster: Cluster) -> None:
    """Certificates of an authority that has the cluster's name alone are refused, though the file trusts the
    genuine services."""
    now = SystemClock().now()
    forger = authorities.cluster(NAME, seed=9, now=now)
    genuine = cluster.tctl("auth", "export", "--type=tls-host").out
    parts = identities.parts(forger, name="admin", expires=now.replace(microsecond=0) + dt.timedelta(hours=1))
    file = cluster.folder / "forged.identity"
    file.write_bytes(identities.data_of(parts, NAME, tls_authorities=genuine))
    file.chmod(0o600)
    for words in (("ls",), ("ssh", f"{OWN}@{HOST}", "id")):
        done = tsh(cluster, file, *words, status=1)
        assert done.out == ""
        assert "code: CLIENT-IDENTITY-FOREIGN" in done.err
        assert "unknown certificate authority" in done.err


def test_signing_for_others_needs_the_right(cluster: Cluster, alice: User, identity: Path) -> None:
    out = cluster.folder / "stolen.identity"
    words = ("auth", "sign", "--user=deploy", f"--out={out}")
    done = alice.tctl(*words, status=1)
    assert 'access denied to perform action "use" on "user"' in done.err
    assert "DENY use user" in cluster.tctl("access", "explain", decision_in(done.err)).out
    assert "access denied" in tsh_sign(cluster, identity, out).err
    assert "API-AUDIENCE" in alice.tctl("auth", "sign", "--host=h", f"--out={out}", status=1).err
    assert not out.exists()

    cluster.role("walker", logins=["{{internal.logins}}"], rules=[{"resources": ["user"], "verbs": ["use"]}])
    try:
        alice.tctl(*words)
        assert "POL-IMPERSONATED" in tsh_sign(cluster, out, out).err
    finally:
        cluster.role("walker", logins=["{{internal.logins}}"])
    assert out.stat().st_mode & 0o777 == 0o600
    (event,) = [e for e in cluster.events("deploy", event="cert.create") if e["user"] == "alice"]
    assert (event["identity"]["user"], event["identity"]["impersonator"]) == ("deploy", "alice")


def tsh_sign(cluster: Cluster, file: Path, out: Path) -> Done:
    """Try to have a certificate of `alice` made with the identity of `deploy`."""
    words = ("-i", str(file), f"--auth-server={cluster.public}", "auth", "sign", "--user=alice", f"--out={out}-2")
    return run(cluster, "tctl", *words, status=1)


def test_a_lock_ends_an_identity(cluster: Cluster, identity: Path) -> None:
    name = cluster.tctl("lock", "--user=deploy", "--message=stolen", "--ttl=1h").out.split('"')[1]
    try:
        done = tsh(cluster, identity, "ls", status=1)
        assert 'lock targeting User:"deploy" is in force: stolen' in done.err
    finally:
        cluster.tctl("rm", f"lock/{name}")
    assert NODE in tsh(cluster, identity, "ls").out


# the other side is checked


def test_insecure_is_about_the_first_contact_alone(cluster: Cluster, alice: User) -> None:
    """`--insecure` skips the check of the proxy's web certificate, with a warning; from then on the authorities of
    the cluster are checked, with and without it."""
    login = ("login", f"--proxy={cluster.public}", "--user=alice")
    typed = f"{alice.password}\n{alice.code()}\n"
    refused = run(cluster, "tsh", *login, stdin=typed, status=1)
    assert "CLIENT-WEB-CERT" in refused.err
    assert "add --insecure" in refused.err
    home = cluster.folder / "home-machine"
    done = run(cluster, "tsh", "--insecure", *login, stdin=typed)
    try:
        assert "WARNING: the proxy's web certificate is not checked" in done.err
        for words in (("ls",), ("--insecure", "ls"), ("ssh", f"{OWN}@{HOST}", "id"), ("ls", "--insecure")):
            assert "WARNING" not in run(cluster, "tsh", *words).err
        _replace_authorities(home)
        for words in (("ls",), ("--insecure", "ls"), ("--insecure", "ssh", f"{OWN}@{HOST}", "id")):
            done = run(cluster, "tsh", *words, status=1)
            assert "NET-TLS-UNKNOWN-CA" in done.err
            assert done.out == ""
        proxy_ssh = run(cluster, "tsh", "proxy", "ssh", "--insecure", f"{OWN}@{HOST}", status=1)
        assert "NET-TLS-UNKNOWN-CA" in proxy_ssh.err
    finally:
        shutil.rmtree(home)


def test_a_node_that_another_authority_vouches_for_is_refused(cluster: Cluster, alice: User) -> None:
    """The host certificate is checked on every connection, after the proxy's."""
    home = cluster.folder / "home-strict"
    shutil.copytree(cluster.folder / f"home-{alice.name}", home)
    stranger = authorities.cluster(NAME, seed=8, now=SystemClock().now()).host.spec.active_keys.ssh[0].public_key
    (known,) = home.glob("keys/*/known_hosts")
    known.write_text(f"@cert-authority {NAME},*.{NAME} {stranger}\n")
    env = cluster.environment("strict")
    for words in (("ssh", f"{OWN}@{HOST}", "id"), ("--insecure", "ssh", f"{OWN}@{HOST}", "id")):
        done = cluster.run(str(BIN / "tsh"), *words, status=1, env=env)
        assert "CLIENT-HOST-KEY" in done.err
        assert done.out == ""


def _replace_authorities(home: Path) -> None:
    """Put the authorities of a stranger, under the same name, in the place of the cluster's."""
    stranger = authorities.cluster(NAME, seed=7, now=SystemClock().now()).host.spec.active_keys
    for path in [*home.glob("keys/*/certs.pem"), *home.glob("keys/*/cas/*.pem")]:
        path.write_text(stranger.tls[0].cert)


# signing in again, and out


def test_a_sign_in_that_is_valid_is_not_repeated(cluster: Cluster, alice: User) -> None:
    """`tsh login` again shows the same status, asks for nothing and changes no certificate."""
    before = alice.tsh("status", "-f", "json").out
    (certificate,) = (cluster.folder / "home-alice").glob("keys/*/alice.crt")
    held = certificate.read_bytes()
    for words in ((), (f"--proxy={cluster.public}",), ("--user=alice",)):
        done = alice.tsh("login", *words, stdin="")
        assert "Logged in as:       alice" in done.out
        assert done.err == ""
    assert (alice.tsh("status", "-f", "json").out, certificate.read_bytes()) == (before, held)


def test_signing_out_by_proxy_and_user(cluster: Cluster) -> None:
    """`tsh logout` with --proxy, with --user, and of everybody: keys are gone, others stay."""
    bob = cluster.sign_up("bob", ["walker"], [OWN])
    home = cluster.folder / "home-bob"
    assert "Not logged in." in bob.tsh("logout", "--user=carol", status=1).err
    assert "Not logged in." in bob.tsh("logout", "--proxy=elsewhere.example.com", status=1).err
    assert NODE in bob.tsh("ls").out
    assert bob.tsh("logout", f"--proxy={cluster.public}", "--user=bob").out == "Logged out bob from localhost.\n"
    assert [path for path in home.glob("keys/**/*") if path.is_file()] == []
    for words in (("ls",), ("status",), ("ssh", f"{OWN}@{HOST}", "id"), ("env",), ("config",), ("logout",)):
        assert "Not logged in." in bob.tsh(*words, status=1).err
    bob.sign_in()
    assert bob.tsh("logout").out == "Logged out all users from all proxies.\n"
    assert "Not logged in." in bob.tsh("status", status=1).err


def test_environment_is_what_a_shell_can_evaluate(cluster: Cluster, alice: User) -> None:
    """`tsh env` selects proxy and cluster, `tsh env --unset` undoes it, signed in or not."""
    script = f'{alice.tsh("env").out}\necho "$TELEPORT_PROXY $TELEPORT_CLUSTER"\n{alice.tsh("env", "--unset").out}\n'
    script += 'echo "${TELEPORT_PROXY-none} ${TELEPORT_CLUSTER-none}"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"{cluster.public} {NAME}\nnone none\n"
    assert json.loads(alice.tsh("env", "-f", "json").out)["TELEPORT_CLUSTER"] == NAME
    assert run(cluster, "tsh", "env", "--unset").out.startswith("unset TELEPORT_PROXY\n")


def test_versions_of_server_and_clients_are_collected(cluster: Cluster, alice: User) -> None:
    """S0-44, S0-30: `teleport version`, `tctl version` and `tsh version` have one form; tsh adds its proxy's."""
    line = cluster.teleport("version").out
    assert cluster.tctl("version").out == line
    shown = alice.tsh("version").out
    assert shown.startswith(line)
    version = line.split()[1].removeprefix("v")
    assert shown.removeprefix(line) == f"Proxy version: {version}\nProxy: {cluster.public}\n"
    assert json.loads(alice.tsh("version", "-f", "json").out)["proxy_version"] == version
