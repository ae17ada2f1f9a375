"""The output `ssh_host`: a real sshd runs off its files, and clients check the host certificate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import NAME, OWN, Cluster, Done
from tests.support.ports import free_ports
from tests.support.serving_bot import Tbot, service
from tests.support.sshd import Sshd

HOST = f"build-1.{NAME}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as running:
        running.role("access", logins=[OWN])
        running.role("host-signer", rules=[{"resources": ["host_cert"], "verbs": ["create"]}])
        yield running


@pytest.fixture(scope="module")
def bot(cluster: Cluster) -> Iterator[Tbot]:
    folder = cluster.folder / "bot"
    services = [
        service("identity", folder / "id", roles=["access"]),
        service("ssh_host", folder / "host", roles=["host-signer"], principals=[HOST]),
    ]
    with Tbot(cluster, folder, roles=["access", "host-signer"], services=services).running() as running:
        yield running


@pytest.fixture
def sshd(bot: Tbot, tmp_path: Path) -> Iterator[Sshd]:
    (port,) = free_ports(1)
    server, files = Sshd(tmp_path / "sshd", port=port), bot.folder / "host"
    kept = [line for line in server.config.read_text().splitlines() if not line.startswith("HostKey ")]
    ours = (
        f"HostKey {files}/ssh_host", f"HostCertificate {files}/ssh_host-cert.pub",
        f"TrustedUserCAKeys {files}/ssh_host-user-ca.pub",
    )  # fmt: skip
    server.config.write_text("\n".join((*kept, *ours, "")))
    with server:
        yield server


def ssh(bot: Tbot, server: Sshd, name: str, status: int = 0) -> Done:
    """Go to the server with the files of the identity output; `name` is who it has to be."""
    files = bot.folder / "id"
    options = {
        "IdentityFile": files / "key", "CertificateFile": files / "key-cert.pub", "IdentitiesOnly": "yes",
        "UserKnownHostsFile": files / "known_hosts", "StrictHostKeyChecking": "yes", "HostKeyAlias": name,
    }  # fmt: skip
    words = [word for option, value in options.items() for word in ("-o", f"{option}={value}")]
    argv = ["ssh", "-F", "none", *words, "-p", str(server.port), f"{OWN}@127.0.0.1", "echo in"]
    return bot.cluster.run(*argv, status=status, env=bot.cluster.environment("nobody"))


def test_sshd_proves_itself_and_knows_the_users_of_the_cluster(bot: Tbot, sshd: Sshd) -> None:
    assert ssh(bot, sshd, HOST).out == "in\n"
    assert "Host key verification failed" in ssh(bot, sshd, f"build-2.{NAME}", status=255).err


def test_the_key_stays_when_the_certificate_is_renewed(bot: Tbot) -> None:
    def content() -> tuple[str, ...]:
        return tuple((bot.folder / "host" / name).read_text() for name in ("ssh_host", "ssh_host-cert.pub"))

    key, certificate = content()
    bot.renew()
    renewed = content()
    assert renewed[0] == key
    assert renewed[1] != certificate


def test_a_role_without_the_rule_gets_no_host_certificate(cluster: Cluster, tmp_path: Path) -> None:
    services = [service("ssh_host", tmp_path / "host", roles=["access"], principals=[HOST])]
    bot = Tbot(cluster, tmp_path / "bot", roles=["access"], services=services, name="plain")
    done = bot.run_once()
    assert done.status != 0
    assert "access denied" in done.err
    assert not (tmp_path / "host" / "ssh_host-cert.pub").exists()
