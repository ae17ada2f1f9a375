"""Which commands are scp at work on the node."""

import pytest

from teleport.agents.ssh.scp_command import COMMAND_BYTES, ScpCommand, find_scp


@pytest.mark.parametrize(
    ("command", "action", "path"),
    [
        (b"scp -t /tmp/x", "upload", "/tmp/x"),
        (b"scp -f file", "download", "file"),
        (b"scp -v -r -p -d -t -- -strange", "upload", "-strange"),
        (b"/usr/bin/scp -rpt .", "upload", "."),
        (b"scp -f 'a b' c", "download", "a b c"),
        (b"  scp\t-t  x", "upload", "x"),
        (b"scp -t it's", "upload", "it's"),
        (b"scp -t \xff", "upload", "\\xff"),
        (b"scp -t x; rm -rf y", "upload", "x; rm -rf y"),
        (b"scp -t -", "upload", "-"),
    ],
)
def test_scp_is_recognised(command, action, path):
    assert find_scp(command) == ScpCommand(action, path)


@pytest.mark.parametrize(
    "command",
    [b"", b"scp", b"scp a host:b", b"scp -r a host:-t", b"scp -- -t", b"echo scp -t x", b"scpx -t x", b"ls -f"],
)
def test_other_commands_are_not(command):
    assert find_scp(command) is None


def test_only_the_beginning_of_a_long_command_is_looked_at():
    assert find_scp(b"scp -t " + b"x" * 100_000) == ScpCommand("upload", "x" * (COMMAND_BYTES - 7))
