"""Telling the service manager."""

from __future__ import annotations

import socket
from pathlib import Path

from teleport.net.notify import READY, tell


def test_one_datagram_says_it(tmp_path: Path):
    for name in (str(tmp_path / "notify"), f"@{tmp_path}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(name.replace("@", "\0"))
            tell({"NOTIFY_SOCKET": name}, READY)
            assert manager.recv(64) == b"READY=1"


def test_nobody_needs_to_listen(tmp_path: Path):
    tell({}, READY)
    tell({"NOTIFY_SOCKET": "vsock:2:1"}, READY)
    tell({"NOTIFY_SOCKET": str(tmp_path / "gone")}, READY)
