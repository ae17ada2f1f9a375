"""An Ansible playbook runs off the files of a bot while the bot renews three times: no connection breaks.

Once over one connection that stays open all the time, once over new ones through the multiplexer.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import NAME, NODE, OWN, Cluster
from tests.support.processes import wait_for
from tests.support.server_process import BIN
from tests.support.serving_bot import Tbot, service

HOST = f"{NODE}.{NAME}"
RENEWALS = 3
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: work while the bot renews
      ansible.builtin.raw: >-
        touch FOLDER/ready-{{ item }};
        for step in $(seq 1200); do test -e FOLDER/go-{{ item }} && break; sleep 0.1; done;
        test -e FOLDER/go-{{ item }} && echo "$SSH_CONNECTION" >> FOLDER/seen
      loop: [0, 1, 2]
"""


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
        wait_for("the sockets", (folder / "mux" / "agent.sock").is_socket, seconds=60)
        yield running


def played(bot: Tbot, folder: Path, place: str, options: str) -> list[str]:
    """Run the playbook through the renewals; return the connection of each step."""
    (book := folder / "play.yml").write_text(PLAYBOOK.replace("FOLDER", str(folder)))
    environment = {
        **bot.cluster.environment("nobody"), "ANSIBLE_HOME": str(folder / "ansible"), "LC_ALL": "C.UTF-8",
        "ANSIBLE_SSH_ARGS": f"-F {bot.folder}/{place}/ssh_config {options}", "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_REMOTE_TMP": str(folder / "remote"), "ANSIBLE_PYTHON_INTERPRETER": str(BIN / "python"),
    }  # fmt: skip
    argv = [str(BIN / "ansible-playbook"), "-i", f"{HOST},", "-u", OWN, str(book)]
    with open(folder / "said", "wb") as said, subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=folder
    ) as play:  # fmt: skip
        try:
            for number in range(RENEWALS):
                wait_for("the playbook's step", lambda n=number: _ready(play, folder, n), seconds=90)
                bot.renew()
                (folder / f"go-{number}").touch()
            assert play.wait(90) == 0, (folder / "said").read_text()
        finally:
            play.kill()
    assert "ok=1    changed=1    unreachable=0    failed=0" in (folder / "said").read_text()
    return (folder / "seen").read_text().splitlines()


def _ready(play: subprocess.Popen[bytes], folder: Path, number: int) -> bool:
    assert play.poll() is None, (folder / "said").read_text()
    return (folder / f"ready-{number}").exists()


def test_one_connection_lasts_through_three_renewals(bot: Tbot, tmp_path: Path) -> None:
    master = f"-o ControlPath={tmp_path}/c"
    try:
        seen = played(bot, tmp_path, "id", f"-o ControlMaster=auto -o ControlPersist=120 {master}")
    finally:
        subprocess.run(["ssh", "-F", "none", *master.split(), "-O", "exit", HOST], check=False, capture_output=True)
    assert len(seen) == RENEWALS
    assert len(set(seen)) == 1


def test_new_connections_through_the_multiplexer(bot: Tbot, tmp_path: Path) -> None:
    seen = played(bot, tmp_path, "mux", "-o ControlMaster=no")
    assert len(set(seen)) == len(seen) == RENEWALS
