"""A job with psql runs off a bot's output through three renewals: no connection breaks, and no new one fails."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bot_databases import DATABASE, machine, permit
from tests.support.cluster import Cluster
from tests.support.postgres import Login, Postgres, Server, environment
from tests.support.processes import wait_for

RENEWALS = 3


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Postgres]]:
    folder = tmp_path_factory.mktemp("cluster")
    with Cluster(folder).running() as cluster:
        cluster.create(DATABASE)
        permit(cluster)
        cluster.tctl("auth", "sign", "--format=db", "--host=localhost", f"--out={folder}/server", "--ttl=2h")
        with Postgres(folder, Server.signed(folder / "server"), ["alice"]).running() as running:
            yield cluster, running


class Job:
    """Connects again and again, as a job that a scheduler starts does, until it is told to end."""

    def __init__(self, postgres: Postgres, login: Login) -> None:
        self._postgres, self._login = postgres, login
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.connected = 0
        self.failures: list[str] = []

    def __enter__(self) -> Job:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._end.is_set():
            done = self._postgres.query(self._login, "select current_user", user="alice")
            if (done.status, done.out) == (0, "alice\n"):
                self.connected += 1
            else:
                self.failures.append(done.err)

    def again(self) -> None:
        """Wait until it has connected once more with what is there now: two ends, of which one began after this."""
        wanted = self.connected + 2
        wait_for("the job to connect", lambda: self.connected >= wanted or self.failures)


class Session:
    """One connection that stays open."""

    def __init__(self, postgres: Postgres, login: Login, folder: Path) -> None:
        self._psql = subprocess.Popen(
            postgres.psql(login, user="alice"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env=environment(folder),
        )  # fmt: skip

    def ask(self, words: str) -> str:
        """Return one line of an answer."""
        assert self._psql.stdin is not None
        assert self._psql.stdout is not None
        self._psql.stdin.write(f"{words};\n")
        self._psql.stdin.flush()
        return self._psql.stdout.readline().strip()

    def close(self) -> int:
        """End it; return the status."""
        self._psql.communicate(timeout=60)
        return self._psql.returncode


def test_a_job_runs_through_three_renewals(postgres: tuple[Cluster, Postgres], tmp_path: Path) -> None:
    cluster, database = postgres
    found = machine(cluster, "job", "machine-id-db")
    login = Login.of(found.out)
    with found.running() as bot:
        bot.await_line("Successfully renewed impersonated certificates")
        certificates = {login.certificate.read_bytes()}
        session = Session(database, login, tmp_path)
        backend = session.ask("select pg_backend_pid()")
        with Job(database, login) as job:
            for renewal in range(RENEWALS):
                job.again()
                bot.signal(signal.SIGUSR1)
                bot.await_line("Successfully renewed impersonated certificates", renewal + 2)
                certificates.add(login.certificate.read_bytes())
                assert session.ask("select pg_backend_pid()") == backend
            job.again()
        assert (job.failures, session.close()) == ([], 0)
    assert len(certificates) == RENEWALS + 1, "each renewal has brought another certificate"
