"""Bots and databases: the role that an output for a database needs, and what a real PostgreSQL makes of its files.

A job with psql runs off such an output through three renewals: no connection breaks, and no new one fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import signal
import ssl as tls
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.base.clock import SystemClock
from teleport.base.entropy import SeededEntropy
from teleport.model.identity import Identity
from teleport.pki import authority, codec, database, keys, ssh, x509
from teleport.pki.signer import MemorySigner
from tests.support.cluster import NAME, Cluster, Done
from tests.support.postgres import Postgres, running
from tests.support.processes import wait_for
from tests.support.server_process import BIN
from tests.support.tbot import Machine, make_bot

ROLE = """\
kind: role
version: v5
metadata:
  name: machine-id-db
spec:
  allow:
    db_labels:
      '*': '*'
    db_names: [example]
    db_users: [alice]
    rules:
      - resources: [db_server, db]
        verbs: [read, list]
"""
DATABASE = {
    "kind": "db", "version": "v3", "metadata": {"name": "example", "labels": {"env": "dev"}},
    "spec": {"protocol": "postgres", "uri": "localhost:5432"},
}  # fmt: skip
pytestmark = pytest.mark.timeout(400)  # servers of others start slowly where much else runs

RENEWED = "Successfully renewed impersonated certificates"
RENEWALS = 3


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as running:
        running.role("foo", logins=["root"])
        running.create(DATABASE)
        (running.folder / "role.yaml").write_text(ROLE)
        running.tctl("create", "-f", str(running.folder / "role.yaml"))
        yield running


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> dict[str, bytes]:
    """The files of a database server."""
    prefix = cluster.folder / "server"
    cluster.tctl("auth", "sign", "--format=db", "--host=localhost,127.0.0.1", f"--out={prefix}", "--ttl=2h")
    return {f"server{ending}": Path(f"{prefix}{ending}").read_bytes() for ending in (".crt", ".key", ".cas")}


class OtherAuthority:
    """Another authority for clients of databases, whose certificates were made when a test likes."""

    def __init__(self) -> None:
        self._entropy = SeededEntropy(5)
        self._signer = MemorySigner(self._entropy)
        self._ca = asyncio.run(
            authority.create(self._signer, "db_client", NAME, now=self.ago(days=1), entropy=self._entropy)
        )

    @staticmethod
    def ago(**span: float) -> dt.datetime:
        """Return a moment before now."""
        return SystemClock().now().replace(microsecond=0) - dt.timedelta(**span)

    @property
    def pem(self) -> str:
        """Its certificate."""
        return self._ca.spec.active_keys.tls[0].cert

    def alice(self, folder: Path, trusted: Path, expires: dt.datetime) -> dict[str, object]:
        """Return as whom to connect: alice, with a certificate until then."""
        key = keys.make_p256(self._entropy)
        identity = Identity(
            name="bot-example", cluster=NAME, kind="bot", roles=("machine-id-db",), principals=("alice",),
            expires=expires, database_service="example", database_user="alice",
        )  # fmt: skip
        made = database.client_certificate(
            self._signer, self._ca, identity, spki=keys.spki(key.public_key()), now=self.ago(hours=2),
            entropy=self._entropy,
        )  # fmt: skip
        certificate, own = folder / "crt", folder / "key"
        certificate.write_text(x509.pem(asyncio.run(made)))
        own.write_bytes(keys.private_pem(key))
        own.chmod(0o600)
        return {"user": "alice", "database": "example", "trusted": trusted, "certificate": certificate, "key": own}


@pytest.fixture(scope="module")
def other() -> OtherAuthority:
    return OtherAuthority()


@pytest.fixture(scope="module")
def postgres(
    server: dict[str, bytes], other: OtherAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Postgres]:  # fmt: skip
    """A database that trusts the cluster's authority for its clients, and another one."""
    trusted = server["server.cas"] + other.pem.encode()
    with running(tmp_path_factory.mktemp("postgres"), {**server, "server.cas": trusted}) as found:
        for statement in ("create role alice login", "create role bob login", "create database example"):
            found.admin(statement)
        yield found


def alice(out: Path) -> dict[str, object]:
    """Return as whom to connect: alice, with the files of an output without a format."""
    return {
        "user": "alice", "database": "example", "trusted": out / "teleport-database-ca.crt",
        "certificate": out / "tlscert", "key": out / "key",
    }  # fmt: skip


