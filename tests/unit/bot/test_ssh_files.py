"""The files with which OpenSSH goes to nodes, as OpenSSH itself reads them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from teleport.bot.parts import ProxyFacts
from teleport.bot.ssh_files import files, names
from tests.support.bot_facts import HELD, HOST_KEY, LEAF_KEY, PROXY


def texts(folder: str = "/opt/machine-id", proxy: ProxyFacts = PROXY, *leaves: str) -> dict[str, str]:
    """Return the files as texts."""
    return {
        name: data.decode() for name, data in files(folder, proxy, "example.com", leaves, HELD, "/usr/bin/tbot").items()
    }


def read(tmp_path: Path, text: str, host: str) -> dict[str, str]:
    """Return what `ssh -G` makes of a configuration."""
    (config := tmp_path / "config").write_text(text)
    argv = ["ssh", "-F", str(config), "-G", "-l", "alice", host]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def test_the_shape_is_that_of_the_reference() -> None:
    text = texts()["ssh_config"]
    assert text.startswith("# Begin generated Teleport configuration for proxy.example.com by tbot\n")
    assert text.endswith("# End generated Teleport configuration\n")
    heads = [line for line in text.splitlines() if line.startswith("Host ")]
    assert heads == ["Host *.example.com proxy.example.com", "Host *.example.com !proxy.example.com"]


def test_ssh_reaches_a_node_through_tbot(tmp_path: Path) -> None:
    found = read(tmp_path, texts()["ssh_config"], "node.example.com")
    assert found["proxycommand"] == (
        '"/usr/bin/tbot" ssh-proxy-command --destination-dir=/opt/machine-id --proxy-server=proxy.example.com:443'
        " --cluster=example.com --tls-routing --resume --user=%r --host=%h --port=%p"
    )
    assert found["port"] == "3022"
    assert found["identityfile"] == "/opt/machine-id/key"
    assert found["certificatefile"] == "/opt/machine-id/key-cert.pub"
    assert found["userknownhostsfile"] == "/opt/machine-id/known_hosts"
    assert "proxycommand" not in read(tmp_path, texts()["ssh_config"], "proxy.example.com")


def test_every_cluster_has_its_part_and_its_own_files(tmp_path: Path) -> None:
    """S1-55: the root and each leaf; here as far as this cluster knows of leaves."""
    found = texts("/opt/machine-id", PROXY, "leaf.example.org")
    assert set(found) == set(names("example.com", ["leaf.example.org"]))
    assert found["known_hosts"] == found["example.com.known_hosts"] + found["leaf.example.org.known_hosts"]
    node = read(tmp_path, found["ssh_config"], "node.leaf.example.org")
    assert "--cluster=leaf.example.org " in node["proxycommand"]
    alone = read(tmp_path, found["leaf.example.org.ssh_config"], "node.leaf.example.org")
    assert alone["userknownhostsfile"] == "/opt/machine-id/leaf.example.org.known_hosts"
    assert "proxycommand" not in read(tmp_path, found["leaf.example.org.ssh_config"], "node.example.com")


def test_each_cluster_vouches_for_its_own_hosts_alone() -> None:
    found = texts("", PROXY, "leaf.example.org")
    assert set(found) == {"known_hosts"}, "where files have no path, no configuration can name them"
    root, leaf = found["known_hosts"].splitlines()
    assert root.startswith(f"@cert-authority proxy.example.com,example.com,*.example.com {HOST_KEY} ")
    assert leaf.startswith(f"@cert-authority leaf.example.org,*.leaf.example.org {LEAF_KEY} ")


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"tls_routing": False}, "--no-tls-routing"), ({"upgrade": True}, "--tls-routing --connection-upgrade")],
)
def test_what_the_proxy_is_stands_in_the_command(changes: dict[str, bool], words: str) -> None:
    proxy = ProxyFacts(**{**{name: getattr(PROXY, name) for name in PROXY.__slots__}, **changes})
    assert f" {words} --resume " in texts(proxy=proxy)["ssh_config"]


def test_paths_arrive_whole(tmp_path: Path) -> None:
    found = read(tmp_path, texts("/opt/50% it's mine")["ssh_config"], "node.example.com")
    assert found["identityfile"] == "/opt/50%% it's mine/key", "`ssh -G` shows what it has yet to expand"
    assert "--destination-dir='/opt/50%% it'\"'\"'s mine'" in found["proxycommand"]
