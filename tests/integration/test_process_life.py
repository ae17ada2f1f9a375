"""The life of a real process: the dump, reloading, ending, and its data directory in a file.

Rows S0-05, S0-07, S0-22 to S0-27, S0-46.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.entropy import SystemEntropy
from teleport.proxy import web_certificate
from tests.support.cluster import BIN, OWN, Cluster, User
from tests.support.processes import tree, wait_for


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One running server for all tests; those that end it start it again."""
    with Cluster(tmp_path_factory.mktemp("life")).running() as running:
        yield running


@pytest.fixture(scope="module")
def alice(cluster: Cluster) -> User:
    cluster.role("walker", logins=["{{internal.logins}}"])
    return cluster.sign_up("alice", ["walker"], [OWN])


def new_log(cluster: Cluster, start: int) -> str:
    """Return what the server has written since the log had `start` characters."""
    return cluster.log[start:]


def wait_for_line(cluster: Cluster, start: int, text: str) -> str:
    """Wait until the log has a line with `text`, and return that line."""
    wait_for(f"a line with {text!r}", lambda: text in new_log(cluster, start))
    return next(line for line in new_log(cluster, start).splitlines() if text in line)


def wait_for_end(cluster: Cluster) -> int:
    """Wait until the server ends by itself and return its status. All its helpers must be gone then."""
    assert cluster.server is not None
    family = tree(cluster.pid)
    status = cluster.server.wait(timeout=20)
    cluster.server = None
    wait_for("the end of the helpers", lambda: not any(process.alive for process in family))
    return status


# SIGUSR1


def test_kill_usr1_of_pidof_shows_what_the_process_does(cluster: Cluster) -> None:
    """S0-22 to S0-26: the very command of the guide, kept from processes of other tests by `-o`."""
    found = set(subprocess.run(["pidof", "teleport"], capture_output=True, text=True, check=True).stdout.split())
    own = {str(process.pid) for process in tree(cluster.pid)}
    assert found & own == {str(cluster.pid)}  # one process, none of its helpers
    others = "".join(f" -o {pid}" for pid in found - own)
    start = len(cluster.log)
    subprocess.run(["sh", "-c", f"kill -USR1 $(pidof{others} teleport)"], check=True)
    line = wait_for_line(cluster, start, "Got signal")
    wanted = 'INFO [PROC:1]    Got signal "user defined signal 1", logging diagnostic info to stderr. '
    assert re.fullmatch(r"\S+ " + re.escape(wanted) + r"[\w/]+\.py:\d+", line)
    wait_for("the end of the dump", lambda: "in task pulse" in new_log(cluster, start))
    text = new_log(cluster, start)
    shape = (
        r"Runtime stats\ngoroutines: \d+\nOS threads: \d+\nGOMAXPROCS: \d+\nnum CPU: \d+\n(.*\n)*"
        r"\ngoroutines: \d+\n(.*\n)*\nGoroutines\ngoroutine 1 \[running\]:\n\S+\(\.\.\.\)\n\t\S+\.py:\d+\n"
    )
    assert re.search(shape, text)
    assert "goroutine 2 [select]:" in text
    assert cluster.teleport("debug", "readyz").out.startswith("ok")
    assert cluster.output == ""  # S0-46


def test_helpers_do_not_mind(cluster: Cluster, alice: User) -> None:
    """`pkill -USR1 teleport` reaches them too, by their names."""
    helpers = [process for process in tree(cluster.pid) if process.arguments.startswith("teleport-")]
    assert len(helpers) == 2
    for process in helpers:
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT):
            os.kill(process.pid, number)
    assert alice.ssh("echo here").out == "here\n"


def test_usr2_is_ignored(cluster: Cluster) -> None:
    start = len(cluster.log)
    os.kill(cluster.pid, signal.SIGUSR2)
    wait_for_line(cluster, start, 'Got signal "user defined signal 2", which a process with the Auth Service ignores.')
    assert cluster.teleport("debug", "readyz").status == 0


# The debug service from the command line


def test_levels_with_and_without_the_word_debug(cluster: Cluster) -> None:
    """S0-05, S0-07: the guide once leaves `debug` out."""
    changed = 'Changed log level from "INFO" to "DEBUG".\n'
    assert cluster.teleport("set-log-level", "DEBUG").out == changed
    assert cluster.teleport("set-log-level", "debug").out == 'Log level already set to "DEBUG".\n'
    assert cluster.teleport("debug", "get-log-level").out == 'Current log level "DEBUG"\n'
    assert "  set-log-level" not in cluster.teleport("help").out
    refusal = cluster.teleport("debug", "set-log-level", "LOUD", status=1).err
    assert refusal.startswith('ERROR: "LOUD" log level not supported\n')
    assert cluster.teleport("debug", "set-log-level", "INFO").out.startswith('Changed log level from "DEBUG"')


def test_profiles_come_as_an_archive(cluster: Cluster, tmp_path: Path) -> None:
    command = [BIN / "teleport", "debug", "profile", "-s", "1", "profile,goroutine,heap,allocs,cmdline"]
    with open(tmp_path / "p.tgz", "wb") as file:
        subprocess.run(command, stdout=file, env=cluster.environment(), check=True, timeout=60)
    with tarfile.open(tmp_path / "p.tgz") as archive:
        names = archive.getnames()
    assert names == [f"{name}.pprof" for name in ("profile", "goroutine", "heap", "allocs", "cmdline")]
    assert "PROC-PROFILE" in cluster.teleport("debug", "profile", "trace", status=1).err