def output(path: Path, **fields: object) -> dict[str, object]:
    """Return an output for the database, as alice."""
    return {
        "type": "database", "destination": {"type": "directory", "path": str(path)}, "service": "example",
        "database": "example", "username": "alice", **fields,
    }  # fmt: skip


def machine(cluster: Cluster, name: str, *roles: str) -> Machine:
    """Return a machine with a bot that has one output, for the database."""
    found = Machine(cluster, name, make_bot(cluster, name, *roles))
    found.settings["services"] = [output(found.out)]
    return found


class Several:
    """The folder of a bot with an output of each sort, after one run, and what it said."""

    def __init__(self, cluster: Cluster) -> None:
        found = Machine(cluster, "several", make_bot(cluster, "several", "foo", "machine-id-db"))
        sorts: dict[str, dict[str, object]] = {
            "plain": {}, "tls": {"format": "tls"}, "mongo": {"format": "mongo"}, "cockroach": {"format": "cockroach"},
            "narrow": {"roles": ["machine-id-db"]}, "blind": {"roles": ["foo"]}, "bob": {"username": "bob"},
        }  # fmt: skip
        self.folder = found.folder
        found.settings["services"] = [output(self.folder / sort, **fields) for sort, fields in sorts.items()]
        self.said: Done = found.once(status=1)


@pytest.fixture(scope="module")
def several(cluster: Cluster) -> Several:
    return Several(cluster)


def test_a_database_that_roles_do_not_show_is_not_found_until_one_does(cluster: Cluster) -> None:
    """S1-38, S1-41, S1-45: the bot of the reference, from the failure to the cure; `tsh db ls` and `tbot db` work with
    what it then has."""
    found = machine(cluster, "example", "foo")
    said = found.once(status=1)
    cause = 'database "example" not found'
    line = f"Failed to generate impersonated certs for directory {found.out}: {cause}"
    assert f"ERROR: {line}\n{cause}\n" in said.err
    assert "code: DB-NOT-FOUND-RBAC" in said.err
    assert "rules: [{resources: [db_server, db], verbs: [read, list]}]" in said.err
    assert not (found.out / "tlscert").exists()
    assert "DB-NOT-FOUND-RBAC" in found.run("doctor", "-c", str(found.file), status=None).out
    with found.running() as bot:
        bot.await_line(line)
        cluster.tctl("bots", "update", "example", "--add-roles=machine-id-db")
        bot.signal(signal.SIGUSR1)
        bot.await_line(RENEWED)
    proxy = f"--proxy={cluster.public}"
    listed = cluster.run(str(BIN / "tsh"), "-i", str(found.out / "identity"), proxy, "db", "ls").out
    heading, _, row = listed.splitlines()[:3]
    assert heading.split() == ["Name", "Description", "Allowed", "Users", "Labels", "Connect"]
    assert row.split() == ["example", "[alice]", "env=dev"]
    options = (f"--destination-dir={found.out}", f"--proxy-server={cluster.public}")
    assert found.run("db", *options, "--", "ls").out == listed


def test_an_output_has_the_roles_that_it_asks_for(several: Several) -> None:
    """S1-44: without `roles` all that the bot has, with it a part; one without the database's is refused it."""
    assert roles_in(several.folder / "plain") == {"foo", "machine-id-db"}
    assert roles_in(several.folder / "narrow") == {"machine-id-db"}
    failed = f'Failed to generate impersonated certs for directory {several.folder}/blind: database "example" not found'
    assert failed in several.said.err
    assert not (several.folder / "blind" / "tlscert").exists()


def roles_in(folder: Path) -> set[str]:
    """Return the roles in the certificate for SSH, which names the bot: the other one names the account alone."""
    line = (folder / "key-cert.pub").read_text()
    return {*codec.from_ssh(ssh.parse(keys.load_ssh_line(line))).roles}


def test_whom_the_roles_do_not_let_in_gets_no_certificate(several: Several) -> None:
    assert f"Failed to generate impersonated certs for directory {several.folder}/bob: " in several.said.err
    assert not (several.folder / "bob" / "tlscert").exists()


