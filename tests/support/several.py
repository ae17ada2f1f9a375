"""A cluster with several proxies behind a real HAProxy, which leads to each in turn.

    with Several(tmp_path).running() as cluster:
        with cluster.proxies(), cluster.behind("node-2").running():
            ...

Every proxy has the same public address, that of HAProxy, and the same certificate for it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.apart import Apart, Member
from tests.support.cluster import User, loopback_with
from tests.support.front import Front
from tests.support.haproxy import Balancer
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.tls import Authority

_CHECKED = "check inter 300 fastinter 100 rise 1 fall 1"


class Several(Apart):
    """The process with the Auth Service, and two proxies behind one address."""

    def __init__(self, folder: Path, *, each: Sequence[str] = ("", ""), **options: Any) -> None:
        """`each`: more lines of `proxy_service` for each proxy."""
        super().__init__(folder, **options)
        self.data.mkdir(mode=0o700)
        authority = Authority("web")
        self.pair = folder / "web.pem"
        self.pair.write_bytes(authority.issue("localhost"))
        self.authority = folder / "web-ca.pem"
        self.authority.write_text(authority.pem)
        first, second, front = free_ports(3)
        self.webs = (f"127.0.0.1:{first}", f"127.0.0.1:{second}")
        self.front_port = front
        self.public = f"localhost:{front}"
        self.lines = f"  https_keypairs: [{{key_file: {self.pair}, cert_file: {self.pair}}}]\n"
        self.each = tuple(each)
        self.all: list[Member] = []
        (self.data / "webproxy_cert.pem").write_text(authority.pem)  # what the browser of these tests trusts

    def environment(self, home: str = "nobody", **more: str) -> dict[str, str]:
        """See Cluster.environment."""
        return super().environment(home, **{"SSL_CERT_FILE": str(self.authority), **more})

    @contextlib.contextmanager
    def proxies(self) -> Iterator[list[Member]]:
        """Run both proxies, and HAProxy in front of them."""
        token = self.token("proxy")
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._balancer())
            for number, (web, own) in enumerate(zip(self.webs, self.each, strict=True), start=1):
                lines, more = self.joining(token=token), self.lines + own
                made = self.proxy(f"front-{number}", web=web, teleport=lines, more=more)
                self.all.append(stack.enter_context(made.running("-d")))
            yield self.all

    def behind(self, name: str) -> Member:
        """Return a node that knows the public address alone, not started yet."""
        lines = f"  proxy_server: {self.public}\n  join_params: {{token_name: {self.token('node')}}}\n"
        return self.node(name, teleport=lines)

    def _balancer(self) -> Front:
        one, two = self.webs
        options = f"{_CHECKED}\n  server second {two} {_CHECKED}"
        return Balancer(self.folder, {"proxies": (one, options)}, {"proxies": self.front_port})


_STRATEGY = "  tunnel_strategy: {type: proxy_peering, agent_connection_count: 1}\n"
_SEPARATE = ("listen_addr", "tunnel_listen_addr", "kube_listen_addr", "mysql_listen_addr")


class Peering(Several):
    """Proxies with ports for each other: one where its `peer_public_addr` says, one on the usual port, 3021. With
    separate ports agents find those for tunnels by number, not by name."""

    def __init__(self, folder: Path, mode: str = "multiplex") -> None:
        """`mode` is that of `proxy_listener_mode`."""
        named, usual = f"localhost:{free_ports(1)[0]}", loopback_with(3021)
        self.peers = (named, usual)
        peers = (
            f"  peer_listen_addr: 127.0.0.1:{named.partition(':')[2]}\n  peer_public_addr: localhost\n",
            f"  peer_listen_addr: {usual.partition(':')[0]}\n",
        )
        own = [free_ports(len(_SEPARATE)) if mode == "separate" else [] for _ in self.peers]
        each = [peer + _ports(numbers) for peer, numbers in zip(peers, own, strict=True)]
        more = f"{_STRATEGY}  proxy_listener_mode: {mode}\n"
        super().__init__(folder, each=each, auth_service=more)
        self.ports = [dict(zip(_SEPARATE, numbers, strict=False)) for numbers in own]
        """Ports of their own of each proxy, by the keys of the file."""

        self.doors = self.webs if mode == "multiplex" else tuple(f"127.0.0.1:{numbers[0]}" for numbers in own)
        """Where each proxy takes `ssh`."""

    def holder(self, node: Member) -> int:
        """Return which of the proxies a node has its tunnel to, as soon as its entry says so."""
        ids = [proxy.host_uuid for proxy in self.all]
        return wait_for("the node's proxy", lambda: self._holder(node, ids), seconds=60)[0]

    def _holder(self, node: Member, ids: list[str]) -> list[int]:
        found = json.loads(self.tctl("get", "nodes", "--format=json").out)
        named = [entry["spec"].get("proxy_ids", []) for entry in found if entry["metadata"]["name"] == node.host_uuid]
        return [ids.index(id) for id in (named[0] if named else []) if id in ids]


def _ports(numbers: Sequence[int]) -> str:
    lines = [f"  {key}: 127.0.0.1:{port}\n" for key, port in zip(_SEPARATE, numbers, strict=False)]
    return "".join([*lines, "  tunnel_public_addr: 127.0.0.1\n"] if lines else [])


def reached(node: Member, proxy: Member) -> int:
    """Return how often a node has connected to a proxy, as its log says."""
    return node.log.count(f"Agent connected to proxy: [{proxy.host_uuid}.")


def jump(web: str) -> tuple[str, str]:
    """Return options of `ssh` to go through one proxy."""
    return "-J", f"alice@localhost:{web.rpartition(':')[2]}"


def through(user: User, web: str) -> bool:
    """Run a command on the node through one proxy; say whether it did."""
    done = user.ssh("echo here", options=jump(web), status=None)
    return done.status == 0 and done.out == "here\n"
