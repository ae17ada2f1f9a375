"""tsh ssh: what its command line means."""

import pytest

from teleport.cli.tsh.ssh import Plan, _at_terminal
from teleport.cli.tsh.ssh_line import Options
from teleport.client.ssh_targets import Target


@pytest.mark.parametrize(
    ("given", "line", "wanted", "unwanted", "found"),
    [
        (Options(), "uptime", 0, False, False),
        (Options(), "top", 1, False, True),
        (Options(terminal="force"), "top", 0, False, True),
        (Options(terminal="no"), "top", 2, False, False),
        (Options(terminal="yes"), None, 0, True, False),
    ],
)
def test_who_gets_a_terminal(given, line, wanted, unwanted, found):
    assert _at_terminal(given, line, wanted, unwanted) is found


@pytest.mark.parametrize(
    ("command", "at_terminal", "one"), [(None, False, True), ("top", True, True), ("uptime", False, False)]
)
def test_what_is_for_one_node_only(command, at_terminal, one):
    assert Plan(Target("alice"), "alice", 0, "", command, at_terminal).one is one
