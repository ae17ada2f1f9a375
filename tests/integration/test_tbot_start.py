"""tbot on a machine: it joins, writes what an output has, renews when it is told to, and is one of one."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.server_process import BIN
from tests.support.tbot import Machine, ca_pin, identity_in, instances, make_bot

IDENTITY_SET = {
    "key", "key.pub", "key-cert.pub", "tlscert", "identity", "teleport-host-ca.crt", "teleport-user-ca.crt",
    "teleport-database-ca.crt", ".write-test",
}  # fmt: skip
OPENSSH = {"known_hosts", "ssh_config", "teleport.example.com.ssh_config", "teleport.example.com.known_hosts"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as running:
        running.role("access", logins=["alice"])
        running.role("build", logins=["builder"])
        yield running


def test_flags_alone_start_a_bot_whose_output_works_wherever_it_is_copied(cluster: Cluster, tmp_path: Path) -> None:
    """S1-08, S1-12, S1-27, S1-32."""
    token = make_bot(cluster, "flags", "access")
    storage, out = tmp_path / "storage", tmp_path / "out"
    said = cluster.run(
        str(BIN / "tbot"), "start", f"--token={token}", f"--auth-server=127.0.0.1:{cluster.settings['auth']}",
        f"--ca-pin={ca_pin(cluster)}", f"--data-dir={storage}", f"--destination-dir={out}", "--oneshot",
    )  # fmt: skip
    line = next(line for line in said.err.splitlines() if "Successfully renewed" in line)
    assert f"INFO [TBOT]      Successfully renewed impersonated certificates for directory {out}, valid: after=" in line
    ends = (
        "kind=tls, renewable=false, disallow-reissue=true, roles=[access], principals=[alice -teleport-internal-join]"
    )
    assert f"duration=1h1m0s | {ends}, generation=0 outputs/certified.py:" in line
    assert {path.name for path in out.iterdir() if path.is_file()} - {"lock"} == IDENTITY_SET | OPENSSH
    assert identity_in(storage).renewable
    assert not identity_in(out).renewable
    assert not {"sshcacerts", "tlscacerts", "tokenhash"} & {path.name for path in out.iterdir()}
    elsewhere = shutil.copytree(out, tmp_path / "elsewhere")
    shutil.rmtree(out)
    seen = cluster.run(str(BIN / "tsh"), "-i", str(elsewhere / "identity"), f"--proxy={cluster.public}", "ls").out
    assert "node-1" in seen


def test_file_and_token_in_a_file_start_a_bot_through_the_proxy(cluster: Cluster) -> None:
    """S1-27, S1-36: either source of the token is taken; a start renews what a former one has left."""
    machine = Machine(cluster, "file", "")
    (machine.folder / "token").write_text(make_bot(cluster, "file", "access", "build") + "\n")
    machine.settings["onboarding"]["token"] = str(machine.folder / "token")
    machine.once()
    first, key = (machine.out / "tlscert").read_text(), (machine.out / "key").read_text()
    (machine.folder / "token").unlink()  # it is read when it is needed
    again = machine.once()
    assert "Successfully loaded bot identity, valid: after=" in again.err
    assert (machine.out / "tlscert").read_text() != first
    assert (machine.out / "key").read_text() != key
    assert [*instances(cluster, "file").values()] == [2]


def test_no_output_is_written_over_a_storage(cluster: Cluster) -> None:
    """S1-50: not by the bot itself, however the folder is spelled, and not by another bot; it goes on as before."""
    machine = Machine(cluster, "owner", make_bot(cluster, "owner", "access"))
    machine.once()
    (machine.folder / "link").symlink_to(machine.storage)
    output = machine.output(machine.folder / "link")
    output["destination"]["symlinks"] = "insecure"
    machine.settings["services"].append(output)
    said = machine.once(status=1).err
    assert f"Identical destinations used within config: file://{machine.storage}" in said
    del machine.settings["services"][1]
    other = Machine(cluster, "intruder", make_bot(cluster, "intruder", "access"))
    other.settings["services"] = [other.output(machine.storage)]
    assert "code: DEST-STORAGE" in other.once(status=1).err
    assert "renewable=true" in machine.once().err
    assert [*instances(cluster, "owner").values()] == [2]


def test_an_output_has_the_roles_it_asks_for(cluster: Cluster) -> None:
    """S1-44."""
    machine = Machine(cluster, "roles", make_bot(cluster, "roles", "access", "build"))
    some, every = machine.folder / "some", machine.folder / "every"
    machine.settings["services"] = [machine.output(some, roles=["build"]), machine.output(every, allow_reissue=True)]
    machine.once()
    assert (identity_in(some).roles, identity_in(some).logins) == (("build",), ("builder",))
    assert not identity_in(every).disallow_reissue
    assert {*identity_in(every).roles} == {"access", "build"}


def test_an_output_is_for_an_application(cluster: Cluster) -> None:
    """S1-44, for applications: the role shows it, and the certificate leads to it, under the usual names of TLS."""
    look = {"resources": ["app_server", "app"], "verbs": ["read", "list"]}
    cluster.role("apps", app_labels={"*": "*"}, rules=[look])
    app = {"kind": "app", "version": "v3", "metadata": {"name": "grafana"}, "spec": {"uri": "http://localhost:3000"}}
    cluster.create(app)
    machine = Machine(cluster, "apps", make_bot(cluster, "apps", "access", "apps"))
    fields = {"type": "application", "app_name": "grafana"}
    blind = machine.folder / "blind"
    machine.settings["services"] = [
        {**machine.output(), **fields, "specific_tls_naming": True},
        {**machine.output(blind, roles=["access"]), **fields},
    ]
    said = machine.once(status=1)
    assert f'Failed to generate impersonated certs for directory {blind}: app "grafana" not found' in said.err
    assert identity_in(machine.out).app_name == "grafana"
    context = ssl.create_default_context(cafile=machine.out / "tls.cas")
    context.load_cert_chain(machine.out / "tls.crt", machine.out / "tls.key")
    assert (machine.out / "tls.crt").read_bytes() == (machine.out / "tlscert").read_bytes()
    identity, proxy = str(machine.out / "identity"), f"--proxy={cluster.public}"
    assert "grafana" in cluster.run(str(BIN / "tsh"), "-i", identity, proxy, "apps", "ls").out


def test_one_failing_output_stops_no_other(cluster: Cluster) -> None:
    machine = Machine(cluster, "failing", make_bot(cluster, "failing", "access"))
    wrong, right = machine.folder / "wrong", machine.folder / "right"
    machine.settings["services"] = [machine.output(wrong, roles=["build"]), machine.output(right)]
    said = machine.once(status=1)
    assert "ERROR: 1 of 2 services failed, the first is identity-output-1: " in said.err
    assert "code: BOT-ONESHOT" in said.err
    assert identity_in(right).roles == ("access",)
    assert not (wrong / "tlscert").exists()


def test_a_signal_renews_at_once_and_what_changed_arrives(cluster: Cluster) -> None:
    """S1-33, S1-35, S1-37, S1-45."""
    cluster.role("changing", logins=["alice"])
    machine = Machine(cluster, "signal", make_bot(cluster, "signal", "changing"))
    with machine.running() as bot:
        line = bot.await_line("Task succeeded. Waiting interval service:identity-output-1")
        assert "interval:20m0s" in line
        comm = Path(f"/proc/{bot.process.pid}/comm")
        assert comm.read_text() == "tbot\n"  # what pkill looks for
        assert identity_in(machine.out).logins == ("alice",)
        key = (machine.out / "key").read_text()
        cluster.role("changing", logins=["alice", "bob"])
        bot.signal(signal.SIGUSR1)
        bot.await_line("Successfully renewed impersonated certificates", 2)
        assert {*identity_in(machine.out).logins} == {"alice", "bob"}
        assert (machine.out / "key").read_text() == key  # who reads both files one by one has two that fit
        bot.await_line("Task succeeded. Waiting interval service:identity task:bot-identity-renewal")
        bot.signal(signal.SIGHUP)
        bot.await_line("Successfully renewed impersonated certificates", 3)
    assert [*instances(cluster, "signal").values()] == [3]


def test_two_on_one_storage_are_refused_and_two_with_their_own_are_not(cluster: Cluster) -> None:
    """S1-09 (a second process), S1-11."""
    machine = Machine(cluster, "one", make_bot(cluster, "one", "access"))
    other = Machine(cluster, "two", make_bot(cluster, "two", "access"))
    with machine.running() as bot:
        bot.await_line("Successfully renewed")
        second = machine.start()
        assert (
            f"ERROR: the storage {machine.storage} is in use by another tbot: process {bot.process.pid} of "
            in second.err
        )
        assert "code: BOT-DIR-SHARED" in second.err
        assert "fix:  stop the other tbot, or give this one a storage of its own" in second.err
        with other.running() as beside:
            beside.await_line("Successfully renewed")
            assert bot.process.poll() is None


def test_what_listens_is_told_by_diagnostics_and_by_the_instance(cluster: Cluster) -> None:
    machine = Machine(cluster, "diag", make_bot(cluster, "diag", "access"))
    port = free_ports(1)[0]
    machine.settings |= {"diag_addr": f"127.0.0.1:{port}", "pid_file": str(machine.folder / "pid")}
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(60)
    manager.bind("")  # a free name, without a file
    machine.environment["NOTIFY_SOCKET"] = manager.getsockname().decode().replace("\0", "@", 1)
    machine.settings["services"].append(machine.output(machine.folder / "wrong", roles=["build"], name="broken"))
    with machine.running() as bot:
        bot.await_line("Task succeeded. Waiting interval service:identity-output-1")
        bot.await_line("Task failed. Backing off and retrying")
        assert int((machine.folder / "pid").read_text()) == bot.process.pid
        assert _get(port, "/livez")[0] == 200
        status, told = _get(port, "/readyz")
        found = json.loads(told)
        assert status == 503
        assert found["services"]["identity"] == {"status": "healthy", "reason": ""}
        assert found["services"]["broken"]["status"] == "unhealthy"
        assert _get(port, "/readyz/identity-output-1")[0] == 200
        assert _get(port, "/readyz/broken")[0] == 503
        assert _get(port, "/readyz/none")[0] == 404
        line = 'tbot_task_iterations_total{service="identity-output-1",name="output-renewal"} 1'
        assert line in _get(port, "/metrics")[1]
        wait_for("a heartbeat", lambda: _beats(cluster))
        facts = Path(f"/proc/{bot.process.pid}/status").read_text()
        assert int(facts.partition("VmRSS:")[2].split()[0]) <= 60 * 1024  # kB of an idle bot
        assert manager.recv(64) == b"READY=1"
    assert manager.recv(64) == b"STOPPING=1"
    manager.close()
    assert not (machine.folder / "pid").exists()


def _beats(cluster: Cluster) -> bool:
    (found,) = json.loads(cluster.tctl("bots", "instances", "ls", "diag", "--format=json").out)
    health = {each["name"]: each["status"] for each in found["status"].get("service_health", ())}
    return health.get("broken") == "unhealthy" and health.get("identity-output-1") == "healthy"


def _get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
