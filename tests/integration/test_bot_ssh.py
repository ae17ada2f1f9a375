"""Stock OpenSSH as a bot: through what an output writes, and through the sockets of a multiplexer."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import ssh_agent
from tests.support.cluster import NAME, NODE, OWN, Cluster, Done
from tests.support.forwarder import Forwarder
from tests.support.processes import tree, wait_for
from tests.support.server_process import BIN
from tests.support.serving_bot import Tbot, service

HOST = f"{NODE}.{NAME}"
NO_LOGIN = (
    "ERROR: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], "
    "no supported methods remain"
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as running:
        running.role("access", logins=[OWN])
        yield running


@pytest.fixture(scope="module")
def bot(cluster: Cluster) -> Iterator[Tbot]:
    folder = cluster.folder / "bot"
    services = [service("identity", folder / "id"), service("ssh-multiplexer", folder / "mux")]
    with Tbot(cluster, folder, roles=["access"], services=services).running() as running:
        listening(running)
        yield running


def listening(bot: Tbot) -> None:
    """Wait until the multiplexer listens."""
    wait_for("the sockets", (bot.folder / "mux" / "agent.sock").is_socket, seconds=60)


def ssh(bot: Tbot, *words: str, place: str = "id", login: str = OWN, host: str = HOST, status: int | None = 0) -> Done:
    """Run stock ssh with a configuration that the bot has written."""
    argv = ["ssh", "-F", str(bot.folder / place / "ssh_config"), *words[:-1], f"{login}@{host}", *words[-1:]]
    return bot.cluster.run(*argv, status=status, env=bot.cluster.environment("nobody"))


def test_a_login_of_the_role_works(bot: Tbot) -> None:
    """S1-28, through the ProxyCommand that tbot generates. S1-55: the configuration covers the root cluster."""
    assert ssh(bot, "echo as $SSH_TELEPORT_USER").out == "as bot-example\n"
    assert f"Host *.{NAME} " in (bot.folder / "id" / f"{NAME}.ssh_config").read_text()


def test_a_login_that_the_role_has_not_got(bot: Tbot) -> None:
    """S1-29: the text; then who was asked for, whom the certificate has, and what to do. S1-31: what ssh adds."""
    said = ssh(bot, "true", login="nobody", status=255).err
    assert said.startswith(f"{NO_LOGIN}\n")
    assert f"nobody is not among the logins of your certificate ({OWN})" in said
    assert "pkill -sigusr1 tbot" in said
    assert "Connection closed by UNKNOWN port 65535" in said


def test_the_wrapped_form_of_earlier_times(bot: Tbot) -> None:
    """S1-30: what tsh says comes first, then how tbot ran it, and with which status it has ended."""
    folder, public = bot.folder / "id", bot.cluster.public
    command = f"{BIN}/tbot proxy --destination-dir={folder} --proxy-server={public} ssh --cluster={NAME} %r@%h:%p"
    assert ssh(bot, "-o", f"ProxyCommand {command}", "echo here").out == "here\n"
    said = ssh(bot, "-o", f"ProxyCommand {command}", "true", login="nobody", status=255).err
    first, _, rest = said.partition("ERROR: unable to execute tsh\n")
    assert first.startswith(f"{NO_LOGIN}\n")
    assert rest.startswith("executing `tsh proxy`\nexit status 1\n")


def test_the_role_decides_and_a_renewal_brings_it(cluster: Cluster) -> None:
    """S1-33: principals are the role's logins, anew with each renewal. S1-34: editing the role helps, and so does
    another role; each with a renewal."""
    cluster.role("narrow", logins=["alice"])
    folder = cluster.folder / "mended"
    services = [service("identity", folder / "id")]
    with Tbot(cluster, folder, roles=["narrow"], services=services, name="mended").running() as bot:
        assert "roles=[narrow], principals=[alice -teleport-internal-join], generation=0" in bot.log
        assert NO_LOGIN in ssh(bot, "true", status=255).err
        cluster.role("narrow", logins=["alice", OWN])
        bot.renew()
        assert f"principals=[alice {OWN} -teleport-internal-join]" in bot.log
        ssh(bot, "true")
        cluster.role("narrow", logins=["alice"])
        bot.renew()
        assert NO_LOGIN in ssh(bot, "true", status=255).err
        cluster.tctl("bots", "update", "mended", "--add-roles=access")
        bot.renew()
        ssh(bot, "true")


def test_the_signal_of_a_renewal_ends_no_connection(bot: Tbot) -> None:
    """`pkill -sigusr1 tbot` may find more than the bot itself: here it is sent to everything that carries a session."""
    argv = ["ssh", "-F", str(bot.folder / "id" / "ssh_config"), f"{OWN}@{HOST}", "echo open; exec cat"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == b"open\n"
        ways = [process for process in tree(session.pid) if "ssh-proxy-command" in process.arguments]
        for way in ways:
            os.kill(way.pid, signal.SIGUSR1)
        assert (len(ways), session.communicate(b"still here")[0], session.wait(60)) == (1, b"still here", 0)


# the multiplexer


def test_ssh_through_the_multiplexer(bot: Tbot) -> None:
    assert ssh(bot, "echo as $SSH_TELEPORT_USER", place="mux").out == "as bot-example\n"
    assert ssh(bot, "-o", "ProxyUseFdpass no", "echo over a pipe", place="mux").out == "over a pipe\n"
    assert sorted(path.name for path in (bot.folder / "mux").iterdir() if not path.name.startswith(".")) == [
        "agent.sock", "known_hosts", "ssh_config", "v1.sock"
    ]  # fmt: skip
    for name in ("v1.sock", "agent.sock"):
        assert stat.S_IMODE((bot.folder / "mux" / name).stat().st_mode) == 0o600


def test_its_protocol_is_a_line_that_ends_with_nul(bot: Tbot) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(str(bot.folder / "mux" / "v1.sock"))
        sock.sendall(f"{HOST}:3022\0SSH-2.0-Test\r\n".encode())
        assert sock.recv(8) == b"SSH-2.0-"


def test_a_node_that_is_not_there_is_told_in_ssh(bot: Tbot) -> None:
    said = ssh(bot, "true", place="mux", host=f"nowhere.{NAME}", status=255).err
    assert f'node "nowhere.{NAME}" not found' in said


def test_many_at_a_time(bot: Tbot) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: ssh(bot, f"echo {n}", place="mux").out, range(16)))
    assert found == [f"{n}\n" for n in range(16)]


def test_sessions_live_on_while_certificates_are_renewed(bot: Tbot) -> None:
    """The agent has the newest certificate, and what began with an earlier one goes on."""
    agent = str(bot.folder / "mux" / "agent.sock")
    (first,) = ssh_agent.listed(agent)
    argv = ["ssh", "-F", str(bot.folder / "mux" / "ssh_config"), f"{OWN}@{HOST}", "cat"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        for number in range(3):
            session.stdin.write(b"%d\n" % number)
            session.stdin.flush()
            assert session.stdout.readline() == b"%d\n" % number
            bot.renew()
            assert ssh(bot, "echo new", place="mux").out == "new\n"
        session.stdin.close()
        assert session.wait(60) == 0
    assert ssh_agent.listed(agent) != [first]


def test_sockets_that_somebody_removes_are_made_again(bot: Tbot) -> None:
    for name in ("v1.sock", "agent.sock"):
        (bot.folder / "mux" / name).unlink()
    for name in ("v1.sock", "agent.sock"):
        wait_for(name, (bot.folder / "mux" / name).is_socket, seconds=60)
    assert ssh(bot, "echo again", place="mux").out == "again\n"


def test_a_socket_of_a_bot_that_was_killed_is_replaced(cluster: Cluster, tmp_path: Path) -> None:
    bot = Tbot(cluster, tmp_path / "b", roles=["access"], name="killed",
               services=[service("ssh-multiplexer", tmp_path / "b" / "mux")])  # fmt: skip
    with bot.running():
        listening(bot)
        ssh(bot, "true", place="mux")
        bot.process.kill()
        bot.process.wait()
    assert (tmp_path / "b" / "mux" / "v1.sock").is_socket()
    assert "v1.sock cannot be reached: Connection refused" in ssh(bot, "true", place="mux", status=255).err
    with bot.running():
        wait_for("the socket", lambda: ssh(bot, "true", place="mux", status=None).status == 0, seconds=60)
    assert not (tmp_path / "b" / "mux" / "v1.sock").exists()


@pytest.mark.parametrize("place", ["id", "mux"])
def test_sessions_are_resumed_after_renewals(cluster: Cluster, tmp_path: Path, place: str) -> None:
    """The way to the proxy breaks when the certificates are others than those with which the session began."""
    kind = {"id": "identity", "mux": "ssh-multiplexer"}[place]
    with Forwarder(int(cluster.public.rpartition(":")[2])) as between:
        bot = Tbot(
            cluster, tmp_path / "b", roles=["access"], services=[service(kind, tmp_path / "b" / place)], name=place,
            proxy_server=f"localhost:{between.port}", environment={"TBOT_USE_PROXY_ADDR": "yes"},
        )  # fmt: skip
        with bot.running():
            if place == "mux":
                listening(bot)
            argv = ["ssh", "-F", str(bot.folder / place / "ssh_config"), f"{OWN}@{HOST}", "cat"]
            with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as session:
                assert session.stdin is not None
                assert session.stdout is not None
                for line in (b"before\n", b"after\n"):
                    session.stdin.write(line)
                    session.stdin.flush()
                    assert session.stdout.readline() == line
                    bot.renew()
                    between.cut()
                session.stdin.close()
                assert session.wait(60) == 0