@pytest.mark.parametrize(
    ("form", "chain", "key", "authorities"),
    [
        ("tls", "tls.crt", "tls.key", "tls.cas"),
        ("mongo", "mongo.crt", "mongo.crt", "mongo.cas"),
        ("cockroach", "cockroach/node.crt", "cockroach/node.key", "cockroach/ca.crt"),
    ],
)
def test_tls_clients_use_the_files_of_each_format(
    cluster: Cluster, several: Several, server: dict[str, bytes], form: str, chain: str, key: str, authorities: str
) -> None:
    out = several.folder / form
    client = tls.create_default_context(cafile=out / authorities)
    client.load_cert_chain(out / chain, out / key)
    database = tls.create_default_context(tls.Purpose.CLIENT_AUTH, cadata=server["server.cas"].decode())
    database.load_cert_chain(cluster.folder / "server.crt", cluster.folder / "server.key")
    database.verify_mode = tls.CERT_REQUIRED
    assert subject_seen(client, database) == ((("commonName", "alice"),),)


def subject_seen(client: tls.SSLContext, server: tls.SSLContext) -> object:
    """Return what a server sees of a client's subject, when each has accepted the other."""
    up, down = tls.MemoryBIO(), tls.MemoryBIO()
    near = client.wrap_bio(down, up, server_hostname="localhost")
    far = server.wrap_bio(up, down, server_side=True)
    for end in (near, far, near):
        with contextlib.suppress(tls.SSLWantReadError):
            end.do_handshake()
    far.do_handshake()
    shown = far.getpeercert()
    assert shown is not None
    return shown["subject"]


def test_a_real_postgresql_takes_the_account_and_no_other(several: Several, postgres: Postgres) -> None:
    who = alice(several.folder / "plain")
    asked = "select current_user, client_dn from pg_stat_ssl where pid = pg_backend_pid()"
    assert postgres.psql(ask=asked, **who).out == "alice|/CN=alice"
    refused = postgres.psql(ask=asked, **{**who, "user": "bob"})
    assert refused.status == 2
    assert 'certificate authentication failed for user "bob"' in refused.err


def test_a_real_postgresql_refuses_what_has_ended(
    other: OtherAuthority, several: Several, postgres: Postgres, tmp_path: Path
) -> None:
    trusted = several.folder / "plain" / "teleport-database-ca.crt"
    lasting = other.alice(tmp_path, trusted, other.ago(hours=-1))
    assert postgres.psql(ask="select current_user", **lasting).out == "alice"
    ended = other.alice(tmp_path, trusted, other.ago(hours=1))
    assert "certificate expired" in postgres.psql(ask="select 1", **ended).err


class Job:
    """Connects again and again, as a job that a scheduler starts does, until it is told to end."""

    def __init__(self, postgres: Postgres, who: dict[str, object]) -> None:
        self._postgres, self._who = postgres, who
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
            done = self._postgres.psql(ask="select current_user", **self._who)
            if (done.status, done.out) == (0, "alice"):
                self.connected += 1
            else:
                self.failures.append(done.err)

    def again(self) -> None:
        """Wait until it has connected once more with what is there now: two ends, of which one began after this."""
        wanted = self.connected + 2
        wait_for("the job to connect", lambda: self.connected >= wanted or self.failures)


class Session:
    """One connection that stays open."""

    def __init__(self, postgres: Postgres, who: dict[str, Any]) -> None:
        self._psql = subprocess.Popen(
            postgres.client(**who), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=postgres.environment,
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


def test_a_job_runs_through_three_renewals(cluster: Cluster, postgres: Postgres) -> None:
    found = machine(cluster, "job", "machine-id-db")
    certificate = found.out / "tlscert"
    with found.running() as bot:
        bot.await_line(RENEWED)
        certificates = {certificate.read_bytes()}
        session = Session(postgres, alice(found.out))
        backend = session.ask("select pg_backend_pid()")
        with Job(postgres, alice(found.out)) as job:
            for renewal in range(RENEWALS):
                job.again()
                bot.signal(signal.SIGUSR1)
                bot.await_line(RENEWED, renewal + 2)
                certificates.add(certificate.read_bytes())
                assert session.ask("select pg_backend_pid()") == backend
            job.again()
        assert (job.failures, session.close()) == ([], 0)
    assert len(certificates) == RENEWALS + 1, "each renewal has brought another certificate"
