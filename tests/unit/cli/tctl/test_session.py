"""Which way tctl takes to the Auth Service, and what it says where none leads there."""

import datetime as dt
import os
import socket

import pytest

from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.cli.tctl import session
from teleport.client.profile import Home
from tests.support.admin_host import CONFIG, run
from tests.support.signed_in import profile


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A configuration whose Auth Service does not run."""
    data = tmp_path / "data"
    data.mkdir()
    path = tmp_path / "teleport.yaml"
    path.write_text(CONFIG.format(data=data))
    return path


def save(tmp_path, **left):
    home = Home(str(tmp_path / "tsh"), SystemDisk())
    home.save(profile(web_proxy_addr="127.0.0.1:1", valid_until=SystemClock().now() + dt.timedelta(**left)))


def test_configuration_by_environment(host, monkeypatch):
    monkeypatch.setenv("TELEPORT_CONFIG_FILE", str(host.config))
    assert run("tctl", "status").out.startswith("Cluster  example.com\n")


def test_no_socket_where_the_configuration_is_named(config):
    done = run("tctl", "-c", str(config), "status")
    assert (done.status, done.out) == (1, "")
    assert "CLI-ADMIN-SOCKET" in done.err
    assert "start the Auth Service" in done.err


def test_socket_that_nobody_serves(config):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(config.parent / "data/admin.sock"))
    done = run("tctl", "-c", str(config), "status")
    assert done.status == 1
    assert "admin.sock" in done.err
    assert "Traceback" not in done.err


def test_configuration_that_is_missing(tmp_path):
    done = run("tctl", "-c", str(tmp_path / "none.yaml"), "status")
    assert "PROC-CONFIG-MISSING" in done.err


def test_nothing_leads_anywhere(config, monkeypatch):
    monkeypatch.setenv("TELEPORT_CONFIG_FILE", str(config))
    assert "CLI-NO-CLUSTER" in run("tctl", "status").err


def test_expired_sign_in_is_named(config, monkeypatch, tmp_path):
    monkeypatch.setenv("TELEPORT_CONFIG_FILE", str(config))
    save(tmp_path, hours=-1)
    err = run("tctl", "status").err
    assert "CLIENT-EXPIRED" in err
    assert "tsh login --proxy=127.0.0.1 --user=alice" in err


def test_sign_in_is_used_elsewhere(config, monkeypatch, tmp_path):
    monkeypatch.setenv("TELEPORT_CONFIG_FILE", str(config))
    save(tmp_path, hours=1)
    assert "DISK-MISSING" in run("tctl", "status").err


def test_folder_that_may_not_be_entered(config, monkeypatch):
    def denied(path):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(session.Path, "is_socket", denied)
    assert "CLI-ADMIN-SOCKET" in run("tctl", "-c", str(config), "status").err


def test_interrupt_ends_quietly(host, monkeypatch):
    async def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("teleport.api.client.AuthClient.status", interrupted)
    done = host.tctl("status", status=130)
    assert (done.out, done.err) == ("", "")


def test_reader_that_leaves_ends_quietly(host, monkeypatch):
    def gone(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr("click.echo", gone)
    assert host.tctl("status", status=141).err == ""


def test_an_address_means_the_sign_in_there(host, tmp_path):
    # Not the local cluster, though its socket is there: whoever names another place means it.
    assert "CLI-NO-CLUSTER" in host.tctl("--auth-server=elsewhere.example.com", "status", status=1).err
    save(tmp_path, hours=1)
    done = host.tctl("--auth-server=127.0.0.1:1", "status", status=1)
    assert "DISK-MISSING" in done.err
