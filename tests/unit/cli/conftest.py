"""Commands in a test see neither the machine's configuration nor the user's home."""

import pytest

from tests.support.admin_host import AdminHost


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    for name in ("TELEPORT_CONFIG", "TELEPORT_CONFIG_FILE", "TELEPORT_PROXY", "TELEPORT_USER", "TELEPORT_DEBUG",
                 "TELEPORT_ADD_KEYS_TO_AGENT", "SSH_AUTH_SOCK"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TELEPORT_HOME", str(tmp_path / "tsh"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """One auth host for all tests of a worker: each uses names of its own."""
    with AdminHost(tmp_path_factory.mktemp("auth")) as running:
        yield running
