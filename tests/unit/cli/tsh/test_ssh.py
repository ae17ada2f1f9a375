"""tsh ssh: what its command line means."""

import pytest

from teleport.cli.tsh.ssh import Means, Plan, _at_terminal
from teleport.cli.tsh.ssh_line import Options
from teleport.client.forwards import parse
from teleport.client.ssh_targets import Target
from tests.support.admin_host import run


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


def test_ports_are_for_one_node():
    for means, one in (
        (Means(nothing=True), True), (Means(behind=True), True), (Means((parse("D", "1080"),)), True),
        (Means(agent=True, quiet=True, jump="proxy:443"), False),
    ):  # fmt: skip
        assert Plan(Target("alice"), "alice", 0, "", "uptime", False, means).one is one


def test_the_background_needs_something_to_do():
    assert "CLIENT-BEHIND" in run("tsh", "ssh", "-f", "alice@node-1").err
