"""The private names of asyncssh are those of the table, and the table is that of the installed version."""

import ast
import hashlib
import importlib
import inspect
import re
from pathlib import Path

import asyncssh
import pytest
from asyncssh.channel import SSHServerChannel
from asyncssh.connection import SSHClientConnection, SSHServerConnection

from teleport.net import (
    ssh,
    ssh_auth,
    ssh_channel,
    ssh_ciphers,
    ssh_doors,
    ssh_far,
    ssh_forward,
    ssh_onward,
    ssh_packets,
    ssh_stream,
)
from teleport.net.ssh_private import NAMES, VERSION, Name

OURS = (
    ssh_auth.Authentication, ssh_doors.Doors, ssh.ServerConnection, ssh_channel.SessionChannel,
    ssh_stream.DirectChannel, ssh_forward.OutwardChannel, ssh_packets.PacketConnection, ssh_packets.PacketChannel,
    ssh_onward._Connection, ssh_far.FarChannel,
)  # fmt: skip
MODULES = (
    ssh,
    ssh_auth,
    ssh_channel,
    ssh_ciphers,
    ssh_doors,
    ssh_far,
    ssh_forward,
    ssh_onward,
    ssh_packets,
    ssh_stream,
)
WIRING = {"connection_made", "connection_lost", "data_received", "eof_received", "pause_writing", "resume_writing"}
"""asyncio's and asyncssh's documented callbacks, which anybody may write."""


def owner(name: Name) -> type:
    module, _, cls = name.owner.rpartition(".")
    found: type = getattr(importlib.import_module(f"asyncssh.{module}"), cls)
    return found


def sources(cls: type) -> str:
    return "\n".join(inspect.getsource(base) for base in cls.__mro__ if base.__module__.startswith("asyncssh"))


def uses(source: str, name: str) -> bool:
    return re.search(rf"(self\.|def |^    ){re.escape(name)}\b", source, re.MULTILINE) is not None


def test_version_is_the_pinned_one() -> None:
    assert asyncssh.__version__ == VERSION


@pytest.mark.parametrize("name", NAMES, ids=lambda name: f"{name.owner}.{name.name}")
def test_name_is_as_it_was_read(name: Name) -> None:
    if name.digest:
        source = inspect.getsource(vars(owner(name))[name.name])
        assert hashlib.sha256(source.encode()).hexdigest()[:12] == name.digest
    else:
        assert uses(inspect.getsource(owner(name)), name.name)


def test_every_private_name_in_use_is_in_the_table() -> None:
    known = {name.name for name in NAMES}
    theirs = sources(SSHServerConnection) + sources(SSHServerChannel) + sources(SSHClientConnection)
    for module in MODULES:
        tree = ast.parse(Path(str(module.__file__)).read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                assert node.attr in known or not uses(theirs, node.attr), node.attr


def test_no_name_of_ours_hides_one_of_theirs() -> None:
    known = {name.name for name in NAMES} | WIRING
    for cls in OURS:
        theirs = sources(cls)
        for name in vars(cls):
            if not name.startswith("__") and name not in known and name != "_packet_handlers":
                assert not uses(theirs, name), name


def test_every_replaced_method_is_in_the_table() -> None:
    known = {name.name for name in NAMES}
    for cls in OURS:
        for name in vars(cls):
            theirs = [base for base in cls.__mro__[1:] if base.__module__.startswith("asyncssh")]
            if not name.startswith("__") and any(hasattr(base, name) for base in theirs):
                assert name in known, name
