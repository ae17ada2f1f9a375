"""A real PostgreSQL that believes certificates and nothing else: a user is whom the common name of one says.

    with Postgres(tmp_path, server, ["alice"]).running() as postgres:
        postgres.query(login, "select current_user", user="alice")

PostgreSQL does not run as root. Root starts it in a user namespace, where files of root are those of the account
`nobody`: nothing in the folder has to change its owner.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cluster import Done, free_ports
from tests.support.processes import wait_for
from tests.support.programs import need

DATABASE = "app"
_PLACES = Path("/usr/lib/postgresql")
_CONFIG = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
ssl = on
ssl_cert_file = '{certificate}'
ssl_key_file = '{key}'
ssl_ca_file = '{clients}'
fsync = off
max_connections = 40
log_connections = on
"""
_ACCESS = "hostssl all all 127.0.0.1/32 cert clientcert=verify-full\n"
_LIMIT = 60.0


@dataclass(frozen=True)
class Server:
    """Files of a server."""

    certificate: Path
    key: Path
    clients: Path
    """Whose certificates a client may show."""

    @classmethod
    def signed(cls, prefix: Path) -> Server:
        """Return those that `tctl auth sign --format=db --out=PREFIX` has written."""
        return cls(*(Path(f"{prefix}{ending}") for ending in (".crt", ".key", ".cas")))


@dataclass(frozen=True)
class Login:
    """Files with which a client connects."""

    certificate: Path
    key: Path
    authorities: Path
    """Whose certificates a server may show."""

    @classmethod
    def of(cls, output: Path) -> Login:
        """Return the files of a database output without a format."""
        return cls(output / "tlscert", output / "key", output / "teleport-database-ca.crt")


class Postgres:
    """One server with one database, `app`, that every user may use."""

    def __init__(self, folder: Path, server: Server, users: Sequence[str]) -> None:
        self.port = free_ports(1)[0]
        self._folder, self._data, self._log = folder, folder / "postgres", folder / "postgres.log"
        self._users = tuple(users)
        self._run(str(_program("initdb")), "-D", str(self._data), "-U", "postgres", "-A", "reject", "-N")
        self._data.joinpath("postgresql.conf").write_text(
            _CONFIG.format(port=self.port, certificate=server.certificate, key=server.key, clients=server.clients)
        )
        self._data.joinpath("pg_hba.conf").write_text(_ACCESS)
        self._prepare()

    def _prepare(self) -> None:
        """Make users and the database while nobody else can ask for anything."""
        words = [f'create role "{user}" login;\n' for user in self._users]
        stdin = "".join([*words, f'create database "{DATABASE}";\n'])
        self._run(str(_program("postgres")), "--single", "-D", str(self._data), "postgres", stdin=stdin)

    def _run(self, *argv: str, stdin: str = "") -> None:
        done = subprocess.run(
            [*_as_nobody(), *argv], input=stdin, capture_output=True, text=True, timeout=_LIMIT, cwd=self._folder
        )
        assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Postgres]:
        """Run it for the time of a block."""
        argv = [*_as_nobody(), str(_program("postgres")), "-D", str(self._data)]
        with self._log.open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log, cwd=self._folder) as process:
            try:
                wait_for("PostgreSQL", lambda: self._answers(process))
                yield self
            finally:
                process.send_signal(signal.SIGINT)  # ends connections, and does not wait for clients to go
                process.wait(_LIMIT)

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, self.log
        return "ready to accept connections" in self.log

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text(errors="replace")

    def psql(self, login: Login, *, user: str, options: tuple[str, ...] = ()) -> list[str]:
        """Return the command line of a client, which checks the server's name and authority."""
        return [need("psql"), "-X", "-w", "-A", "-t", "-v", "ON_ERROR_STOP=1", *options, self.dsn(login, user=user)]

    def dsn(self, login: Login, *, user: str) -> str:
        """Return how clients of libpq are told where to connect, and as whom."""
        return (
            f"host=localhost hostaddr=127.0.0.1 port={self.port} user={user} dbname={DATABASE} sslmode=verify-full "
            f"sslrootcert='{login.authorities}' sslcert='{login.certificate}' sslkey='{login.key}' connect_timeout=60"
        )

    def query(self, login: Login, words: str, *, user: str) -> Done:
        """Connect, ask one thing, and go."""
        argv = self.psql(login, user=user, options=("-c", words))
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_LIMIT, env=environment(self._folder))
        return Done(done.returncode, done.stdout, done.stderr)


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a client to which nobody has said anything else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "HOME": str(home)}


def _program(name: str) -> Path:
    """Return a program of the newest PostgreSQL, which is not in PATH. Skips as `need` does."""
    found = sorted(_PLACES.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1]
    if os.environ.get("CI"):
        pytest.fail(f"CI has {name} of PostgreSQL, so that these tests run")
    pytest.skip(f"needs {name} of PostgreSQL, which `make setup` installs")


def _as_nobody() -> list[str]:
    """Return what to put in front of a command that refuses to run as root."""
    if os.geteuid():
        return []
    account = pwd.getpwnam("nobody")
    return [need("unshare"), "--user", f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}"]
