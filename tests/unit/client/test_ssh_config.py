"""The configuration of stock OpenSSH, as OpenSSH itself reads it."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

import pytest

from teleport.base.disk import MemoryDisk
from teleport.client.profile import Home, Profile
from teleport.client.ssh_config import SshFiles, options_for, render

PROFILE = Profile(
    web_proxy_addr="proxy.example.com:3080", user="alice", cluster="example.com",
    valid_until=dt.datetime(2030, 1, 1, tzinfo=dt.UTC),
)  # fmt: skip


def text(tsh: str = "/usr/bin/tsh", home: str = "/home/alice/.tsh") -> str:
    return render(PROFILE, SshFiles.of(Home(home, MemoryDisk()).files(PROFILE)), tsh)


def read(tmp_path: Path, host: str, *arguments: str, **changes: str) -> dict[str, str]:
    """Return what `ssh -G` makes of it."""
    config = tmp_path / "config"
    config.write_text(text(**changes))
    done = subprocess.run(["ssh", "-F", config, *arguments, "-G", host], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def test_a_node_is_reached_through_the_proxy(tmp_path: Path) -> None:
    found = read(tmp_path, "node-1.example.com", "-l", "root")
    command = '"/usr/bin/tsh" proxy ssh --cluster=example.com --proxy=proxy.example.com:3080 %r@%h:%p'
    assert found["proxycommand"] == command
    assert found["port"] == "3022"
    assert found["stricthostkeychecking"] == "true"
    assert found["userknownhostsfile"] == "/home/alice/.tsh/keys/proxy.example.com/known_hosts"
    assert found["certificatefile"] == "/home/alice/.tsh/keys/proxy.example.com/alice-ssh/example.com-cert.pub"
    assert set(found["hostkeyalgorithms"].split(",")) == {
        "ssh-ed25519-cert-v01@openssh.com", "ecdsa-sha2-nistp256-cert-v01@openssh.com"
    }  # fmt: skip


def test_the_proxy_itself_is_reached_directly(tmp_path: Path) -> None:
    """Its name is one of the cluster's; through itself it could never be reached."""
    found = read(tmp_path, "proxy.example.com")
    assert "proxycommand" not in found
    assert found["userknownhostsfile"].endswith("/known_hosts")


def test_a_jump_takes_the_place_of_the_command(tmp_path: Path) -> None:
    found = read(tmp_path, "node-1.example.com", "-J", "alice@proxy.example.com:3080")
    assert found["proxyjump"] == "alice@proxy.example.com:3080"
    assert "proxycommand" not in found


def test_other_hosts_are_none_of_our_business(tmp_path: Path) -> None:
    found = read(tmp_path, "node-1.example.org")
    assert "proxycommand" not in found
    assert found["port"] == "22"


@pytest.mark.parametrize("folder", ["with blank", "50%", "it's", "$HOME", "a;b"])
def test_the_path_of_tsh_arrives_whole(tmp_path: Path, folder: str) -> None:
    place = tmp_path / folder
    place.mkdir()
    tsh = place / "tsh"
    tsh.write_text(f'#!/bin/sh\necho "$0 $*" > "{tmp_path}/called"\nexit 1\n')
    tsh.chmod(0o700)
    config = tmp_path / "config"
    config.write_text(text(tsh=str(tsh), home=str(tmp_path / "home")))
    done = subprocess.run(
        ["ssh", "-F", config, "root@node-1.example.com", "true"], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 255
    words = "proxy ssh --cluster=example.com --proxy=proxy.example.com:3080 root@node-1.example.com:3022"
    assert (tmp_path / "called").read_text() == f"{tsh} {words}\n"


@pytest.mark.parametrize("home", ["/home/a b/.tsh", "/home/50%/.tsh"])
def test_paths_of_files_are_quoted(tmp_path: Path, home: str) -> None:
    assert read(tmp_path, "node-1.example.com", home=home)["identityfile"].replace("%%", "%").startswith(home)


def test_an_identity_file_is_named_to_tsh():
    files = SshFiles("/k/id", "/k/id-cert.pub", "/k/id.known_hosts", identity="/k/my id")
    text = render(PROFILE, files, "/usr/bin/tsh")
    assert "--identity='/k/my id' %r@%h:%p" in text
    assert 'IdentityFile "/k/id"' in text
    assert 'CertificateFile "/k/id-cert.pub"' in text
    assert 'UserKnownHostsFile "/k/id.known_hosts"' in text


@pytest.mark.parametrize(
    ("host", "alias"), [("node-1", "node-1.example.com"), ("node-1.example.com", "node-1.example.com")]
)
@pytest.mark.parametrize("home", ["/home/alice/.tsh", "/home/a b/.tsh", "/home/50%/.tsh"])
def test_options_of_one_connection(host: str, alias: str, home: str) -> None:
    """As `tsh sftp` gives them: whatever the name is that was typed, the node proves the one in the cluster."""
    files = SshFiles.of(Home(home, MemoryDisk()).files(PROFILE))
    given = [word for line in options_for(PROFILE, files, "/usr/bin/tsh", host) for word in ("-o", line)]
    done = subprocess.run(["ssh", "-F", "none", *given, "-G", host], capture_output=True, text=True, check=True)
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert (found["hostkeyalias"], found["stricthostkeychecking"]) == (alias, "true")
    assert found["proxycommand"].startswith('"/usr/bin/tsh" proxy ssh --cluster=example.com')
    assert found["userknownhostsfile"].replace("%%", "%").replace('"', "").startswith(home)
