"""A real PostgreSQL and certificates of outputs: it lets in whom the certificate names, as that account alone.

The server trusts the authority `db_client` and shows a certificate of the authority `db`; nothing of ours runs beside
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from teleport.api.bot_messages import DatabaseRoute, Output
from teleport.api.messages import DatabaseRequest, MadeCertificates
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.pki import keys
from tests.support import auth_cluster, postgres
from tests.support.auth_cluster import document_of
from tests.support.bots import Robot, make_bot
from tests.support.postgres import Answer, Postgres

ROLE = {
    "db_labels": {"*": "*"}, "db_names": ["example"], "db_users": ["alice"],
    "rules": [{"resources": ["db_server", "db"], "verbs": ["read", "list"]}],
}  # fmt: skip


class Made(NamedTuple):
    """A private key and what was made for it."""

    key: keys.PrivateKey
    certificates: MadeCertificates

    def authority(self, kind: str) -> str:
        return "".join(text for a in self.certificates.authorities if a.type == kind for text in a.tls_certificates)

    def files(self, folder: Path) -> dict[str, Path]:
        """Write what `psql` reads."""
        contents = {
            "trusted": self.authority("db"), "certificate": self.certificates.tls_certificate,
            "key": keys.private_pem(self.key).decode(),
        }  # fmt: skip
        for name, text in contents.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        return {name: folder / name for name in contents}


def public(key: keys.PrivateKey) -> dict[str, str]:
    return {
        "ssh_public_key": keys.ssh_line(keys.ssh_blob(key.public_key())),
        "tls_public_key": keys.public_pem(key.public_key()),
    }


async def everything() -> tuple[Made, Made, Made]:
    """Return what the server, an output for it, and an output for nothing in particular are given."""
    server, output, plain = (keys.make_p256(SystemEntropy()) for _ in range(3))
    async with auth_cluster.running(clock=SystemClock()) as cluster:
        await make_bot(cluster, "machine-id-db")
        await cluster.admin.upsert(auth_cluster.role("machine-id-db", **ROLE))
        spec = {"protocol": "postgres", "uri": "localhost:5432"}
        await cluster.admin.create(document_of("db", "example", spec, labels={"env": "dev"}))
        robot = await Robot.joined(cluster)
        route = DatabaseRoute(service="example", name="example", username="alice")
        request = DatabaseRequest(hosts=("localhost", "127.0.0.1"), tls_public_key=public(server)["tls_public_key"])
        return (
            Made(server, await cluster.admin.issue_database(request)),
            Made(output, await robot.calls.issue(Output(database=route, **public(output)))),
            Made(plain, await robot.calls.issue(Output(**public(plain)))),
        )


@pytest.fixture(scope="module")
def made() -> tuple[Made, Made, Made]:
    return asyncio.run(everything())


@pytest.fixture(scope="module")
def server(made: tuple[Made, Made, Made], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    own = made[0]
    files = {
        "server.crt": own.certificates.tls_certificate.encode(), "server.key": keys.private_pem(own.key),
        "server.cas": own.authority("db_client").encode(),
    }  # fmt: skip
    with postgres.running(tmp_path_factory.mktemp("postgres"), files) as running:
        for name in ("alice", "bob"):
            running.admin(f"CREATE ROLE {name} LOGIN")
        running.admin("CREATE DATABASE example OWNER alice")
        yield running


def ask(server: Postgres, who: Made, folder: Path, user: str) -> Answer:
    return server.psql(user=user, database="example", ask="SELECT current_user", **who.files(folder))


def test_the_account_of_the_certificate_is_let_in(
    server: Postgres, made: tuple[Made, Made, Made], tmp_path: Path
) -> None:
    assert ask(server, made[1], tmp_path, "alice") == (0, "alice", "")


def test_no_other_account_is(server: Postgres, made: tuple[Made, Made, Made], tmp_path: Path) -> None:
    refused = ask(server, made[1], tmp_path, "bob")
    assert refused.status != 0
    assert 'certificate authentication failed for user "bob"' in refused.err


def test_certificates_of_the_cluster_itself_are_not(
    server: Postgres, made: tuple[Made, Made, Made], tmp_path: Path
) -> None:
    refused = ask(server, made[2], tmp_path, "alice")
    assert refused.status != 0
    assert refused.out == ""
    assert "certificate authentication failed" not in refused.err, "it is refused before anybody asks for an account"
