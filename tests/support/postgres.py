"""A PostgreSQL of its own, on a free port of loopback, that knows people by their certificates alone.

It runs as an ordinary user, which it insists on: for root, as one of a user namespace of its own.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.programs import need

_PLACE = Path("/usr/lib/postgresql")
_AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
_CONFIGURATION = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
ssl = on
ssl_cert_file = '{folder}/server.crt'
ssl_key_file = '{folder}/server.key'
ssl_ca_file = '{folder}/server.cas'
fsync = off
"""
_WHO = "local all postgres trust\nhostssl all all 127.0.0.1/32 cert clientcert=verify-full\n"


class Answer(NamedTuple):
    """How `psql` ended."""

    status: int
    out: str
    err: str


class Postgres:
    """One that runs."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port

    def admin(self, statement: str) -> str:
        """Run a statement as its administrator, over the socket."""
        words = (
            *_wrapper(),
            "psql",
            "-Atqh",
            str(self.folder),
            "-p",
            str(self.port),
            "-U",
            "postgres",
            "-c",
            statement,
        )
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    def client(self, *options: str, user: str, database: str, trusted: Path, certificate: Path, key: Path) -> list[str]:
        """Return how `psql` is started by somebody with a certificate, who checks the server's name."""
        where = (
            f"host=localhost hostaddr=127.0.0.1 port={self.port} user={user} dbname={database} sslmode=verify-full "
            f"sslrootcert={trusted} sslcert={certificate} sslkey={key} gssencmode=disable connect_timeout=60"
        )
        return [need("psql"), "-XAtqw", *options, where]

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a client that say nothing else."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)}

    def psql(self, *, ask: str, **who: Any) -> Answer:
        """Connect as `client` says, ask one thing, and go."""
        argv = self.client("-c", ask, **who)
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, timeout=120)
        return Answer(done.returncode, done.stdout.strip(), done.stderr)


@contextmanager
def running(folder: Path, server: dict[str, bytes]) -> Iterator[Postgres]:
    """Run one with the files `server.crt`, `server.key` and `server.cas` of these contents."""
    programs, (port,) = _programs(), free_ports(1)
    data = folder / "data"
    _do(programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
    for name, content in server.items():
        path = folder / name
        path.write_bytes(content)
        path.chmod(0o600)
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write(_CONFIGURATION.format(port=port, folder=folder))
    (data / "pg_hba.conf").write_text(_WHO)
    found = Postgres(folder, port)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*_wrapper(), str(programs / "postgres"), "-D", str(data)], stdout=log, stderr=log)
        try:
            wait_for("PostgreSQL", lambda: process.poll() is None and _answers(found), seconds=60)
            yield found
        finally:
            process.terminate()
            process.wait(60)


def _answers(server: Postgres) -> bool:
    try:
        return server.admin("SELECT 1") == "1"
    except subprocess.CalledProcessError:
        return False


def _programs() -> Path:
    """Return the folder of the server's programs, which is in no search path."""
    need("psql")
    found = sorted(_PLACE.glob("*/bin/initdb"))
    if not found and os.environ.get("CI"):
        pytest.fail("CI has the server of PostgreSQL, so that these tests run")
    if not found:
        pytest.skip("needs the server of PostgreSQL, which `make setup` installs")
    return found[-1].parent


def _wrapper() -> Sequence[str]:
    return _AS_NOBODY if os.geteuid() == 0 else ()


def _do(*words: object) -> None:
    subprocess.run([*_wrapper(), *map(str, words)], check=True, capture_output=True, timeout=120)