def test_metrics(cluster: Cluster) -> None:
    text = cluster.teleport("debug", "metrics").out
    assert 'teleport_service_ready{service="auth"} 1\n' in text
    assert re.search(r"(?m)^process_resident_memory_bytes \d{7,}$", text)


# SIGHUP


def served(cluster: Cluster) -> str:
    """Return the certificate (PEM) of the web port."""
    host, _, port = cluster.public.rpartition(":")
    return ssl.get_server_certificate((host, int(port)), timeout=10)


@pytest.mark.config("proxy_service.https_keypairs[].key_file", "proxy_service.https_keypairs[].cert_file")
def test_hangup_takes_level_and_certificate_and_names_the_rest(cluster: Cluster, alice: User) -> None:
    """S0-05, without a restart: a session goes on over it."""
    folder = cluster.folder / "pair"
    folder.mkdir(exist_ok=True)
    system = {"disk": SystemDisk(), "clock": SystemClock(), "entropy": SystemEntropy()}
    certificate, _ = web_certificate.self_signed(str(folder), ["localhost"], **system)  # type: ignore[arg-type]
    before, start = served(cluster), len(cluster.log)
    with alice.session() as client:
        pair = f"{{cert_file: {folder}/webproxy_cert.pem, key_file: {folder}/webproxy_key.pem}}"
        text = cluster.config.read_text()
        text = text.replace("teleport:\n", "teleport:\n  log: {severity: DEBUG}\n", 1)
        text = text.replace("proxy_service:\n", f"proxy_service:\n  https_keypairs: [{pair}]\n", 1)
        text = text.replace("env: dev", "env: changed")
        cluster.config.write_text(text)
        os.kill(cluster.pid, signal.SIGHUP)
        line = wait_for_line(cluster, start, "Reloaded the configuration")
        assert "reloaded:teleport.log,proxy_service.https_keypairs failed:nothing" in line
        assert "need_restart:ssh_service.labels" in line
        assert cluster.teleport("debug", "get-log-level").out == 'Current log level "DEBUG"\n'
        assert served(cluster).split() == certificate.split() != before.split()
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"still here\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"still here\n"
    start = len(cluster.log)
    cluster.config.write_text("nonsense: [")
    os.kill(cluster.pid, signal.SIGHUP)
    wait_for_line(cluster, start, "The configuration was not reloaded")
    cluster.write_configs()
    assert cluster.teleport("debug", "get-log-level").out == 'Current log level "DEBUG"\n'
    start = len(cluster.log)
    os.kill(cluster.pid, signal.SIGHUP)
    line = wait_for_line(cluster, start, "Reloaded the configuration")
    assert "reloaded:teleport.log,proxy_service.https_keypairs failed:nothing need_restart:nothing" in line
    assert served(cluster) == before


# Ending


def test_quit_waits_for_the_session_and_lets_nobody_in(cluster: Cluster, alice: User) -> None:
    start = len(cluster.log)
    with alice.session() as client:
        os.kill(cluster.pid, signal.SIGQUIT)
        wait_for_line(cluster, start, "Waiting for services: ")
        with pytest.raises(ConnectionRefusedError), socket.socket() as probe:
            probe.connect(("127.0.0.1", int(cluster.settings["ssh"])))  # type: ignore[call-overload]
        assert json.loads(cluster.debug("GET", "/readyz")[1])["status"] == "stopping"
        assert cluster.server is not None
        assert cluster.server.poll() is None
        out, _ = client.communicate(b"the end\n", timeout=20)
        assert out == b"the end\n"
        assert client.returncode == 0
    assert wait_for_end(cluster) == 0
    assert "All sessions have finished, exiting." in new_log(cluster, start)
    cluster.start()


def test_term_cuts_the_session(cluster: Cluster, alice: User) -> None:
    with alice.session():
        start = len(cluster.log)
        assert cluster.stop() < 8
    assert 'Got signal "terminated", exiting immediately.' in new_log(cluster, start)
    cluster.start()


# Backup and restore


def test_a_backup_of_a_running_cluster_comes_back(cluster: Cluster, alice: User, tmp_path: Path) -> None:
    file = tmp_path / "b.tar"
    done = cluster.teleport("backup", "-o", str(file))
    assert re.search(r"11 keys of authorities, \d+ audit records", done.out)
    assert file.stat().st_mode & 0o777 == 0o600
    cluster.role("later", logins=["nobody"])
    assert "BACKUP-NOT-EMPTY" in cluster.teleport("restore", str(file), status=1).err
    assert "STORE-LOCKED" in cluster.teleport("restore", "--force", str(file), status=1).err
    pin = cluster.tctl("status").out
    cluster.stop()
    done = cluster.teleport("restore", "--force", str(file))
    assert "every chain is whole" in done.out
    cluster.start()
    assert cluster.tctl("status").out == pin
    assert "not found" in cluster.tctl("get", "role/later", status=1).err
    assert ", whole, " in cluster.tctl("audit", "verify").out
    assert alice.ssh("echo with the same keys").out == "with the same keys\n"


def test_half_a_restore_is_not_started(cluster: Cluster) -> None:
    cluster.stop()
    marker = cluster.data / "restore-unfinished"
    marker.touch()
    try:
        refusal = cluster.teleport("start", "-c", str(cluster.config), status=1).err
        assert "PROC-RESTORE-UNFINISHED" in refusal
    finally:
        marker.unlink()
    cluster.start()
