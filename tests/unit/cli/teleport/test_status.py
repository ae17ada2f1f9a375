"""`teleport status`: from the environment alone."""

import json

from teleport.cli.entry import main
from teleport.cli.teleport.status import lines

INSIDE = {
    "SSH_TELEPORT_USER": "alice", "USER": "root", "SSH_CLIENT": "10.0.0.1 43026 3022",
    "SSH_TELEPORT_CLUSTER_NAME": "example.com", "SSH_TELEPORT_HOST_UUID": "uuid-1", "SSH_SESSION_ID": "sid-1",
    "SSH_SESSION_WEBPROXY_ADDR": "proxy.example.com:443",
}  # fmt: skip


def test_inside_of_a_session():
    assert lines(INSIDE) == [
        "User ID     : alice, logged in as root from 10.0.0.1",
        "Cluster Name: example.com",
        "Host UUID   : uuid-1",
        "Session ID  : sid-1",
        "Session URL : https://proxy.example.com:443/web/cluster/example.com/console/session/sid-1",
    ]


def test_what_the_session_does_not_know_is_left_out():
    less = {name: INSIDE[name] for name in ("SSH_TELEPORT_USER", "SSH_SESSION_ID", "USER")}
    assert lines(less) == ["User ID     : alice, logged in as root", "Session ID  : sid-1"]


def test_outside():
    assert lines({}) == ["You are not inside of a Teleport SSH session"]
    assert lines({"SSH_TELEPORT_USER": "alice"}) == lines({})


def test_values_do_not_reach_the_terminal_as_they_are():
    assert "\x1b" not in "".join(lines({**INSIDE, "SSH_SESSION_ID": "\x1b[31mred"}))


def test_the_command(monkeypatch, capsys):
    for name in INSIDE:
        monkeypatch.delenv(name, raising=False)
    assert main("teleport", ["status"]) == 0
    assert capsys.readouterr().out == "You are not inside of a Teleport SSH session\n"


def test_for_programs(monkeypatch, capsys):
    for name in ("SSH_TELEPORT_USER", "SSH_SESSION_ID"):
        monkeypatch.delenv(name, raising=False)
    assert main("teleport", ["status", "--format=json"]) == 0
    assert json.loads(capsys.readouterr().out) == {}
    monkeypatch.setenv("SSH_TELEPORT_USER", "alice")
    monkeypatch.setenv("SSH_SESSION_ID", "s-1")
    assert main("teleport", ["status", "-f", "yaml"]) == 0
    assert "session_id: s-1\n" in capsys.readouterr().out
