"""Processes that take over from one that a test has started (SIGHUP): they are no children of the test."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
from typing import Any, cast

from tests.support.processes import wait_for
from tests.support.server_process import ServerProcess


class Successor:
    """As much of a Popen as `ServerProcess` needs. How it ended says its log."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._descriptor = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Return 0 if it has ended, None if not."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        ended = self._ended(timeout)
        if ended is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return ended

    def _ended(self, seconds: float | None) -> int | None:
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLIN)
            if poll.poll(None if seconds is None else seconds * 1000):
                os.close(self._descriptor)
                self.returncode = 0
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        if self.returncode is None:
            signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def hand_over(member: ServerProcess) -> subprocess.Popen[bytes]:
    """Send SIGHUP and wait until another process has taken over, for which `member` stands then. Return the former."""
    former = member.server
    assert former is not None
    start = len(member.log)
    former.send_signal(signal.SIGHUP)
    pattern = r"Another process has taken over.* successor:(\d+)"
    found = wait_for("another process", lambda: re.search(pattern, member.log[start:]), seconds=60)
    assert found is not None
    member.server = cast("Any", Successor(int(found[1])))
    wait_for("its readiness", lambda: _answers(member), seconds=60)
    return former


def _answers(member: ServerProcess) -> bool:
    status, text = member.debug("GET", "/readyz")
    return status == 200 and json.loads(text)["pid"] == member.pid
