"""Programs that stand in front of a cluster: load balancers that end TLS, and HTTP CONNECT proxies, as people run them.

    with Front("nginx", nginx(folder, cluster, {"whole": NGINX_WHOLE}), folder, ports) as front:
        connect to 127.0.0.1, front.ports["whole"]

Those of them that dial do it from `ADDRESS`, so that their connections are not those of a client.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support import programs
from tests.support.processes import wait_for

ADDRESS = "127.0.0.3"
"""Where connections of load balancers come from."""
PROXY_HOST = "127.0.0.2"
"""Where CONNECT proxies listen: a proxy on 127.0.0.1 is refused."""

UPGRADES = """\
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $remote_addr;
"""
"""What nginx needs to pass on WebSocket upgrades, and to say who its client is."""

_NGINX = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  ssl_certificate {certificate};
  ssl_certificate_key {key};
{servers}}}
"""
_SERVER = """\
  server {{
    listen 127.0.0.1:{port} ssl;
    location / {{
      proxy_pass {target};
      proxy_bind {source};
      proxy_set_header Host $http_host;
      proxy_read_timeout 300s;
{more}    }}
  }}
"""
_HAPROXY = """\
global
  nbthread 1
  maxconn 200
  ssl-server-verify none
defaults
  mode http
  timeout connect 20s
  timeout client 120s
  timeout server 120s
  timeout tunnel 300s
"""
_FRONTEND = """\
listen {name}
  bind 127.0.0.1:{port} ssl crt {pem} alpn http/1.1
  source {source}
{more}  server target {target} {options}
"""
_TINYPROXY = """\
User root
Group root
Listen {host}
Port {port}
Timeout 300
Allow {allow}
LogFile "{folder}/{name}.log"
LogLevel Connect
{more}"""


class Web:
    """The pair with which the cluster's web port answers, and so do those in front of it; and where it is."""

    def __init__(self, data: Path, target: str) -> None:
        self.certificate = data / "webproxy_cert.pem"
        self.key = data / "webproxy_key.pem"
        self.target = target


class Front:
    """A running program."""

    def __init__(self, argv: Sequence[str], ports: Mapping[str, int], log: Path, *, host: str = "127.0.0.1") -> None:
        self.ports = dict(ports)
        self._argv = [programs.need(argv[0]), *argv[1:]]
        self._log = log
        self._host = host
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Front:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._argv, stdout=log, stderr=log)
        wait_for(self._argv[0], self._answers)
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
                if probe.connect_ex((self._host, port)):
                    return False
        return True


def nginx(folder: Path, web: Web, servers: Mapping[str, tuple[int, str, str]]) -> Front:
    """Return nginx as a load balancer. `servers`: by name port, scheme of the backend, and more lines."""
    folder.mkdir(exist_ok=True)
    parts = [
        _SERVER.format(port=port, target=f"{scheme}://{web.target}", source=ADDRESS, more=more)
        for port, scheme, more in servers.values()
    ]
    config = folder / "nginx.conf"
    config.write_text(
        _NGINX.format(folder=folder, certificate=web.certificate, key=web.key, servers="".join(parts))
    )  # fmt: skip
    ports = {name: server[0] for name, server in servers.items()}
    return Front(["nginx", "-c", str(config), "-e", str(folder / "nginx.log")], ports, folder / "nginx.out")


def haproxy(folder: Path, web: Web, servers: Mapping[str, tuple[int, str, str]]) -> Front:
    """Return HAProxy as a load balancer that ends TLS. `servers`: by name port, options of the backend, more lines."""
    folder.mkdir(exist_ok=True)
    pem = folder / "both.pem"
    pem.write_bytes(web.certificate.read_bytes() + web.key.read_bytes())
    parts = [
        _FRONTEND.format(name=name, port=port, pem=pem, source=ADDRESS, target=web.target, options=options, more=more)
        for name, (port, options, more) in servers.items()
    ]
    config = folder / "haproxy.cfg"
    config.write_text(_HAPROXY + "".join(parts))
    ports = {name: server[0] for name, server in servers.items()}
    return Front(["haproxy", "-db", "-f", str(config)], ports, folder / "haproxy.out")


def tinyproxy(
    folder: Path, name: str, port: int, more: str = "", *, host: str = PROXY_HOST, allow: str = "127.0.0.0/8"
) -> Front:
    """Return tinyproxy as an HTTP CONNECT proxy on `host`, for those of `allow`; `more` lines of its configuration."""
    folder.mkdir(exist_ok=True)
    config = folder / f"{name}.conf"
    config.write_text(_TINYPROXY.format(host=host, allow=allow, port=port, folder=folder, name=name, more=more))
    argv = ["tinyproxy", "-d", "-c", str(config)]
    return Front(argv, {name: port}, folder / f"{name}.out", host=host)
