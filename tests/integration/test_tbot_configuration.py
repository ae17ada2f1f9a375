"""Configurations of tbot as people write them, with a bot that starts from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, Done
from tests.support.ports import free_ports
from tests.support.server_process import BIN
from tests.support.tbot import Machine, ca_pin, make_bot

TBOT = str(BIN / "tbot")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as running:
        running.role("access", logins=["alice"])
        yield running


def once(cluster: Cluster, folder: Path, text: str) -> Done:
    """Start a bot once, in a folder, from a file of this text."""
    (folder / "tbot.yaml").write_text(text)
    return cluster.run("/bin/sh", "-c", f"cd {folder} && exec {TBOT} start -c tbot.yaml --oneshot")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_bot_without_a_proxy(cluster: Cluster, tmp_path: Path) -> None:
    """S1-58: the configuration of the documents, with paths from the folder in which the bot is started."""
    text = f"""\
version: v2
auth_server: 127.0.0.1:{cluster.settings["auth"]}
onboarding:
  token: '{make_bot(cluster, "seed", "access")}'
  join_method: token
storage:
  type: directory
  path: ./storage
services:
  - type: identity
    destination:
      type: directory
      path: ./destination
    ssh_config: "off"
"""
    once(cluster, tmp_path, text)
    assert {"identity", "tlscert", "key"} <= names(tmp_path / "destination")
    assert not {"ssh_config", "known_hosts"} & names(tmp_path / "destination")
    assert "tlscert" in names(tmp_path / "storage")


def test_a_file_of_version_v1_works_as_it_is_and_as_it_is_migrated(cluster: Cluster, tmp_path: Path) -> None:
    text = f"""\
auth_server: 127.0.0.1:{cluster.settings["auth"]}
onboarding:
  token: {make_bot(cluster, "old", "access")}
  ca_pins: ["{ca_pin(cluster)}"]
storage:
  directory: ./storage
destinations:
- directory: ./out
  roles: [access]
  configs: [ssh_client]
"""
    said = once(cluster, tmp_path, text)
    assert "Deprecated config version (V1) detected" in said.err
    first = (tmp_path / "out" / "tlscert").read_text()
    migrated = cluster.run(TBOT, "migrate", "-c", str(tmp_path / "tbot.yaml")).out
    assert migrated.startswith("version: v2\n")
    said = once(cluster, tmp_path, migrated)
    assert "Deprecated" not in said.err
    assert (tmp_path / "out" / "tlscert").read_text() != first


def test_what_configure_prints_starts_a_bot_and_flags_win_over_it(cluster: Cluster, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(make_bot(cluster, "made", "access"))
    written = cluster.run(
        TBOT, "configure", "identity", f"--proxy-server={cluster.public}", f"--token={token}", "--storage=./storage",
        "--destination=./out", "--certificate-ttl=30m", "--renewal-interval=10m",
    ).out  # fmt: skip
    assert "Successfully renewed impersonated certificates for directory" in once(cluster, tmp_path, written).err
    file = str(tmp_path / "tbot.yaml")
    said = cluster.run(
        TBOT, "start", "-c", file, "--oneshot", f"--storage={tmp_path}/storage", f"--destination-dir={tmp_path}/other",
        "--certificate-ttl=20m",
    )  # fmt: skip
    assert "CLI parameters are overriding configuration" in said.err
    assert "flag:--certificate-ttl config_value:30m0s cli_value:20m0s" in said.err
    assert "duration=21m0s" in next(line for line in said.err.splitlines() if "Successfully renewed" in line)
    assert "identity" in names(tmp_path / "other")


def test_others_wait_until_a_bot_is_ready(cluster: Cluster) -> None:
    machine = Machine(cluster, "waited", make_bot(cluster, "waited", "access"))
    address = f"127.0.0.1:{free_ports(1)[0]}"
    machine.settings["diag_addr"] = address
    with machine.running():
        done = machine.run("wait", f"--diag-addr={address}", "--timeout=2m")
        assert (done.out, done.err) == ("", "The bot is ready.\n")
        assert "identity" in names(machine.out)
        machine.run("wait", f"--diag-addr={address}", "--service=identity-output-1", "--timeout=2m")
        said = machine.run("wait", f"--diag-addr={address}", "--service=other", "--timeout=2m", status=1).err
        assert "the bot has no service other" in said
        assert "identity-output-1" in said
