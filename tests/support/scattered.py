"""A cluster whose services are on machines of their own (`tests.support.netns`), and an agent that reaches one only.

    with Scattered(tmp_path).everywhere("edge", "calm") as cluster:
        cluster.alice.tsh(...)

`auth`, `proxy` and `user` are where their names say; each node is a machine that reaches the proxy. `corner` reaches
`connect` alone, where tinyproxy is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Self

from tests.support.apart import Apart, Member
from tests.support.cluster import OWN, Done, User
from tests.support.front import Front, tinyproxy
from tests.support.netns import NETWORK, Net
from tests.support.server_process import ServerProcess

WEB, CONNECT = 3080, 3128
CORNER = "corner"


class Scattered(Apart):
    """The cluster. `everywhere` makes the machines and starts everything."""

    net: Net
    edges: dict[str, Member]
    """The nodes, by machine."""
    gate: Member
    """The proxy."""
    alice: User

    @contextlib.contextmanager
    def everywhere(self, *nodes: str) -> Iterator[Self]:
        """Run the Auth Service, the proxy, `nodes` and alice's workstation."""
        joined = {"auth": ["proxy"], "proxy": ["user", "connect", *(node for node in nodes if node != CORNER)]}
        with contextlib.ExitStack() as stack:
            self.net = stack.enter_context(Net({**joined, "connect": [CORNER]}))
            self.host, proxy = self.net.address("auth"), f"{self.net.address('proxy')}:{WEB}"
            self.settings.update(web=proxy, public=proxy, auth=3025)
            self.public = proxy
            self.data.mkdir(mode=0o700)
            self.write_configs()
            stack.enter_context(self.at("auth", self))
            self.gate = stack.enter_context(self.at("proxy", self.proxy()))
            self.role("walker", logins=[OWN])
            with self.net.inside("user"):
                self.alice = self.sign_up("alice", ["walker"])
            if CORNER in nodes:
                with self.net.inside("connect"):
                    self.front = stack.enter_context(self._tinyproxy())
            self.edges = {name: self.edge(name) for name in nodes}
            for name, node in self.edges.items():
                stack.enter_context(self.at(name, node))
                self.wait_for_node(name)
            yield self

    @contextlib.contextmanager
    def at(self, place: str, server: ServerProcess) -> Iterator[ServerProcess]:
        """Run a server on a machine."""
        with contextlib.ExitStack() as stack:
            with self.net.inside(place):
                running = stack.enter_context(server.running())
            yield running

    def again(self, place: str, server: ServerProcess) -> None:
        """Start a server that was ended."""
        with self.net.inside(place):
            server.start()

    def edge(self, name: str) -> Member:
        """Return a node that knows the proxy's address and nothing else, not started yet."""
        lines = f"  proxy_server: {self.public}\n  join_params: {{token_name: {self.token('node')}, method: token}}\n"
        made = self.node(name, teleport=lines)
        if name == CORNER:
            made.env = {"HTTPS_PROXY": f"http://{self.net.address('connect')}:{CONNECT}", "NO_PROXY": ""}
        return made

    def ssh(self, node: str, *command: str, status: int | None = 0) -> Done:
        """Let alice run a command on a node, from her machine."""
        with self.net.inside("user"):
            return self.alice.tsh("ssh", f"{OWN}@{node}", *command, status=status)

    def _tinyproxy(self) -> Front:
        return tinyproxy(
            self.folder / "connect", "connect", CONNECT, host=self.net.address("connect"), allow=f"{NETWORK}.0/24"
        )  # fmt: skip
