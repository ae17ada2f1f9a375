"""-i of `tsh` and `tctl` as far as no cluster is needed: facts, environment, settings of ssh, and what is refused."""

import datetime as dt
import json
import stat
import subprocess

import pytest

from teleport.base.clock import SystemClock
from tests.support import authorities, identities
from tests.support.admin_host import run

CLUSTER = authorities.cluster(now=SystemClock().now() - dt.timedelta(days=1))
END = SystemClock().now().replace(microsecond=0) + dt.timedelta(hours=3)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "deploy.identity"
    path.write_bytes(identities.data(CLUSTER, name="deploy", expires=END, principals=("deploy",)))
    path.chmod(0o600)
    return path


@pytest.fixture
def expired(tmp_path):
    path = tmp_path / "old.identity"
    path.write_bytes(identities.data(name="deploy"))
    path.chmod(0o600)
    return path


def tsh(file, *words):
    return run("tsh", "-i", str(file), "--proxy=proxy.example.com:443", *words)


def test_status_without_a_profile(file, tmp_path):
    done = tsh(file, "status")
    assert (done.status, done.err) == (0, "")
    assert "> Profile URL:        https://proxy.example.com:443\n  Logged in as:       deploy\n" in done.out
    found = json.loads(tsh(file, "status", "-f", "json").out)
    assert (found["active"]["username"], found["active"]["cluster"]) == ("deploy", "example.com")
    assert found["profiles"] == []
    assert not (tmp_path / "tsh").exists()


def test_options_after_the_word_and_in_the_environment(file, monkeypatch):
    after = run("tsh", "status", f"--identity={file}", "--proxy", "proxy.example.com:443")
    assert "deploy" in after.out
    monkeypatch.setenv("TELEPORT_IDENTITY_FILE", str(file))
    monkeypatch.setenv("TELEPORT_PROXY", "proxy.example.com:443")
    assert run("tsh", "status").out == after.out


def test_environment(file):
    out = tsh(file, "env").out
    assert f"export TELEPORT_IDENTITY_FILE={file}\n" in out
    assert "export TELEPORT_CLUSTER=example.com\n" in out
    read = subprocess.run(["sh", "-c", f"{out}echo $TELEPORT_PROXY"], capture_output=True, text=True, check=True)
    assert read.stdout == "proxy.example.com:443\n"


def test_unset_needs_nothing():
    assert run("tsh", "env", "--unset").out == (
        "unset TELEPORT_PROXY\nunset TELEPORT_CLUSTER\nunset TELEPORT_IDENTITY_FILE\n"
    )


def test_settings_of_ssh_name_files_that_ssh_can_read(file, tmp_path):
    out = tsh(file, "config").out
    assert f'IdentityFile "{file}"' in out
    assert f"--identity={file} %r@%h:%p" in out
    certificate, known = tmp_path / "deploy.identity-cert.pub", tmp_path / "deploy.identity.known_hosts"
    shown = subprocess.run(["ssh-keygen", "-Lf", certificate], capture_output=True, text=True, check=True).stdout
    assert 'Key ID: "deploy"' in shown
    assert "@cert-authority proxy.example.com,example.com,*.example.com " in known.read_text()
    public = subprocess.run(["ssh-keygen", "-y", "-f", file], capture_output=True, text=True, check=True)
    assert public.stdout.startswith("ecdsa-sha2-nistp256 ")
    assert stat.S_IMODE(known.stat().st_mode) == 0o600


def test_a_warning_for_open_permissions(file):
    file.chmod(0o640)
    done = tsh(file, "status")
    assert done.status == 0
    assert done.err == f"WARNING: others may use the private key in {file} (mode 0640): chmod 600 {file}\n"


@pytest.mark.parametrize("words", [("ls",), ("ssh", "root@n"), ("proxy", "ssh", "root@n"), ("resolve", "n")])
def test_an_expired_identity_is_told_before_anything_is_dialled(expired, words):
    done = tsh(expired, *words)
    assert (done.status, done.out) == (1, "")
    assert "CLIENT-IDENTITY-EXPIRED" in done.err
    assert f"tctl auth sign --user=deploy --out={expired} --overwrite" in done.err


def test_an_expired_identity_is_shown_by_status(expired):
    done = tsh(expired, "status")
    assert done.status == 1
    assert "[EXPIRED]" in done.out
    assert "CLIENT-IDENTITY-EXPIRED" in done.err


def test_the_proxy_must_be_named(file):
    done = run("tsh", "-i", str(file), "ls")
    assert "CLIENT-IDENTITY-PROXY" in done.err
    assert "add --proxy=HOST:PORT" in done.err
    assert "CLIENT-IDENTITY-PROXY" in run("tctl", "-i", str(file), "get", "roles").err


def test_tctl_takes_an_identity_before_the_local_cluster(host, file, expired):
    words = ("--auth-server=127.0.0.1:1", "status")
    assert "CLIENT-IDENTITY-EXPIRED" in host.tctl("-i", str(expired), *words, status=1).err
    assert "127.0.0.1:1" in host.tctl("-i", str(file), *words, status=1).err


def test_sign_in_and_identity_do_not_go_together(file):
    for word in ("login", "logout"):
        assert run("tsh", "-i", str(file), word).status == 2
