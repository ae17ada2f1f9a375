"""teleport debug: ask or change a running process through its debug socket."""

from __future__ import annotations

import http.client
import json
import os
import socket

import click

from teleport.base.disk import SystemDisk
from teleport.base.errors import BadParameter, Unavailable
from teleport.process.settings import DEFAULT_CONFIG, find_config

_TIMEOUT = 10.0

config_option = click.option(
    "-c", "--config", "config", default=None, metavar="FILE",
    help=f"Configuration of the running process [{DEFAULT_CONFIG}].",
)  # fmt: skip


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(self._path)


def _ask(config: str | None, method: str, path: str, body: str = "") -> tuple[int, str]:
    where = str(find_config(config, os.environ, SystemDisk()).data_dir / "debug.sock")
    connection = _UnixConnection(where)
    try:
        connection.request(method, path, body=body.encode() if body else None)
        response = connection.getresponse()
        return response.status, response.read(1 << 20).decode()
    except (OSError, http.client.HTTPException) as problem:
        raise Unavailable("PROC-DEBUG-SOCKET", path=where, problem=getattr(problem, "strerror", problem)) from None
    finally:
        connection.close()


@click.command("debug set-log-level")
@click.argument("level")
@config_option
def set_log_level(level: str, config: str | None) -> None:
    """Change the log level of a running process: TRACE, DEBUG, INFO, WARN or ERROR."""
    status, text = _ask(config, "PUT", "/log-level", level)
    answer = json.loads(text)
    if status != 200:
        raise BadParameter(answer["code"], **answer["fields"])
    if answer["old"] == answer["new"]:
        click.echo(f'Log level already set to "{answer["new"]}".')
    else:
        click.echo(f'Changed log level from "{answer["old"]}" to "{answer["new"]}".')


@click.command("debug get-log-level")
@config_option
def get_log_level(config: str | None) -> None:
    """Print the log level of a running process."""
    _, text = _ask(config, "GET", "/log-level")
    click.echo(f'Current log level "{text}"')


@click.command("debug readyz")
@config_option
def readyz(config: str | None) -> int:
    """Print the state of every service; exit status 1 while one is not ready."""
    status, text = _ask(config, "GET", "/readyz")
    answer = json.loads(text)
    click.echo(answer["status"])
    for name, state in answer["services"].items():
        click.echo(f"  {name}: {state}")
    return 0 if status == 200 else 1
