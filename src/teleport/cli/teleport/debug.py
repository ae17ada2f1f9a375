"""teleport debug: ask or change a running process through its debug socket."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import sys
import tarfile

import click

from teleport.base.disk import SystemDisk
from teleport.base.errors import BadParameter, NotFound, TeleportError, Unavailable, from_grpc
from teleport.cli.common import format_option, show
from teleport.process.profile_names import MOST_SECONDS, NAMES, SECONDS, TIMED, USUAL
from teleport.process.settings import DEFAULT_CONFIG, find_config

_TIMEOUT = 10.0
_MOST = 1 << 28
"""Bytes of an answer at most."""

config_option = click.option(
    "-c", "--config", "config", default=None, metavar="FILE",
    help=f"Configuration of the running process [{DEFAULT_CONFIG}].",
)  # fmt: skip


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _ask(config: str | None, method: str, path: str, body: str = "", *, wait: float = 0.0) -> bytes:
    """Return the answer; an answer that is an error is raised as the same error. `readyz` is none."""
    where = str(find_config(config, os.environ, SystemDisk()).data_dir / "debug.sock")
    connection = _UnixConnection(where, timeout=_TIMEOUT + wait)
    try:
        connection.request(method, path, body=body.encode() if body else None)
        response = connection.getresponse()
        answer = response.read(_MOST)
    except (OSError, http.client.HTTPException) as problem:
        words = getattr(problem, "strerror", "") or problem
        raise Unavailable("PROC-DEBUG-SOCKET", path=where, problem=words) from None
    finally:
        connection.close()
    if response.status >= 400 and path != "/readyz":
        raise _error(where, answer)
    return answer


def _error(where: str, answer: bytes) -> TeleportError:
    try:
        told = json.loads(answer)
        return from_grpc(told["grpc"], told["code"], told["fields"])
    except (ValueError, KeyError, TypeError):
        return Unavailable("PROC-DEBUG-SOCKET", path=where, problem="it answers what it should not")


@click.command("debug set-log-level")
@click.argument("level")
@config_option
def set_log_level(level: str, config: str | None) -> None:
    """Change the log level of a running process: TRACE, DEBUG, INFO, WARN or ERROR."""
    answer = json.loads(_ask(config, "PUT", "/log-level", level))
    if answer["old"] == answer["new"]:
        click.echo(f'Log level already set to "{answer["new"]}".')
    else:
        click.echo(f'Changed log level from "{answer["old"]}" to "{answer["new"]}".')


@click.command("debug get-log-level")
@format_option
@config_option
def get_log_level(output_format: str, config: str | None) -> None:
    """Print the log level of a running process."""
    level = _ask(config, "GET", "/log-level").decode()
    if output_format == "text":
        click.echo(f'Current log level "{level}"')
    else:
        show({"level": level}, output_format)


@click.command("debug readyz")
@format_option
@config_option
def readyz(output_format: str, config: str | None) -> int:
    """Print the state of every service; exit status 1 while one is not ready."""
    answer = json.loads(_ask(config, "GET", "/readyz"))
    if output_format == "text":
        click.echo(answer["status"])
        for name, state in answer["services"].items():
            click.echo(f"  {name}: {state}")
    else:
        show(answer, output_format)
    return 0 if answer["status"] == "ok" else 1


@click.command("debug metrics")
@config_option
def metrics(config: str | None) -> None:
    """Print the numbers of a running process as Prometheus reads them."""
    click.echo(_ask(config, "GET", "/metrics"), nl=False)


@click.command("debug profile")
@click.argument("names", default=",".join(USUAL))
@click.option("-s", "--seconds", type=click.IntRange(1, MOST_SECONDS), default=SECONDS, show_default=True,
              help="How long to measure what takes time.")  # fmt: skip
@config_option
def profile(names: str, seconds: int, config: str | None) -> None:
    """Write profiles of a running process to standard output, as a gzip-compressed tar of NAME.pprof.

    NAMES, separated by commas: goroutine, heap, profile (these unless told otherwise), allocs, cmdline.
    Open the files with `go tool pprof` or https://speedscope.app.

    \b
    teleport debug profile > profiles.tar.gz
    teleport debug profile -s 30 profile | tar xzO > cpu.pprof
    """
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in wanted:
        if name not in NAMES:
            raise NotFound("PROC-PROFILE", name=name[:40], known=", ".join(NAMES))
    if sys.stdout.isatty():
        raise BadParameter("CLI-BINARY", command="teleport debug profile", example="profiles.tar.gz")
    made = {}
    for name in wanted:
        path = f"/debug/pprof/{name}" + (f"?seconds={seconds}" if name in TIMED else "")
        made[f"{name}.pprof"] = _ask(config, "GET", path, wait=seconds)
    sys.stdout.buffer.write(_packed(made))


def _packed(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
