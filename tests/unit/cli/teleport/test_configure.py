"""`teleport configure`: what it writes can be read, and says what was asked. Rows S0-41, S0-42."""

import os

import pytest

from teleport.base import yaml
from teleport.cli.entry import main
from teleport.model.config import teleport_yaml


def run(capsys, *options):
    """Run the command; return the document and what was said beside it."""
    assert main("teleport", ["configure", *options]) == 0
    printed = capsys.readouterr()
    (document,) = yaml.documents(printed.out, "printed")
    return document.data, printed.err


def test_the_usual_one_can_be_started_with(capsys):
    data, err = run(capsys, "--cluster-name=example.com", "--node-name=n1", "--data-dir=/srv/teleport")
    assert err == ""
    assert data["version"] == "v3"
    assert data["teleport"]["data_dir"] == "/srv/teleport"
    assert data["auth_service"]["cluster_name"] == "example.com"
    assert data["proxy_service"]["public_addr"] == "example.com:3080"
    assert data["ssh_service"]["enabled"] is True or data["ssh_service"]["enabled"] == "yes"


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_versions_with_one_port(capsys, version):
    data, err = run(capsys, f"--version={version}", "--public-addr=teleport.example.com:443")
    assert (data["version"], err) == (version, "")
    assert data["proxy_service"]["public_addr"] == "teleport.example.com:443"
    assert data["proxy_service"]["web_listen_addr"] == "0.0.0.0:443"
    assert data["auth_service"]["cluster_name"] == "teleport.example.com"


def test_v1_has_its_shape(capsys, tmp_path):
    """S0-42: `teleport configure --version=v1 --public-addr=teleport.example.com:443`."""
    assert main("teleport", ["configure", "--version=v1", "--public-addr=teleport.example.com:443"]) == 0
    printed = capsys.readouterr()
    config = teleport_yaml.load(printed.out, "printed")
    assert config.version == "v1"
    assert [str(address) for address in config.proxy_service.public] == ["teleport.example.com:443"]
    assert "proxy_listener_mode" not in printed.out
    assert printed.err == ""
    (tmp_path / "t.yaml").write_text(printed.out)
    assert main("teleport", ["configure", "--test", str(tmp_path / "t.yaml")]) == 0


def test_every_other_flag_arrives(capsys):
    data, err = run(
        capsys, "--roles=proxy,app", "--cert-file=/c.pem", "--key-file=/k.pem", "--acme", "--acme-email=a@example.com",
        "--token=/tmp/token", "--auth-server=auth.example.com", "--app-name=grafana",
        "--app-uri=http://localhost:3000",
    )  # fmt: skip
    assert "this build cannot start with it" in err
    assert data["teleport"]["join_params"] == {"token_name": "/tmp/token", "method": "token"}
    assert data["teleport"]["auth_server"] == "auth.example.com"
    assert data["proxy_service"]["https_keypairs"] == [{"key_file": "/k.pem", "cert_file": "/c.pem"}]
    assert data["proxy_service"]["acme"]["email"] == "a@example.com"
    assert data["app_service"]["apps"] == [{"name": "grafana", "uri": "http://localhost:3000"}]
    assert data["ssh_service"]["enabled"] in (False, "no")


def test_labels_and_servers(capsys):
    data, _ = run(capsys, "--version=v2", '--node-labels=env=dev,team="a, b"', "--auth-server=auth:3025")
    assert data["ssh_service"]["labels"] == {"env": "dev", "team": "a, b"}
    assert data["teleport"]["auth_servers"] == ["auth:3025"]
    data, _ = run(capsys, "--version=v3", "--auth-server=auth:3025")
    assert data["teleport"]["auth_server"] == "auth:3025"


def test_a_node_that_joins_through_a_proxy(capsys):
    options = ("--roles=node", "--proxy=proxy.example.com:443", "--token=/tmp/token")
    data, err = run(capsys, *options)
    assert (data["teleport"]["proxy_server"], err) == ("proxy.example.com:443", "")
    assert data["teleport"]["join_params"] == {"token_name": "/tmp/token", "method": "token"}
    data, err = run(capsys, "--version=v1", *options)
    assert (data["teleport"]["auth_servers"], err) == (["proxy.example.com:443"], "")


def test_the_pin_arrives(capsys):
    pin = f"sha256:{'0a' * 32}"
    data, err = run(capsys, "--roles=proxy", "--auth-server=auth", f"--ca-pin={pin}", "--token=t")
    assert (data["teleport"]["ca_pin"], err) == (pin, "")
    assert main("teleport", ["configure", "--auth-server=auth", "--ca-pin=sha1:00"]) == 1
    assert "CONFIG-VALUE" in capsys.readouterr().err


def test_values_cannot_change_the_document(capsys):
    data, _ = run(capsys, "--node-name=yes", "--cluster-name=example.com")
    assert data["teleport"]["nodename"] == "yes"
    assert main("teleport", ["configure", "--node-name=a\nevil: true"]) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["-o", "stdout", "--test", "x"], "CLI-CONFIG-OUTPUT-TEST"),
        (["--cert-file=/a"], "CLI-CONFIG-PAIR"),
        (["--app-uri=http://x"], "CLI-CONFIG-PAIR"),
        (["--auth-server=a", "--proxy=b"], "CLI-CONFIG-ONE-SERVER"),
        (["--roles=auth,kitchen"], "CLI-CONFIG-ROLE"),
        (["--public-addr=:::"], "KIND-ADDRESS"),
        (["--test", "/nonexistent.yaml"], "DISK-MISSING"),
    ],
)
def test_refusals(capsys, options, code):
    assert main("teleport", ["configure", *options]) == 1
    assert code in capsys.readouterr().err


def test_into_a_file_that_is_private_and_never_overwritten(capsys, tmp_path):
    path = tmp_path / "teleport.yaml"
    assert main("teleport", ["configure", "-o", f"file://{path}", "--cluster-name=example.com"]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"teleport start -c {path}" in capsys.readouterr().out
    assert main("teleport", ["configure", "--test", str(path)]) == 0
    before = path.read_bytes()
    assert main("teleport", ["configure", "-o", str(path)]) == 1
    assert "CLI-CONFIG-EXISTS" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["teleport.yaml"]
