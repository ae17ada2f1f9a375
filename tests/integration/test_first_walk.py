"""The first walk with the real commands: who is refused where, what they are told, and what makes it succeed.

Sign-up and sign-in are in `test_first_walk_sign_in`, single commands in `test_first_walk_commands`, the
process itself in `test_first_walk_process`.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.cluster import NAME, NODE, OWN, Cluster, Done, User, decision_in
from tests.support.processes import wait_for

EXPLAINER = {"resources": ["event", "role"], "verbs": ["list", "read"]}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("walk")).running() as running:
        yield running


@pytest.fixture(scope="module")
def alice(cluster: Cluster) -> User:
    cluster.role("walker", logins=["{{internal.logins}}"])
    return cluster.sign_up("alice", ["walker"], [OWN])


@pytest.fixture
def server_id(cluster: Cluster) -> str:
    return (cluster.data / "host_uuid").read_text().strip()


def refusal(user: User, **options: str) -> Done:
    """Return how `ssh` ends once the node knows of a change that refuses it."""
    return wait_for(
        "a refusal", lambda: done if (done := user.ssh("true", status=None, **options)).status else None, seconds=5
    )  # fmt: skip


def success(user: User, **options: str) -> Done:
    """Return how `ssh` ends once the node knows of a change that allows it."""
    return wait_for(
        "success", lambda: done if not (done := user.ssh("echo in", status=None, **options)).status else None
    )  # fmt: skip


def suggestion(explained: str) -> str:
    """Return what an explanation says would make the request succeed."""
    found = re.search(r"^would succeed if: (.*)$", explained, re.M)
    assert found is not None, explained
    return found[1]


def apply(user: User, change: str) -> None:
    """Do what an explanation says, to the letter, and nothing else."""
    cluster = user.cluster
    for step in change.split(", and "):
        if found := re.fullmatch(r'add (\S+)=(\S+) to node_labels of role "(\S+)"', step):
            key, value, name = found.groups()
            role = cluster.read("role", name)
            labels = role["spec"]["allow"]["node_labels"]
            labels[key] = [*([labels[key]] if isinstance(labels.get(key), str) else labels.get(key, [])), value]
        elif found := re.fullmatch(r'add login "(\S+)" to role "(\S+)"', step):
            login, name = found.groups()
            role = cluster.read("role", name)
            role["spec"]["allow"]["logins"].append(login)
        elif step.startswith("log in again"):
            user.sign_in()
            continue
        else:
            pytest.fail(f"cannot be followed: {step}")
        cluster.create(role)


def test_a_command_runs_with_the_certificate(alice: User) -> None:
    """After sign-up and sign-in stock ssh runs a command as the login, for the user, in the cluster."""
    assert alice.ssh("id -un; echo $SSH_TELEPORT_USER of $SSH_TELEPORT_CLUSTER_NAME").out == f"{OWN}\nalice of {NAME}\n"
    assert alice.ssh("exit 7", status=7).err == ""
    event = alice.cluster.event("exit 7", event="exec", command="exit 7")
    assert (event["user"], event["login"], event["exitCode"]) == ("alice", OWN, "7")


def test_a_login_in_no_role_fails_in_authentication(cluster: Cluster, alice: User) -> None:
    """S1-29: a login not among the principals ends in `Permission denied (publickey)`; the banner says code,
    reason and id, and the id leads an administrator to the role and the nearest miss."""
    done = alice.ssh("id", login="bin", options=("-v",), status=255)
    told = [line for line in done.err.splitlines() if not line.startswith(("debug1:", "OpenSSH_"))]
    assert done.out == ""
    assert told[-1].strip() == "bin@127.0.0.1: Permission denied (publickey)."
    assert "Authenticated to" not in done.err
    (banner,) = [line for line in told if "PKI-LOGIN-NOT-IN-PRINCIPALS" in line]
    id = decision_in(banner)
    assert "the certificate of 'alice' does not allow the login 'bin'" in banner
    assert banner.rstrip().endswith(f"[id {id}]")
    # The banner comes after the signed request, not after the question whether the key would do.
    assert done.err.index("Server accepts key") < done.err.index("PKI-LOGIN-NOT-IN-PRINCIPALS")

    explained = cluster.tctl("access", "explain", id).out
    assert f"DENY ssh bin@{NODE} (user alice" in explained
    assert re.search(r'role walker .*logins \[.*\] MISS \("bin"\) <- nearest miss', explained)
    event = cluster.event(id, event="auth")
    assert (event["code"], event["user"], event["login"]) == ("T3007W", "alice", "bin")


@pytest.mark.parametrize(
    ("option", "shown"),
    [
        ("--user=alice", 'User:"alice"'),
        (f"--login={OWN}", f'Login:"{OWN}"'),
        pytest.param("--server-id", "ServerID:"),
    ],
)
def test_a_lock_is_told_at_the_channel(
    cluster: Cluster, alice: User, server_id: str, option: str, shown: str
) -> None:  # fmt: skip
    """A lock refuses each channel after a successful authentication, says itself, and has an id; when it is
    removed everything works again without a restart."""
    said = cluster.tctl("lock", f"{option}={server_id}" if option == "--server-id" else option, "--message=on leave")
    name = re.search(r'"([0-9a-f-]{36})"', said.out)
    assert name is not None
    try:
        done = refusal(alice, options=("-v",))
        assert done.status == 255
        assert "Authenticated to" in done.err
        assert "administratively prohibited: POL-LOCKED" in done.err
        assert f"lock targeting {shown}" in done.err
        assert "is in force: on leave" in done.err
        explained = cluster.tctl("access", "explain", decision_in(done.err)).out
        assert "POL-LOCKED" in explained
        assert name[1] in explained
    finally:
        cluster.tctl("rm", f"lock/{name[1]}")
    assert success(alice).out == "in\n"


@contextlib.contextmanager
def shared_connection(user: User) -> Iterator[tuple[str, ...]]:
    """Keep one connection open; yield the options with which further `ssh` use it."""
    path = user.cluster.folder / f"master-{user.name}"
    argv = user.ssh_argv("", options=("-v", "-M", "-S", str(path), "-N"))[:-1]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL, env=user.cluster.environment(user.name)) as master:
        try:
            wait_for("the connection", path.exists)
            yield ("-S", str(path))
            assert master.poll() is None
        finally:
            master.kill()  # on SIGTERM it may wait for whoever uses it
            path.unlink(missing_ok=True)


def test_a_lock_meets_connections_that_are_open_already(cluster: Cluster, alice: User) -> None:
    """What runs ends with the reason, a new connection is refused, and works again without the lock."""
    with alice.session() as client:
        name = re.search(r'"([0-9a-f-]{36})"', cluster.tctl("lock", "--user=alice").out)
        assert name is not None
        try:
            assert client.stderr is not None
            assert 'lock targeting User:"alice" is in force' in client.stderr.read().decode()
            assert client.wait(20) == 255
            assert 'POL-LOCKED: lock targeting User:"alice" is in force' in alice.ssh("true", status=255).err
        finally:
            cluster.tctl("rm", f"lock/{name[1]}")
    wait_for("success", lambda: alice.ssh("echo in", status=None).out)


def test_the_exit_status_arrives_after_the_end_of_the_output(alice: User) -> None:
    """A client with nothing more to send closes its side at the end of the output; the status comes all the same."""
    command = "echo in; exec >&- 2>&-; sleep 0.3; exit 7"
    assert alice.ssh(command, status=7).out == "in\n"
    with shared_connection(alice) as options:
        assert alice.ssh(command, options=options, status=None) == Done(7, "in\n", "")


def test_a_label_refuses_and_the_suggestion_helps(cluster: Cluster) -> None:
    """What labels refuse does not exist for the user; the explanation names role and nearest miss, and doing
    exactly what it says makes the same command succeed."""
    cluster.role("narrow", logins=[OWN])
    bob = cluster.sign_up("bob", ["narrow"])
    assert bob.ssh("echo in").out == "in\n"
    cluster.role("narrow", logins=[OWN], env=["staging"])

    done = refusal(bob, options=("-v",))
    assert "Authenticated to" in done.err
    assert f'POL-NOT-FOUND: node "{NODE}" not found' in done.err
    assert "staging" not in done.err
    assert NODE not in bob.tsh("ls").out
    explained = cluster.tctl("access", "explain", decision_in(done.err)).out
    assert re.search(r"role narrow +node_labels env=staging MISS \(env=dev\) <- nearest miss", explained)

    apply(bob, suggestion(explained))
    assert success(bob).out == "in\n"
    assert NODE in bob.tsh("ls").out


def test_a_login_refuses_and_the_suggestion_helps(cluster: Cluster) -> None:
    """The same for a login in no role: the suggestion is the login and a new sign-in."""
    cluster.role("other-login", logins=["bin"])
    carol = cluster.sign_up("carol", ["other-login"])
    done = carol.ssh("true", status=255)
    explained = cluster.tctl("access", "explain", decision_in(done.err)).out
    change = suggestion(explained)
    assert change.startswith(f'add login "{OWN}" to role "other-login", and log in again')
    apply(carol, change)
    assert success(carol).out == "in\n"


def test_an_explanation_is_for_those_who_may_read_it(cluster: Cluster, alice: User) -> None:
    """`tctl access explain` through a profile needs the rights to read events and roles; without them an id
    that exists and one that does not are answered alike."""
    id = decision_in(alice.ssh("true", login="games", status=255).err)
    absent = "0" * 26
    denials = [alice.tctl("access", "explain", wanted, status=1) for wanted in (id, absent)]
    assert [done.out for done in denials] == ["", ""]
    texts = [re.sub(r"\b[0-9a-hjkmnp-tv-z]{26}\b", "ID", done.err) for done in denials]
    assert texts[0] == texts[1]
    assert 'access denied to perform action "read" on "event"' in texts[0]
    assert "walker" not in texts[0]

    cluster.role("walker", logins=["{{internal.logins}}"], rules=[{"resources": ["event"], "verbs": ["list", "read"]}])
    assert "AUTH-EXPLAIN" in alice.tctl("access", "explain", id, status=1).err
    cluster.role("walker", logins=["{{internal.logins}}"], rules=[EXPLAINER])
    assert "nearest miss" in alice.tctl("access", "explain", id).out
    assert "AUTH-DECISION" in alice.tctl("access", "explain", absent, status=1).err
    cluster.role("walker", logins=["{{internal.logins}}"])


def test_access_can_says_what_the_node_would(cluster: Cluster, alice: User) -> None:
    """`tctl access can` gives the node's own answer in advance."""
    assert cluster.tctl("access", "can", "alice", f"{OWN}@{NODE}").out == "yes: role walker grants it\n"
    assert "POL-NO-LOGIN" in cluster.tctl("access", "can", "alice", f"bin@{NODE}").out
    assert alice.tctl("access", "can", "alice", f"{OWN}@{NODE}", status=1).out == ""


def test_what_is_no_session_is_refused_and_recorded(cluster: Cluster, alice: User) -> None:
    """A channel that an account cannot connect, or that does not exist, is refused with a code and audited."""
    forwarded = alice.ssh("true", options=("-W", "127.0.0.1:1"), status=255)
    assert "SSH-USER-CONNECT" in forwarded.err
    cluster.some("127.0.0.1:1", event="port", code="T3003E")
