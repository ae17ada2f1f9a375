"""HAProxy in front of a cluster: a real load balancer that speaks the PROXY protocol.

    with Balancer(tmp_path, {"v2": (target, "send-proxy-v2")}) as balancer:
        connect to 127.0.0.1, balancer.ports["v2"]

It dials from an address of its own, so that its connections are not those of the host itself.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support import programs
from tests.support.processes import wait_for

ADDRESS = "127.0.0.3"
"""Where the balancer's own connections come from."""

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


class Balancer:
    """A running HAProxy with one port for each target."""

    def __init__(self, folder: Path, targets: Mapping[str, tuple[str, str]], ports: Mapping[str, int]) -> None:
        """`targets`: by name, the address to pass connections to and the options of HAProxy's `server` line.
        `ports`: where each is reached, on 127.0.0.1."""
        self.ports = dict(ports)
        self._log = folder / "haproxy.log"
        self._config = folder / "haproxy.cfg"
        parts = [
            _LISTEN.format(name=name, port=self.ports[name], source=ADDRESS, target=target, options=options)
            for name, (target, options) in targets.items()
        ]
        self._config.write_text(_HEAD + "".join(parts))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Balancer:
        program = programs.need("haproxy")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([program, "-db", "-f", str(self._config)], stdout=log, stderr=log)
        wait_for("HAProxy", self._answers)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        for port in self.ports.values():
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)):
                    return False
        return True
