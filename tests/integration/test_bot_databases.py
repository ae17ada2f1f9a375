"""Bots and databases: the role that an output for a database needs, and what a real PostgreSQL makes of its files."""

from __future__ import annotations

import contextlib
import signal
import ssl as tls
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from teleport.pki import codec, keys, ssh
from tests.support.bot_databases import DATABASE, machine, output, permit
from tests.support.cluster import Cluster
from tests.support.postgres import Login, Postgres, Server
from tests.support.processes import wait_for
from tests.support.server_process import BIN


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as running:
        running.role("foo", logins=["root"])
        running.create(DATABASE)
        yield running


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Server:
    """The files of a database server."""
    prefix = cluster.folder / "server"
    cluster.tctl("auth", "sign", "--format=db", "--host=localhost,127.0.0.1", f"--out={prefix}", "--ttl=2h")
    return Server.signed(prefix)


@pytest.fixture(scope="module")
def postgres(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with Postgres(tmp_path_factory.mktemp("postgres"), server, ["alice", "bob"]).running() as running:
        yield running


def test_a_database_that_roles_do_not_show_is_not_found_until_one_does(cluster: Cluster) -> None:
    """S1-38, S1-41, S1-45, S1-47 (a role that is granted later): the bot of the reference, from the failure to the
    cure."""
    found = machine(cluster, "example", "foo")
    said = found.once(status=1)
    cause = 'database "example" not found'
    line = f"Failed to generate impersonated certs for directory {found.out}: {cause}"
    assert f"ERROR: {line}\n{cause}\n" in said.err
    assert "code: DB-NOT-FOUND-RBAC" in said.err
    assert "rules: [{resources: [db_server, db], verbs: [read, list]}]" in said.err
    assert not (found.out / "tlscert").exists()
    permit(cluster)
    assert yaml.safe_load(cluster.tctl("get", "role/machine-id-db").out)["version"] == "v5"
    with found.running() as bot:
        bot.await_line(line)
        cluster.tctl("bots", "update", "example", "--add-roles=machine-id-db")
        bot.signal(signal.SIGUSR1)
        bot.await_line("Successfully renewed impersonated certificates")
    listed = cluster.run(str(BIN / "tsh"), "-i", str(found.out / "identity"), f"--proxy={cluster.public}", "db", "ls")
    heading, _, row = listed.out.splitlines()[:3]
    assert heading.split() == ["Name", "Description", "Allowed", "Users", "Labels", "Connect"]
    assert row.split() == ["example", "[alice]", "env=dev"]


def test_an_output_has_the_roles_that_it_asks_for(cluster: Cluster) -> None:
    """S1-44: without `roles` all that the bot has, with it a part; one without the database's is refused it."""
    permit(cluster)
    found = machine(cluster, "roles", "foo", "machine-id-db")
    some, none = found.folder / "some", found.folder / "none"
    found.settings["services"] += [output(some, roles=["machine-id-db"]), output(none, roles=["foo"])]
    said = found.once(status=1)
    assert f'Failed to generate impersonated certs for directory {none}: database "example" not found' in said.err
    assert roles_in(found.out) == {"foo", "machine-id-db"}
    assert roles_in(some) == {"machine-id-db"}
    assert not (none / "tlscert").exists()


def roles_in(folder: Path) -> set[str]:
    """Return the roles in the certificate for SSH, which names the bot: the other one names the account alone."""
    line = (folder / "key-cert.pub").read_text()
    return {*codec.from_ssh(ssh.parse(keys.load_ssh_line(line))).roles}


def test_a_real_postgresql_takes_the_account_and_no_other(cluster: Cluster, postgres: Postgres) -> None:
    permit(cluster)
    found = machine(cluster, "psql", "machine-id-db")
    found.once()
    login = Login.of(found.out)
    asked = "select current_user, client_dn from pg_stat_ssl where pid = pg_backend_pid()"
    assert postgres.query(login, asked, user="alice").out == "alice|/CN=alice\n"
    refused = postgres.query(login, asked, user="bob")
    assert refused.status == 2
    assert 'certificate authentication failed for user "bob"' in refused.err


def test_a_real_postgresql_refuses_what_has_ended(cluster: Cluster, postgres: Postgres) -> None:
    permit(cluster)
    found = machine(cluster, "ended", "machine-id-db")
    found.settings["services"] = [output(found.out, credential_ttl="5s")]
    found.once()

    def refused() -> str:
        return postgres.query(Login.of(found.out), "select 1", user="alice").err

    assert "certificate expired" in wait_for("the end of the certificate", refused)


def test_whom_the_roles_do_not_let_in_gets_no_certificate(cluster: Cluster) -> None:
    permit(cluster)
    found = machine(cluster, "bob", "machine-id-db")
    found.settings["services"] = [output(found.out, username="bob")]
    said = found.once(status=1)
    assert f"ERROR: Failed to generate impersonated certs for directory {found.out}: " in said.err
    assert "  id:   " in said.err
    assert not (found.out / "tlscert").exists()


@pytest.mark.parametrize("form", ["tls", "mongo", "cockroach"])
def test_tls_clients_use_the_files_of_each_format(cluster: Cluster, server: Server, form: str) -> None:
    permit(cluster)
    found = machine(cluster, form, "machine-id-db")
    found.settings["services"] = [output(found.out, format=form)]
    found.once()
    chain, key, authorities = {
        "tls": ("tls.crt", "tls.key", "tls.cas"),
        "mongo": ("mongo.crt", "mongo.crt", "mongo.cas"),
        "cockroach": ("cockroach/node.crt", "cockroach/node.key", "cockroach/ca.crt"),
    }[form]
    client = tls.create_default_context(cafile=found.out / authorities)
    client.load_cert_chain(found.out / chain, found.out / key)
    database = tls.create_default_context(tls.Purpose.CLIENT_AUTH, cafile=server.clients)
    database.load_cert_chain(server.certificate, server.key)
    database.verify_mode = tls.CERT_REQUIRED
    assert seen(client, database) == {"subject": ((("commonName", "alice"),),)}


def seen(client: tls.SSLContext, server: tls.SSLContext) -> dict[str, object]:
    """Return what a server sees of a client's subject, when each has accepted the other."""
    up, down = tls.MemoryBIO(), tls.MemoryBIO()
    near = client.wrap_bio(down, up, server_hostname="localhost")
    far = server.wrap_bio(up, down, server_side=True)
    waiting = {near, far}
    while waiting:
        for end in waiting:
            with contextlib.suppress(tls.SSLWantReadError):
                end.do_handshake()
                waiting.discard(end)
    shown = far.getpeercert()
    assert shown is not None
    return {"subject": shown["subject"]}
