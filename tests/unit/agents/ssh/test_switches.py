"""What a file says of channels is what the checker is told."""

from __future__ import annotations

from typing import Any

import pytest

from teleport.agents.ssh.switches import Switches
from teleport.base.struct import convert
from teleport.model.config.ssh import SshSection


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Switches()),
        ({"x11": {"enabled": "yes"}}, Switches(())),
        ({"port_forwarding": "no"}, Switches(("local_forward", "remote_forward", "x11"))),
        ({"ssh_file_copy": False}, Switches(("file_copy", "x11"))),
        ({"x11": {"display_offset": 20}}, Switches(display_offset=20, display_most=1020)),
        ({"x11": {"enabled": True, "max_display": 12}}, Switches((), 10, 12)),
        ({"x11": {"display_offset": 59000}}, Switches(display_offset=59000, display_most=59535)),
    ],
)
def test_switches(given: dict[str, Any], expected: Switches) -> None:
    assert Switches.of(convert(given, SshSection)) == expected
