"""HAProxy in front of a cluster: a real load balancer that speaks the PROXY protocol.

    with Balancer(tmp_path, {"v2": (target, "send-proxy-v2")}) as balancer:
        connect to 127.0.0.1, balancer.ports["v2"]

It dials from an address of its own, so that its connections are not those of the host itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.support.front import ADDRESS as ADDRESS
from tests.support.front import Front

_HEAD = """\
global
  nbthread 1
  maxconn 200
defaults
  mode tcp
  timeout connect 20s
  timeout client 120s
  timeout server 120s
"""
_LISTEN = """\
listen {name}
  bind 127.0.0.1:{port}
  source {source}
  server target {target} {options}
"""


class Balancer(Front):
    """A running HAProxy with one port for each target."""

    def __init__(self, folder: Path, targets: Mapping[str, tuple[str, str]], ports: Mapping[str, int]) -> None:
        """`targets`: by name, the address to pass connections to and the options of HAProxy's `server` line.
        `ports`: where each is reached, on 127.0.0.1."""
        config = folder / "haproxy.cfg"
        parts = [
            _LISTEN.format(name=name, port=ports[name], source=ADDRESS, target=target, options=options)
            for name, (target, options) in targets.items()
        ]
        config.write_text(_HEAD + "".join(parts))
        super().__init__(["haproxy", "-db", "-f", str(config)], ports, folder / "haproxy.log")
