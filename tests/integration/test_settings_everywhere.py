"""Settings of the cluster that `tctl` changes reach proxies and nodes in processes of their own, which go on running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.support.apart import Apart, Member
from tests.support.cluster import OWN, User, free_ports
from tests.support.processes import wait_for
from tests.support.scattered import Scattered

assert Scattered
FAREWELL = "nobody was there"


class Stage:
    """A proxy and a node that run all the time."""

    def __init__(self, cluster: Apart, proxy: Member, node: Member, alice: User) -> None:
        self.cluster, self.proxy, self.node, self.alice = cluster, proxy, node, alice
        self.pids = proxy.pid, node.pid

    def set(self, kind: str, **spec: object) -> None:
        """Change a setting, as an administrator does it."""
        document = {"kind": kind, "version": "v2", "spec": spec}
        self.cluster.tctl("create", "-f", stdin=msgspec.json.encode(document).decode())

    def ends_idle(self) -> str:
        """Open a session in which nothing happens for a while, and return what the user read."""
        done = self.alice.tsh("ssh", f"{OWN}@node-2", "sleep 8", status=None)
        return done.err
